import t from 'tap';
import type { WireClient } from '../support/wire-client.js';
import { startRooms } from '../support/rooms.js';

interface Lease {
  readonly token: number;
  readonly expiresAt: number;
}

const acquire = (client: WireClient, more: object = {}): Promise<Lease> =>
  client.call<Lease>('lock:acquire', { roomId: 'r', target: 'x', ...more });

async function pair(t: Parameters<typeof startRooms>[0], options: Parameters<typeof startRooms>[1] = {}) {
  const s = await startRooms(t, options);
  const [a, b] = [await s.client(), await s.client()];
  await a.call('join:room', { roomId: 'r', create: true });
  await b.call('join:room', { roomId: 'r' });
  return { s, a, b };
}

t.test(
  'rule 6: a lease that is not renewed ends by itself: told to all, its token dead, the next one greater',
  async (t) => {
    const { a, b, s } = await pair(t, { limits: { lockMinMs: 10 } });
    const lease = await acquire(a, { ttl: 20, msg: 'short' });
    t.match(await b.event('room:r', 'lock:update', 2), { roomId: 'r', target: 'x', lock: null });
    await t.rejects(a.call('lock:refresh', { roomId: 'r', target: 'x', token: lease.token }), { code: 125 });
    const next = await acquire(b);
    t.ok(next.token > lease.token);
    await t.rejects(a.call('lock:release', { roomId: 'r', target: 'x', token: lease.token }), {
      code: 125,
      details: { holder: { userName: b.welcome.user.name } },
    });
    t.same(s.log.errors, []);
  },
);

t.test('rule 6: a renewed lease outlives its first term', async (t) => {
  const { a, b } = await pair(t, { limits: { lockMinMs: 10 } });
  const first = await acquire(a, { ttl: 300 });
  const renewed = await a.call<Lease>('lock:refresh', { roomId: 'r', target: 'x', token: first.token, ttl: 60_000 });
  t.equal(renewed.token, first.token, 'a refresh keeps the token');
  t.ok(renewed.expiresAt > first.expiresAt + 50_000);
  // Another lock of the first one's length begins later and ends: the first term is over then.
  await b.call('lock:acquire', { roomId: 'r', target: 'later', ttl: 350 });
  const ended = (): boolean =>
    b.events('room:r').some(([, , data]) => {
      const { target, lock } = data as { target?: string; lock?: unknown };
      return target === 'later' && lock === null;
    });
  while (!ended()) await b.barrier();
  await t.rejects(acquire(b), { code: 205 });
});

t.test('the refusal names the holder, the message and the time left, never the token', async (t) => {
  const { a, b } = await pair(t);
  await acquire(a, { ttl: 30_000, msg: 'Editing' });
  const refusal = await acquire(b).catch((error: unknown) => error as Error & { details: Record<string, unknown> });
  const { details, message } = refusal as Error & { details: Record<string, unknown> };
  t.match(message, /x is held by .* for \d+ s more: Editing/);
  t.match(details, { target: 'x', userName: a.welcome.user.name, sid: a.welcome.session[0], msg: 'Editing' });
  t.ok((details['expiresInMs'] as number) > 0 && (details['expiresInMs'] as number) <= 30_000);
  t.notOk('token' in details);
  await t.rejects(acquire(a), { code: 205 }, 'not even the holder gets it twice');
});

t.test('a message is changed by the holder alone, and told when it really changes (rule 7)', async (t) => {
  const { a, b } = await pair(t);
  const { token } = await acquire(a, { msg: 'one' });
  await a.call('lock:msg', { roomId: 'r', target: 'x', token, msg: 'one' });
  await a.call('lock:msg', { roomId: 'r', target: 'x', token, msg: 'two' });
  await t.rejects(b.call('lock:msg', { roomId: 'r', target: 'x', token, msg: 'mine' }), { code: 126 });
  await a.call('lock:refresh', { roomId: 'r', target: 'x', token });
  await a.call('lock:release', { roomId: 'r', target: 'x', token });
  await b.event('room:r', 'lock:update', 3);
  await b.barrier();
  t.match(
    b.events('room:r').map(([, event, data]) => [event, (data as { lock: { msg: string } | null }).lock?.msg]),
    [
      ['lock:update', 'one'],
      ['lock:update', 'two'],
      ['lock:update', undefined],
    ],
  );
});

t.test('rule 4: a room has at most limits.locks locks, and a lease is no longer than limits.lockMaxMs', async (t) => {
  const { a } = await pair(t, { limits: { locks: 2, lockMaxMs: 5_000 } });
  const before = Date.now();
  const { expiresAt } = await acquire(a, { ttl: 999_999_999 });
  t.ok(expiresAt <= Date.now() + 5_000 && expiresAt >= before + 5_000 - 1_000);
  await acquire(a, { target: 'y' });
  await t.rejects(acquire(a, { target: 'z' }), { code: 202 });
  await t.rejects(acquire(a, { target: 'y'.repeat(200) }), { code: 105 });
});

t.test('leaving releases what one holds; a permanently locked room gives no locks', async (t) => {
  const { a, b, s } = await pair(t);
  await acquire(a);
  await a.call('presenter:take', { roomId: 'r' });
  await a.call('leave:room', { roomId: 'r' });
  await b.event('room:r', 'lock:update', 2);
  t.match(await acquire(b), { token: Number });
  t.equal(s.server.plugins.rooms.presenterOf('r'), null);
  await s.server.plugins.rooms.update('r', { locked: true });
  await t.rejects(acquire(b, { target: 'other' }), { code: 122 });
});

t.test('the program may end any lock by force; its holder is told and its token is dead', async (t) => {
  const { a, s } = await pair(t);
  const { token } = await acquire(a);
  t.equal(await s.server.plugins.rooms.locks.forceRelease('r', 'x'), true);
  t.equal(await s.server.plugins.rooms.locks.forceRelease('r', 'x'), false);
  t.match(await a.event('room:r', 'lock:update', 2), { lock: null });
  await t.rejects(a.call('lock:release', { roomId: 'r', target: 'x', token }), { code: 125 });
});
