/** `roomwire conform` as it is typed: what it prints, and that every failure is a line and exit code 1. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { vectorsFolder } from '../../src/conform/vectors.js';
import { startConform } from '../protocol/conform-server.js';
import { startCli, type CliTest } from '../support/cli.js';

async function run(t: CliTest, args: readonly string[]) {
  const child = startCli(t, ['conform', ...args]);
  let out = '';
  let err = '';
  child.stdout?.on('data', (text: Buffer) => (out += text.toString()));
  child.stderr?.on('data', (text: Buffer) => (err += text.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

t.test('a server is checked, in TAP or in JSON lines', async (t) => {
  const { url } = await startConform(t);
  const tap = await run(t, ['server', url, '--only', 'RW-ENC-1']);
  t.match(tap, {
    code: 0,
    out: /^TAP version 14\n(ok \d+ - [^\n]+\n)+1\.\.\d+\n# \d+ passed, 0 failed, 0 skipped\n$/,
    err: '',
  });
  const json = await run(t, ['server', url, '--only', 'RW-CON-9', '--json']);
  t.equal(json.code, 0);
  const lines = json.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.match(lines.at(-1), { failed: 0 });
});

t.test('what is wrong is one line, and exit code 1', async (t) => {
  const dir = t.testdir();
  cpSync(vectorsFolder, dir, { recursive: true });
  const file = join(dir, 'negative.json');
  writeFileSync(file, readFileSync(file, 'utf8').replace('"when"', '"whem":1,"when"'));
  const unknown = await run(t, ['server', 'ws://127.0.0.1:1', '--vectors', dir]);
  t.match(unknown, { code: 1, out: '' });
  t.match(unknown.err, /negative\.json: [^\n]*whem[^\n]*\n$/, 'a vector with an unknown field');

  const silent = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  const quiet = await run(t, ['server', `ws://127.0.0.1:${port}`, '--timeout', '200']);
  t.match(
    quiet,
    { code: 1, err: /^roomwire: RW-HEL-2: [^\n]+ RW-CON-1: no answer to the upgrade\n$/ },
    'a silent server',
  );

  const hangs = await run(t, ['client', '--timeout', '200', '--only', 'hello-and-ping', '--', 'sleep', '60']);
  t.match(
    hangs,
    { code: 1, out: /not ok 1 - hello-and-ping: [^\n]+\n# RW-HEL-1 [^\n]*did not tell/ },
    'a driver that hangs',
  );
  const ends = await run(t, ['client', '--only', 'hello-and-ping', '--', 'false']);
  t.match(ends, { code: 1, out: /the driver ended with 1/ }, 'one that ends');
  t.match(await run(t, ['neither', 'x']), { code: 2, err: /conform takes server or client/ });
  t.match(await run(t, ['--help']), { code: 0, out: /roomwire conform server <url>/ });
});
