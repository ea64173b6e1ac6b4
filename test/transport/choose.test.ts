/** Which engine is taken, and what is said about it. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { checkEngine, chooseBuild, chooseTransport } from '../../src/server/transport/choose.js';
import { loadUws, type UwsLoaded } from '../../src/server/transport/uws-load.js';
import type { TransportOptions } from '../../src/server/transport/transport.js';

const options: TransportOptions = {
  messageBytes: 1,
  bodyBytes: 1,
  maxBufferedBytes: 1,
  chooseSubprotocol: () => undefined,
  open: () => ({ message: () => undefined, drained: () => undefined, closed: () => undefined }),
  request: () => Promise.reject(new Error('none expected')),
  failed: () => undefined,
};

t.test('the engine that is asked for is taken, and auto takes the native one where it loads', async (t) => {
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  t.match(chooseTransport('ws', options, log).engine, { name: 'ws', package: 'ws', version: /^8\.\d+\.\d+$/ });
  if (!('module' in loadUws())) return void t.comment('No native build here.');
  t.equal(chooseTransport('uws', options, log).engine.name, 'uws');
  t.equal(chooseTransport('auto', options, log).engine.name, 'uws');
  t.same(lines, []);
});

t.test('without a native build auto says so in one line, and uws says what to do', async (t) => {
  const loaded: UwsLoaded = { failures: [{ package: 'uWebSockets.js', why: 'absent' }] };
  const lines: string[] = [];
  t.equal(
    chooseBuild(loaded, (line) => void lines.push(line)),
    undefined,
  );
  t.match(lines, [/^No native build .+ is not installed\. The server runs on ws 8\.\d+\.\d+ instead: [^\n]+$/]);
  t.equal(lines.length, 1);
  t.throws(() => checkEngine('uws', () => loaded), /^No native build .+ is not installed\. .+"ws" or "auto"/);
});

t.test('an official build that is installed and does not load is told, though a copy takes its place', async (t) => {
  const loaded = loadUws();
  if (!('module' in loaded)) return void t.comment('No native build here.');
  const broken = { package: 'uWebSockets.js', version: '20.57.0', why: 'broken', cause: 'a bit is wrong' } as const;
  const lines: string[] = [];
  const build = { ...loaded, failures: [broken] };
  t.equal(
    chooseBuild(build, (line) => void lines.push(line)),
    build,
  );
  t.match(lines, [
    /^The official build of uWebSockets\.js does not load .+a bit is wrong.+ The server runs on .+ instead/,
  ]);
});

t.test('looking for it prints nothing, even where a build would', async (t) => {
  // A new process: a native build that is loaded twice into one crashes it at exit.
  const file = new URL('../../src/server/transport/uws-load.ts', import.meta.url).href;
  const code = `import { loadUws } from '${file}'; process.exitCode = 'module' in loadUws() ? 40 : 41;`;
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', code],
    { env: { ...process.env, NODE_OPTIONS: '', UWS_USE_FALLBACK: '1' }, encoding: 'utf8' },
  );
  t.same([stdout, stderr], ['', '']);
  t.equal(status, 'module' in loadUws() ? 40 : 41);
});
