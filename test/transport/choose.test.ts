/** Which engine is taken, and what is said about it. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { chooseTransport } from '../../src/server/transport/choose.js';
import { loadUws } from '../../src/server/transport/uws-load.js';
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
  t.equal(chooseTransport('ws', options, log).engine, 'ws');
  if ('reasons' in loadUws()) return void t.comment('No native build here.');
  t.equal(chooseTransport('uws', options, log).engine, 'uws');
  t.equal(chooseTransport('auto', options, log).engine, 'uws');
  t.same(lines, []);
});

t.test('without a native build auto says so in one line, and uws says what to do', async (t) => {
  const choose = await t.mockImport<{ chooseTransport: typeof chooseTransport }>(
    '../../src/server/transport/choose.js',
    { '../../src/server/transport/uws-load.js': { loadUws: () => ({ reasons: ['a: too old', 'b: not installed'] }) } },
  );
  const lines: string[] = [];
  t.equal(choose.chooseTransport('auto', options, (line) => void lines.push(line)).engine, 'ws');
  t.match(lines, [/ws.*a: too old; b: not installed/]);
  t.equal(lines.length, 1);
  t.throws(() => choose.chooseTransport('uws', options, () => undefined), /a: too old; b: not installed.*Install/);
});

t.test('a loaded build is native', async (t) => {
  const loaded = loadUws();
  if ('module' in loaded) {
    t.type(loaded.module.App, 'function');
    t.ok(['uWebSockets.js', 'uws-20.57', 'uws-20.30'].includes(loaded.name));
  } else {
    t.equal(loaded.reasons.length, 3);
    for (const reason of loaded.reasons) t.notMatch(reason, /\n/);
  }
});

t.test('looking for it prints nothing, even where a build would', async (t) => {
  // A new process: a native build that is loaded twice into one crashes it at exit.
  const file = new URL('../../src/server/transport/uws-load.ts', import.meta.url).href;
  const code = `import { loadUws } from '${file}'; process.exitCode = 'module' in loadUws() ? 40 : 41;`;
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [...process.execArgv, '--input-type=module', '--eval', code],
    { env: { ...process.env, UWS_USE_FALLBACK: '1' }, encoding: 'utf8' },
  );
  t.same([stdout, stderr], ['', '']);
  t.equal(status, 'module' in loadUws() ? 40 : 41);
});
