/** Waiting for a lock: in line, one grant at a time, and every waiter ends granted, refused or out of time. */
import t from 'tap';
import { connect } from '../../src/client/node.js';
import { Op } from '../../src/protocol/frames.js';
import { defaultLimits } from '../../src/protocol/limits.js';
import { gatedStore } from '../support/gated-store.js';
import { liveTimers } from '../support/live-timers.js';
import { ManualTime } from '../support/manual-time.js';
import { startRooms } from '../support/rooms.js';
import { testStore } from '../support/server.js';
import { until } from '../support/until.js';
import type { WireClient } from '../support/wire-client.js';

type Client = Awaited<ReturnType<Awaited<ReturnType<typeof startRooms>>['client']>>;
interface Lease {
  readonly token: number;
  readonly expiresAt: number;
  readonly waited?: number;
}

const acquire = (client: WireClient, more: object = {}): Promise<Lease> =>
  client.call<Lease>('lock:acquire', { roomId: 'r', target: 'x', ...more });
const release = (client: WireClient, { token }: Lease) =>
  client.call('lock:release', { roomId: 'r', target: 'x', token });

async function room(t: Parameters<typeof startRooms>[0], n: number, options: Parameters<typeof startRooms>[1] = {}) {
  const s = await startRooms(t, options);
  const clients: Awaited<ReturnType<typeof s.client>>[] = [];
  for (let i = 0; i < n; i++) {
    const client = await s.client();
    await client.call('join:room', { roomId: 'r', create: true });
    clients.push(client);
  }
  return { s, clients: clients as [Client, Client, Client, Client] };
}

/** A call whose answer is taken later, and its id. */
function waiting(client: WireClient, input: object, options: object = {}) {
  const id = client.nextId();
  client.send([Op.CALL, id, 'lock:acquire', { roomId: 'r', target: 'x', ...input }, options]);
  const answer = client.frame(([op, of]) => (op === Op.ACK || op === Op.NACK) && of === id);
  answer.catch(() => undefined);
  return { id, answer };
}

t.test(
  'waiters get the lock in the order they asked, each under a greater token, with no gap to slip into',
  async (t) => {
    const { clients } = await room(t, 4);
    const [a, b, c, d] = clients;
    const first = await acquire(a);
    const second = waiting(b, { wait: 60_000, msg: 'b' });
    await b.barrier();
    const third = waiting(c, { wait: 60_000, msg: 'c' });
    await c.barrier();
    // In one message: the release, and a newcomer who does not wait.
    await Promise.all([release(a, first), t.rejects(acquire(a), { code: 205, details: { msg: 'b' } })]);
    const [op, , granted] = await second.answer;
    t.equal(op, Op.ACK);
    t.ok((granted as unknown as Lease).token > first.token);
    t.type((granted as unknown as Lease).waited, 'number');
    await t.rejects(acquire(d), { code: 205, details: { msg: 'b' } }, 'the one after it still waits');
    await release(b, granted as unknown as Lease);
    const [, , last] = await third.answer;
    t.ok((last as unknown as Lease).token > (granted as unknown as Lease).token);
    const holders = a
      .events('room:r')
      .filter(([, event]) => event === 'lock:update')
      .map(([, , data]) => (data as { lock: { msg: string | null } | null }).lock?.msg);
    t.strictSame(holders, [null, 'b', 'c'], 'one event a change of hands, and never nobody in between');
  },
);

t.test('an acquire and a release in one batch leave nobody waiting for a free lock', async (t) => {
  const { clients } = await room(t, 2);
  const [a, b] = clients;
  const lease = await acquire(a);
  const [freed, next] = [release(a, lease), waiting(b, { wait: 60_000 })];
  await freed;
  t.equal((await next.answer)[0], Op.ACK);
});

t.test('who waits too long is refused with the holder, and leaves the line', async (t) => {
  const { clients } = await room(t, 3);
  const [a, b, c] = clients;
  const lease = await acquire(a, { msg: 'busy' });
  const [op, , code, , details] = await waiting(b, { wait: 30 }).answer;
  t.strictSame([op, code], [Op.NACK, 205]);
  t.match(details, { msg: 'busy', target: 'x' });
  const next = waiting(c, { wait: 60_000 });
  await c.barrier();
  await release(a, lease);
  t.equal((await next.answer)[0], Op.ACK);
});

t.test('the call’s own deadline ends the wait too', async (t) => {
  const { clients } = await room(t, 2);
  const [a, b] = clients;
  await acquire(a);
  const [op, , code] = await waiting(b, { wait: 60_000 }, { timeoutMs: 30 }).answer;
  t.strictSame([op, code], [Op.NACK, 200]);
});

t.test('CANCEL and a lost connection leave the line', async (t) => {
  const { s, clients } = await room(t, 4);
  const [a, b, c, d] = clients;
  const lease = await acquire(a);
  const cancelled = waiting(b, { wait: 60_000 });
  await b.barrier();
  waiting(c, { wait: 60_000 });
  await c.barrier();
  const last = waiting(d, { wait: 60_000 });
  await d.barrier();
  b.send([Op.CANCEL, cancelled.id]);
  t.strictSame((await cancelled.answer).slice(0, 3), [Op.NACK, cancelled.id, 113]);
  c.socket.terminate();
  await until(() => s.server.session(c.welcome.session[0])?.connected === false);
  await release(a, lease);
  t.equal((await last.answer)[0], Op.ACK);
});

t.test('a wait whose connection was lost before it was put in line leaves nothing behind', async (t) => {
  const store = gatedStore(testStore(t));
  const { s, clients } = await room(t, 3, { store });
  const [a, b, c] = clients;
  await acquire(a);
  // A commit is under way while b asks and vanishes: the call's turn comes after.
  store.hold();
  const other = acquire(c, { target: 'y' });
  await store.held();
  waiting(b, { wait: 60_000 });
  await b.barrier();
  b.socket.terminate();
  await until(() => s.server.session(b.welcome.session[0])?.connected === false);
  store.release();
  await other;
  const look = () => s.server.transact((tx) => tx.list('lock-waiters', { limit: 10 }));
  // The line is written once with the waiter and once without.
  await look();
  await b.closed;
  const lines = await look();
  t.strictSame(lines, [], 'nobody is in line');
});

t.test('however a wait ends, its timer ends with it', async (t) => {
  const time = new ManualTime();
  const { s, clients } = await room(t, 2, { time, limits: { callMaxMs: 60_000 } });
  const [a, b] = clients;
  const live = liveTimers(s.server, (ms) => t.ok(ms <= defaultLimits.lockMaxMs, `a timer of ${ms} ms`));
  const ways: Record<string, (wait: ReturnType<typeof waiting>, lease: Lease) => unknown> = {
    cancelled: ({ id }) => b.send([Op.CANCEL, id]),
    'past its deadline': () => time.advance(20_000),
    granted: (_, lease) => release(a, lease),
    'out of the room': () => b.call('leave:room', { roomId: 'r' }),
    kicked: () => s.server.plugins.rooms.kick('r', b.welcome.user.id),
    'in a room that is deleted': () => s.server.plugins.rooms.delete('r'),
    'without a connection': () => b.cut(),
  };
  for (const [name, end] of Object.entries(ways)) {
    for (const client of [a, b]) await client.call('join:room', { roomId: 'r', create: true });
    const lease = await acquire(a, { ttl: 600_000 });
    const asked = waiting(b, { wait: Number.MAX_SAFE_INTEGER }, { timeoutMs: 15_000 });
    await b.barrier();
    await until(() => live.size === 2);
    await end(asked, lease);
    const answer = await asked.answer.catch(() => undefined);
    await until(() => s.server.plugins.rooms.holders().waiting === 0);
    if (answer?.[0] === Op.ACK) await release(b, answer[2] as unknown as Lease);
    else if (!name.includes('deleted')) await release(a, lease);
    t.equal(live.size, 0, name);
  }
});

t.test('a turn that comes when nobody waits any more goes on to the next', async (t) => {
  const { clients } = await room(t, 3);
  const [a, b, c] = clients;
  const lease = await acquire(a);
  const gone = waiting(b, { wait: 60_000 });
  await b.barrier();
  const next = waiting(c, { wait: 60_000 });
  await c.barrier();
  // Whichever is heard first: the grant or the cancel.
  const freed = release(a, lease);
  b.send([Op.CANCEL, gone.id]);
  await freed;
  const [op] = await gone.answer;
  // Heard of the grant: it is b's. Else nobody holds what nobody wants.
  if (op === Op.NACK) t.equal((await next.answer)[0], Op.ACK);
  else t.equal(a.events('room:r').length > 0, true);
});

t.test('an ended lease is the first waiter’s, by itself', async (t) => {
  const { clients } = await room(t, 2, { limits: { lockMinMs: 10 } });
  const [a, b] = clients;
  const lease = await acquire(a, { ttl: 20 });
  const [op, , granted] = await waiting(b, { wait: 60_000 }).answer;
  t.equal(op, Op.ACK);
  await t.rejects(release(a, lease), { code: 125 });
  t.ok((granted as unknown as Lease).token > lease.token);
});

t.test('who leaves, is kicked, or whose room is deleted waits no longer', async (t) => {
  const { s, clients } = await room(t, 4);
  const [a, b, c, d] = clients;
  await acquire(a);
  const [left, kicked, deleted] = [b, c, d].map((client) => waiting(client, { wait: 60_000 }));
  await Promise.all([b.barrier(), c.barrier(), d.barrier()]);
  await b.call('leave:room', { roomId: 'r' });
  t.strictSame((await left?.answer)?.slice(0, 3), [Op.NACK, left?.id, 123]);
  await s.server.plugins.rooms.kick('r', c.welcome.user.id);
  t.strictSame((await kicked?.answer)?.slice(0, 3), [Op.NACK, kicked?.id, 123]);
  await s.server.plugins.rooms.delete('r');
  t.strictSame((await deleted?.answer)?.slice(0, 3), [Op.NACK, deleted?.id, 120]);
});

t.test('a line is bounded', async (t) => {
  const { clients } = await room(t, 4, { limits: { lockWaiters: 2 } });
  const [a, b, c, d] = clients;
  await acquire(a);
  waiting(b, { wait: 60_000 });
  waiting(c, { wait: 60_000 });
  await Promise.all([b.barrier(), c.barrier()]);
  const { id, answer } = waiting(d, { wait: 60_000 });
  t.strictSame((await answer).slice(0, 3), [Op.NACK, id, 202]);
});

t.test('a session has one place in the line for a lock, so that it cannot fill it', async (t) => {
  const { s, clients } = await room(t, 3, { limits: { lockWaiters: 3 } });
  const [a, b, c] = clients;
  const lease = await acquire(a);
  const places = (): number => s.server.plugins.rooms.holders().waiting;
  const first = waiting(b, { wait: 60_000 });
  await until(() => places() === 1);
  const more = Array.from({ length: 10 }, (_, n) =>
    waiting(b, { wait: 60_000 + n }, n % 2 === 0 ? {} : { key: `k${n}` }),
  );
  for (const { id, answer } of more) t.strictSame((await answer).slice(0, 3), [Op.NACK, id, 202]);
  t.equal(places(), 1);
  const own = await acquire(c, { target: 'y' });
  waiting(b, { target: 'y', wait: 60_000 });
  await until(() => places() === 2);
  t.pass('another lock has another line');
  waiting(a, { wait: 60_000 });
  await until(() => places() === 3);
  t.pass('the holder has a place too');
  await release(a, lease);
  const [op, , granted] = await first.answer;
  t.equal(op, Op.ACK, 'its own place is as it was');
  for (let i = 0; i < 3; i++) {
    // Behind the old holder, whose turn comes now and then ends.
    const again = waiting(b, { wait: 60_000 }, { timeoutMs: 40 });
    t.strictSame((await again.answer).slice(0, 3), [Op.NACK, again.id, 200], 'out of the line it may wait again');
  }
  await release(b, granted as unknown as Lease);
  await c.call('lock:release', { roomId: 'r', target: 'y', token: own.token });
});

t.test('a key makes waiting safe to repeat: the repetition gets the lease that was granted', async (t) => {
  const { clients } = await room(t, 2);
  const [a, b] = clients;
  const lease = await acquire(a);
  const first = waiting(b, { wait: 60_000 }, { key: 'k' });
  await b.barrier();
  const twice = waiting(b, { wait: 60_000 }, { key: 'k' });
  await b.barrier();
  await release(a, lease);
  const [, , granted] = await first.answer;
  t.strictSame((await twice.answer)[2], granted, 'also to one that came while the first waited');
  const again = waiting(b, { wait: 60_000 }, { key: 'k' });
  t.strictSame((await again.answer)[2], granted);
});

t.test('the host may end another’s lease, others may not', async (t) => {
  const { clients } = await room(t, 3);
  const [host, holder, other] = clients;
  const lease = await acquire(holder);
  await t.rejects(other.call('lock:force', { roomId: 'r', target: 'x' }), { code: 106 });
  t.strictSame(await host.call('lock:force', { roomId: 'r', target: 'x' }), { target: 'x', released: true });
  await t.rejects(release(holder, lease), { code: 125 });
  t.strictSame(await host.call('lock:force', { roomId: 'r', target: 'x' }), { target: 'x', released: false });
});

t.test('the SDK waits in line, and counts its lease from the grant', async (t) => {
  const { s, clients } = await room(t, 1);
  const [holder] = clients;
  const client = connect(s.url);
  t.teardown(() => client.close());
  const own = client.room('r');
  await own.join();
  const lease = await acquire(holder);
  const asked = own.lock('x', { wait: 60_000, ttl: 60_000, msg: 'sdk' });
  await client.call('room:members', { roomId: 'r' });
  await release(holder, lease);
  const lock = await asked;
  t.ok(lock.token > lease.token);
  t.notOk(lock.signal.aborted, 'the wait was not taken from the lease');
  t.equal(await lock.release(), true);
});
