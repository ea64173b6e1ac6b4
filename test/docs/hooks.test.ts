/** The Python backend of docs/hooks.md is run as printed. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as v from 'valibot';
import t from 'tap';
import { hooks } from '../../src/hooks/hooks.js';
import { defineContract } from '../../src/protocol/contract.js';
import { policy } from '../../src/policy/policy.js';
import { rooms } from '../../src/rooms/rooms.js';
import { HOOKS_SECRET } from '../support/backend.js';
import { roomContract } from '../support/rooms.js';
import { startServer } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

const document = readFileSync(new URL('../../docs/hooks.md', import.meta.url), 'utf8');
const python = ['python3', 'python'].find((name) => spawnSync(name, ['-c', 'import http.server']).status === 0);
const skip = python === undefined && 'there is no Python here';

t.test('the backend in Python lets in, answers calls and questions, and hears who joins', { skip }, async (t) => {
  const program = join(t.testdir(), 'backend.py');
  writeFileSync(program, /```python\n([\s\S]*?)```/.exec(document)?.[1] as string);
  const child = spawn(python as string, [program, '0'], {
    env: { ...process.env, ROOMWIRE_HOOKS_SECRET: HOOKS_SECRET },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => ((await lines.next()) as { value: string }).value;
  const port = (await line()).replace('listening on ', '');
  const url = `http://127.0.0.1:${port}/hooks`;
  const contract = defineContract({ use: [roomContract], calls: { 'export:start': { input: v.unknown() } } });
  const s = await startServer(t, {
    contract,
    auth: { secret: SECRET },
    plugins: [
      rooms(),
      hooks({ url, secret: HOOKS_SECRET, events: ['connect', 'join', 'leave'], calls: ['export:start'] }),
      policy({ topics: { 'room:{id}': { join: ['hook'], administer: ['hook'] } } }),
    ] as const,
  });
  const ann = await s.client({ token: await tokenFor('ann') });
  t.match(ann.welcome.user, { id: 'ann', plan: 'free' });
  await t.rejects(s.client({ token: await tokenFor('mallory') }), { message: /4006 not you/ });
  t.same(await ann.call('export:start', { frames: 3 }), { job: 'ann-3' });
  await t.rejects(ann.call('export:start', { frames: 'all' }), { code: 105, message: 'frames: a whole number' });
  await ann.call('join:room', { roomId: 'r', create: true });
  t.equal(await line(), 'join r ann');
  await t.rejects(ann.call('member:kick', { roomId: 'r', userId: 'ann' }), { code: 106 });
  await ann.call('leave:room', { roomId: 'r' });
  t.equal(await line(), 'leave r ann');
  const forged = await fetch(url, { method: 'POST', body: '{}', headers: { 'roomwire-signature': 'v1=00' } });
  t.equal(forged.status, 401);
});
