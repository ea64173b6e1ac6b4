/** docs/from-socketio.md: its chat type-checks and runs as printed, and what it says of calls is so. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import * as v from 'valibot';
import { connect } from '../../src/client/node.js';
import { defineContract } from '../../src/protocol/contract.js';
import { freePort } from '../support/free-port.js';
import { startServer } from '../support/server.js';

const root = new URL('../..', import.meta.url).pathname;
const text = readFileSync(join(root, 'docs/from-socketio.md'), 'utf8');

t.test('the chat of the guide type-checks and works as printed', async (t) => {
  const port = String(await freePort());
  const dir = t.testdir();
  for (const [, code = '', name = ''] of text.matchAll(/```ts\n(\/\/ (\S+)\n[^]*?)```/g)) {
    writeFileSync(join(dir, name), code.replaceAll('8420', port));
  }
  const options = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { noEmit: true, paths: {} },
    include: ['*.ts'],
  };
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(options));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  t.equal(
    spawnSync(process.execPath, [tsc, '-p', dir], { encoding: 'utf8' }).stdout,
    '',
    'the compiler has nothing to say',
  );
  const start = (file: string) => {
    const child = spawn(process.execPath, ['--import', 'tsx', file], {
      cwd: dir,
      env: { ...process.env, NODE_OPTIONS: '', TSX_TSCONFIG_PATH: join(root, 'tsconfig.build.json') },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.teardown(() => child.kill('SIGKILL'));
    return createInterface({ input: child.stdout });
  };
  await once(start('server.ts'), 'line');
  const lines: string[] = [];
  for await (const line of start('client.ts')) if (lines.push(line) === 3) break;
  t.match(lines, [/^\w+-\d+: hello$/, '{ matched: 1 }', 'not_member join chat_8 first']);
});

t.test('a call that has no handler is answered, and so is one that is not in the contract', async (t) => {
  const contract = defineContract({ calls: { join_room: { input: v.unknown() } } });
  const { url } = await startServer(t, { contract });
  const client = connect(url);
  t.teardown(() => client.close());
  for (const name of ['join_room', 'join_rom'])
    await t.rejects(client.call(name, {}), { name: 'unknown_call', code: 102 });
});

t.test('every file that the guide names is there', async (t) => {
  for (const [, target = ''] of text.matchAll(/\]\((?!http)([^)#]+)/g))
    t.ok(existsSync(join(root, 'docs', target)), target);
});
