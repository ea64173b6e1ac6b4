/** The sentences for each reason why no native build loads, or not the official one: whole, and right for the system. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { EngineInfo } from '../../src/protocol/http-answers.js';
import { fallbackText, passedOverText, refusalText } from '../../src/server/transport/uws-advice.js';
import { thisSystem, whyNot, type System, type UwsFailure, type Why } from '../../src/server/transport/uws-failure.js';

const official = { package: 'uWebSockets.js', version: '20.57.0' };
const newer = { package: '@btc-vision/uwebsockets.js', version: '20.57.0' };
const older = { package: '@trufflesuite/uws-js-unofficial', version: '20.30.0-unofficial.0' };
const ws: EngineInfo = { name: 'ws', package: 'ws', version: '8.23.0', origin: 'official' };

const ABIS: Readonly<Record<number, string>> = { 20: '115', 22: '127', 24: '137', 25: '141', 26: '147' };
const on = (node: number, platform: string, arch: string, glibc?: string): System => {
  return { node, abi: ABIS[node] as string, platform, arch, glibc };
};
const absent = ({ package: name }: { readonly package: string }): UwsFailure => ({ package: name, why: 'absent' });
const tooOld = (build: typeof newer): UwsFailure => ({ ...build, why: 'glibc', needs: '2.38' });

const newest = 'install the official release v20.57.0 (npm install uNetworking/uWebSockets.js#v20.57.0)';
const before = 'install the official release v20.52.0 (npm install uNetworking/uWebSockets.js#v20.52.0)';
const newLinux = `use a Linux with glibc 2.38 or newer (Debian 13, Ubuntu 24.04) and ${newest}`;
const leftOut =
  'the official build is not installed; the optional dependencies @btc-vision/uwebsockets.js and ' +
  '@trufflesuite/uws-js-unofficial are not installed (left out, as by --omit=optional)';
const newerTooOld = '@btc-vision/uwebsockets.js 20.57.0 needs glibc 2.38 or newer';
const olderFor20 = '@trufflesuite/uws-js-unofficial 20.30.0-unofficial.0 has binaries for Node 20 only';

interface Row {
  readonly title: string;
  readonly system: System;
  readonly failures: readonly UwsFailure[];
  readonly happened: string;
  readonly advice: string;
}

const rows: readonly Row[] = [
  {
    title: 'optional packages were left out, on a system that every build fits',
    system: on(24, 'linux', 'x64', '2.41'),
    failures: [official, newer, older].map(absent),
    happened: `(Node 24, linux x64, glibc 2.41): ${leftOut}`,
    advice: `For the native engine, ${newest}, or install the optional dependencies.`,
  },
  {
    title: 'optional packages were left out, and would not help',
    system: on(22, 'linux', 'x64', '2.36'),
    failures: [official, newer, older].map(absent),
    happened: `(Node 22, linux x64, glibc 2.36): ${leftOut}`,
    advice: `For the native engine, ${before}.`,
  },
  {
    title: 'optional packages were left out on Node 20, for which one fits any glibc',
    system: on(20, 'linux', 'x64', '2.31'),
    failures: [official, newer, older].map(absent),
    happened: `(Node 20, linux x64, glibc 2.31): ${leftOut}`,
    advice: `For the native engine, ${newLinux}, or install the optional dependencies.`,
  },
  {
    title: 'glibc is too old for the newest release, and not for the one before',
    system: on(24, 'linux', 'x64', '2.36'),
    failures: [absent(official), tooOld(newer), { ...older, why: 'node', nodes: [20] }],
    happened: `(Node 24, linux x64, glibc 2.36): the official build is not installed; ${newerTooOld}; ${olderFor20}`,
    advice: `For the native engine, ${before}.`,
  },
  {
    title: 'glibc is too old for each release that this Node can have',
    system: on(22, 'linux', 'arm64', '2.34'),
    failures: [tooOld(official), tooOld(newer), { ...older, why: 'node', nodes: [20] }],
    happened: `(Node 22, linux arm64, glibc 2.34): the official build 20.57.0 needs glibc 2.38 or newer; ${newerTooOld}; ${olderFor20}`,
    advice: `For the native engine, ${newLinux}, or use Node 20 with the optional dependency @trufflesuite/uws-js-unofficial.`,
  },
  {
    title: 'a Node that no release has binaries for',
    system: on(26, 'linux', 'x64', '2.36'),
    failures: [
      absent(official),
      { ...newer, why: 'node', nodes: [20, 22, 24, 25] },
      { ...older, why: 'node', nodes: [20] },
    ],
    happened:
      '(Node 26, linux x64, glibc 2.36): the official build is not installed; @btc-vision/uwebsockets.js 20.57.0 has ' +
      `binaries for Node 20, 22, 24 and 25 only; ${olderFor20}`,
    advice: `For the native engine, use Node 20, 22 or 24 and ${before}, or use Node 20 with the optional dependency @trufflesuite/uws-js-unofficial.`,
  },
  {
    title: 'musl',
    system: on(24, 'linux', 'x64'),
    failures: [absent(official), { ...newer, why: 'musl' }, { ...older, why: 'musl' }],
    happened:
      '(Node 24, linux x64, musl): the official build is not installed; @btc-vision/uwebsockets.js 20.57.0 needs glibc; ' +
      '@trufflesuite/uws-js-unofficial 20.30.0-unofficial.0 needs glibc',
    advice: `There are no binaries for musl (Alpine Linux). For the native engine, ${newLinux}.`,
  },
  {
    title: 'a platform without binaries',
    system: on(24, 'freebsd', 'x64'),
    failures: [absent(official), { ...newer, why: 'platform' }, { ...older, why: 'platform' }],
    happened:
      '(Node 24, freebsd x64): the official build is not installed; @btc-vision/uwebsockets.js 20.57.0 has no binary for ' +
      'this platform; @trufflesuite/uws-js-unofficial 20.30.0-unofficial.0 has no binary for this platform',
    advice: 'There are no binaries for freebsd x64, so ws is the engine to use.',
  },
  {
    title: 'a platform that only one copy has binaries for, and for one Node',
    system: on(24, 'linux', 'arm', '2.36'),
    failures: [absent(official), { ...newer, why: 'platform' }, { ...older, why: 'node', nodes: [20] }],
    happened:
      '(Node 24, linux arm, glibc 2.36): the official build is not installed; @btc-vision/uwebsockets.js 20.57.0 has no ' +
      `binary for this platform; ${olderFor20}`,
    advice: 'For the native engine, use Node 20 with the optional dependency @trufflesuite/uws-js-unofficial.',
  },
  {
    title: 'a package that is broken, and one that is an imitation',
    system: on(24, 'win32', 'x64'),
    failures: [
      { ...official, why: 'broken', cause: 'not a valid Win32 application' },
      { ...newer, why: 'imitation' },
      absent(older),
    ],
    happened:
      '(Node 24, win32 x64): the official build 20.57.0 fails with "not a valid Win32 application"; ' +
      '@btc-vision/uwebsockets.js 20.57.0 is not a native build; the optional dependency @trufflesuite/uws-js-unofficial ' +
      'is not installed (left out, as by --omit=optional)',
    advice: `For the native engine, ${newest}, or install the optional dependencies.`,
  },
];

for (const { title, system, failures, happened, advice } of rows) {
  t.test(`the line says what happened, what it costs and what to do: ${title}`, async (t) => {
    const began = `No native build of uWebSockets.js loads on this system ${happened}.`;
    t.equal(
      fallbackText(failures, ws, system),
      `${began} The server runs on ws 8.23.0 instead: all works as it does with the native engine, at about 1.5 times ` +
        `the CPU time for each frame that it sends. ${advice} To keep ws without this line, set the engine to "ws".`,
    );
    t.equal(refusalText(failures, system), `${began} ${advice} Or set the engine to "ws" or "auto".`);
  });
}

t.test(
  'an official build that does not load is told where a copy takes its place, and one that is absent is not',
  async (t) => {
    const taken: EngineInfo = { name: 'uws', ...older, origin: 'repackaged' };
    t.equal(passedOverText([absent(official), tooOld(newer)], taken, on(20, 'linux', 'x64', '2.36')), undefined);
    t.equal(
      passedOverText([tooOld(official), tooOld(newer)], taken, on(20, 'linux', 'x64', '2.36')),
      'The official build of uWebSockets.js does not load on this system (Node 20, linux x64, glibc 2.36): the official build ' +
        '20.57.0 needs glibc 2.38 or newer. The server runs on the repackaged @trufflesuite/uws-js-unofficial ' +
        `20.30.0-unofficial.0 instead. To avoid that, ${before}.`,
    );
  },
);

t.test('the reason is found from the error, the binaries there are, and the system', async (t) => {
  const root = t.testdir({
    'uws_linux_x64_115.node': 'needs GLIBC_2.4 GLIBC_2.38 GLIBC_2.9 ',
    'uws_win32_x64_127.node': '',
    'uws.js': '',
  });
  const file = join(root, 'uws_linux_x64_115.node');
  const debian12 = on(20, 'linux', 'x64', '2.36');
  const wrapped = (cause: string): string =>
    `This version of uWS.js (v20.57.0) supports only others.\n\nError: ${cause}`;
  const noFile = wrapped("Cannot find module './uws_x.node'\nRequire stack:\n- /a/uws.js\n- /b/program.js");
  const table: readonly [message: string, system: System, why: Why][] = [
    // What the loader names first, 2.33, is not the newest that the binary needs.
    [
      wrapped(`/lib/libc.so.6: version \`GLIBC_2.33' not found (required by ${file})`),
      debian12,
      { why: 'glibc', needs: '2.38' },
    ],
    [wrapped("/lib/libc.so.6: version `GLIBC_2.33' not found"), debian12, { why: 'glibc', needs: '2.33' }],
    [
      wrapped(
        'Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /a/uws_linux_x64_137.node)',
      ),
      on(24, 'linux', 'x64'),
      { why: 'musl' },
    ],
    [noFile, on(24, 'linux', 'x64', '2.41'), { why: 'node', nodes: [20] }],
    [noFile, on(24, 'win32', 'x64'), { why: 'node', nodes: [22] }],
    [noFile, on(24, 'freebsd', 'x64'), { why: 'platform' }],
    [wrapped(`${file}: invalid ELF header`), debian12, { why: 'broken', cause: `${file}: invalid ELF header` }],
    [noFile, debian12, { why: 'broken', cause: "Cannot find module './uws_x.node'" }],
  ];
  for (const [message, system, why] of table) t.strictSame(whyNot(new Error(message), root, system), why, message);

  mkdirSync(join(root, 'other/binaries'), { recursive: true });
  t.match(whyNot(new Error(noFile), join(root, 'other'), debian12), { why: 'broken' }, 'a package without binaries');
  writeFileSync(join(root, 'other/binaries/uws_linux_x64_137.node'), '');
  t.strictSame(
    whyNot(new Error(noFile), join(root, 'other'), debian12),
    { why: 'node', nodes: [24] },
    'in their folder',
  );
});

t.test('the system is seen as it is', async (t) => {
  const system = thisSystem();
  t.match(system, {
    node: Number(process.versions.node.split('.')[0]),
    abi: process.versions.modules,
    platform: process.platform,
  });
  if (process.platform !== 'linux') t.equal(system.glibc, undefined);
  else if (system.glibc !== undefined) t.match(system.glibc, /^2\.\d+$/);
});
