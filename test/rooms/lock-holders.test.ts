/** Tokens come from one counter, so they can be guessed: each way to use one asks who holds the lock. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import type { HttpCaller } from '../../src/server/api.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

const [CI, CI_NEW, CRON, BARE, BARE2] = ['ci-key', 'ci-new-key', 'cron-key', 'bare-key', 'other-key'].map((name) =>
  `${name}-0123456789abcdef`.slice(0, 24),
) as [string, string, string, string, string];
const auth = { secret: SECRET, apiKeys: [`ci=${CI}`, `ci=${CI_NEW}`, `cron=${CRON}`, BARE, BARE2] };
const admission = { requestsPerSecondPerAddress: 0, badTokensPerSecondPerAddress: 0 };
const everyone = { create: true, see: true, join: true, edit: true, lock: true, delete: true } as Record<
  string,
  boolean
>;

/** A room `r` whose members ann and bob may do everything to it, and each caller's way to ask. */
async function start(t: Test, options = {}) {
  const s = await startServer(t, {
    contract: roomContract,
    plugins: [rooms({ access: ({ action }) => everyone[action] === true }), http()] as const,
    auth,
    admission,
    ...options,
  });
  const tokens = { ann: await tokenFor('ann'), bob: await tokenFor('bob'), 'api-key': await tokenFor('api-key') };
  const bearers: Record<string, string> = { ...tokens, ci: CI, ciNew: CI_NEW, cron: CRON, bare: BARE, bare2: BARE2 };
  bearers['server'] = await tokenFor('server');
  const ask = async (
    who: string,
    method: string,
    path: string,
    { token, body }: { token?: number; body?: object } = {},
  ) => {
    const response = await fetch(`${s.http}/api/rooms/r${path}`, {
      method,
      headers: {
        authorization: `Bearer ${bearers[who] as string}`,
        ...(token === undefined ? {} : { 'lock-token': String(token) }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
  };
  const ann = await s.client({ token: tokens.ann });
  await ann.call('join:room', { roomId: 'r', create: true });
  const bob = await s.client({ token: tokens.bob });
  await bob.call('join:room', { roomId: 'r' });
  const callers: Record<string, HttpCaller> = {
    ann: { kind: 'user', user: { id: 'ann', name: 'ann' } },
    bob: { kind: 'user', user: { id: 'bob', name: 'bob' } },
  };
  return { ...s, ask, ann, bob, api: s.server.plugins.rooms, callers, tokens };
}
type Started = Awaited<ReturnType<typeof start>>;

/** How each kind of holder takes the lock, and who of all may use its token. */
const holders: Record<string, { take: (s: Started) => Promise<number>; may: readonly string[] }> = {
  'a session': {
    take: async ({ ann }) => (await ann.call<{ token: number }>('lock:acquire', { roomId: 'r' })).token,
    may: ['ann', 'ci', 'ciNew', 'cron', 'bare', 'bare2'],
  },
  'a user over HTTP': {
    take: async ({ ask }) => (await ask('ann', 'POST', '/locks/trajectory:meta')).body['token'] as number,
    may: ['ann', 'ci', 'ciNew', 'cron', 'bare', 'bare2'],
  },
  'a key with a name': {
    take: async ({ ask }) => (await ask('ci', 'POST', '/locks/trajectory:meta')).body['token'] as number,
    may: ['ci', 'ciNew'],
  },
  'a bare key': {
    take: async ({ ask }) => (await ask('bare', 'POST', '/locks/trajectory:meta')).body['token'] as number,
    may: ['bare'],
  },
  'the program': { take: async ({ api }) => (await api.locks.acquire({ roomId: 'r' })).token, may: [] },
};
const askers = ['ann', 'bob', 'api-key', 'server', 'ci', 'ciNew', 'cron', 'bare', 'bare2'];

for (const [holder, { take, may }] of Object.entries(holders)) {
  t.test(`the token of a lock that ${holder} holds opens nothing to others, whatever they ask for`, async (t) => {
    const s = await start(t);
    const token = await take(s);
    for (const who of askers) {
      const mine = may.includes(who);
      const refused = { status: 409, body: { name: 'not_holder', code: 126 } };
      const patch = await s.ask(who, 'PATCH', '', { token, body: { description: `by ${who}` } });
      const renewed = await s.ask(who, 'PATCH', '/locks/trajectory:meta', { token, body: { msg: `of ${who}` } });
      t.match(patch, mine ? { status: 200 } : refused, `PATCH of the room by ${who}`);
      t.match(renewed, mine ? { status: 200 } : refused, `PATCH of the lock by ${who}`);
      if (mine) continue;
      t.match(await s.ask(who, 'DELETE', '/locks/trajectory:meta', { token }), refused, `DELETE of the lock by ${who}`);
      t.match(await s.ask(who, 'DELETE', '', { token }), refused, `DELETE of the room by ${who}`);
    }
    const bob = s.callers['bob'] as HttpCaller;
    const lock = { token };
    await t.rejects(
      s.api.write('r', () => t.fail('written'), { lock }, bob),
      { name: 'not_holder' },
    );
    for (const call of ['lock:refresh', 'lock:msg', 'lock:release']) {
      await t.rejects(s.bob.call(call, { roomId: 'r', token, msg: null }), { code: 126 });
    }
    t.match(await s.ask('bob', 'DELETE', '/locks/trajectory:meta', { token: token - 1 }), {
      status: 409,
      body: { name: 'lock_lost' },
    });
    // The program vouches for what it does without an asker.
    t.equal(await s.api.write('r', () => 'written', { lock }), 'written');
    const last = may[0];
    if (last === undefined) await s.api.locks.release({ roomId: 'r', token });
    else t.equal((await s.ask(last, 'DELETE', '/locks/trajectory:meta', { token })).status, 204);
    t.same((await s.ask('ann', 'GET', '/locks')).body['locks'], [], 'it is free');
  });
}

t.test('where guests are let in, the token alone is enough: each of their requests is another guest', async (t) => {
  const s = await startServer(t, { contract: roomContract, plugins: [rooms(), http()] as const });
  await s.server.plugins.rooms.create('r');
  const ask = (method: string, path: string, headers = {}) =>
    fetch(`${s.http}/api/rooms/r${path}`, { method, headers });
  const { token } = (await (await ask('POST', '/locks/x')).json()) as { token: number };
  t.equal((await ask('DELETE', '/locks/x', { 'lock-token': String(token) })).status, 204);
});

t.test('others see the name of a key, and never what a key is told from others by', async (t) => {
  const s = await start(t);
  await s.ask('ci', 'POST', '/locks/a');
  await s.ask('bare', 'POST', '/locks/b');
  const { body } = await s.ask('ann', 'GET', '/locks');
  t.match(body['locks'], [
    { target: 'a', userId: 'api-key:ci', userName: 'ci' },
    { target: 'b', userId: 'api-key', userName: 'backend' },
  ]);
  t.notMatch(JSON.stringify(body), /holder|#/);
});
