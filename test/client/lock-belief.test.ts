/** Nobody believes in a lock longer than the server does, and nobody is locked out by an answer that got lost. */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Op, type Value, type Welcome } from '../../src/protocol/frames.js';
import type { Client, ConnectOptions, Lock, Room } from '../../src/client/types.js';
import { client, fakeServer, live, until, welcome, type FakeServer, type Peer } from './fake-server.js';
import { FakeTimers } from './fake-timers.js';
import { letIn } from './room-replies.js';

const STORE = 1_000_000;

interface Scene {
  readonly server: FakeServer;
  readonly timers: FakeTimers;
  readonly room: Room;
  readonly client: Client;
  readonly peer: Peer;
}

/** Where the store's clock goes with the timers', and PINGs are answered until `server.deaf`. */
async function scene(t: Test, options: ConnectOptions = {}, limits: Record<string, number> = {}): Promise<Scene> {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  let resumed = false;
  server.onHello = (peer, _hello, id) => {
    const topics: Welcome['topics'] = resumed ? { 'room:demo': { epoch: 'e', offset: 0, recovered: true } } : {};
    const merged = { messageBytes: 1e6, helloBytes: 16_384, graceMs: 15_000, graceMaxMs: 300_000, ...limits };
    peer.send([Op.WELCOME, id, welcome({ time: STORE + timers.now(), limits: merged, resumed, topics })]);
    resumed = true;
  };
  const roomwire = client(t, server, { timers, pingTimeout: 1e9, ...options });
  const room = roomwire.room('demo');
  const joined = room.join();
  const peer = await server.peer();
  await letIn(peer);
  await joined;
  await live(roomwire);
  return { server, timers, room, client: roomwire, peer };
}

const leaseOf = (timers: FakeTimers, ttl: number): Value => ({
  target: 'meta',
  token: 7,
  expiresAt: STORE + timers.now() + ttl,
});

async function locked({ room, peer, timers }: Scene, ttl = 30_000): Promise<Lock> {
  const lock = room.lock('meta', { ttl });
  peer.send([Op.ACK, (await peer.call('lock:acquire')).id, leaseOf(timers, ttl)]);
  return lock;
}

/** Answers the next PING as the server does; resolves when the answer was heard. */
async function pong({ peer, timers, client }: Scene, mine = peer): Promise<void> {
  const [, stamp = null] = await mine.take(([op, stamp]) => op === Op.PING && stamp !== null);
  mine.send([Op.PONG, stamp, STORE + timers.now()], [Op.CALL, 1, 'heard', null]);
  await mine.take(([op]) => op === Op.NACK);
  client.state.get();
}

for (const [name, grace, limits, ends] of [
  ['its lease, where that ends first', undefined, { graceMs: 60_000 }, 30_000],
  ['the grace that WELCOME tells', undefined, {}, 15_000],
  ['the grace that it asked for', 9_000, {}, 9_000],
  ['the longest grace that the server allows', 60_000, { graceMaxMs: 20_000 }, 20_000],
  ['a second, where no grace was asked for', 0, {}, 1_000],
] as const) {
  t.test(`two clients believed in one lock: cut off, belief ends with ${name}`, async (t) => {
    const parts = await scene(t, grace === undefined ? {} : { grace }, limits);
    parts.server.onHello = () => undefined;
    const lock = await locked(parts);
    parts.peer.cut();
    await until(parts.client.state, ({ status }) => status === 'offline');
    parts.timers.advance(ends - 1);
    t.notOk(lock.signal.aborted);
    parts.timers.advance(1);
    t.match(lock.signal.reason, { name: 'lock_lost' });
  });
}

t.test('a half-dead connection that only delivers looks alive no longer than the grace', async (t) => {
  const parts = await scene(t);
  const lock = await locked(parts);
  for (let at = 0; at < 15_000; at += 1_000) {
    t.notOk(lock.signal.aborted);
    parts.peer.send([Op.PING, null]);
    await parts.peer.take(Op.PONG);
    parts.timers.advance(1_000);
  }
  t.ok(lock.signal.aborted);
});

t.test(
  'while a lock is held PING goes out every third of the grace, and each answer lengthens the belief',
  async (t) => {
    const parts = await scene(t);
    const lock = await locked(parts, 300_000);
    for (let i = 0; i < 12; i++) {
      parts.timers.advance(5_000);
      await pong(parts);
    }
    t.notOk(lock.signal.aborted, 'after a minute');
    parts.timers.advance(15_000);
    t.ok(lock.signal.aborted);
  },
);

t.test('an answer that was long on its way counts from when it was asked for', async (t) => {
  const parts = await scene(t);
  const lock = await locked(parts, 300_000);
  parts.timers.advance(5_000);
  const [, stamp = null] = await parts.peer.take(Op.PING);
  parts.timers.advance(9_000);
  parts.peer.send([Op.PONG, stamp, STORE + 5_000], [Op.PING, 0]);
  await parts.peer.take(Op.PONG);
  parts.timers.advance(5_999);
  t.notOk(lock.signal.aborted);
  parts.timers.advance(1);
  t.ok(lock.signal.aborted);
});

t.test('a session that was lost takes its locks along with WELCOME', async (t) => {
  const parts = await scene(t);
  const lock = await locked(parts);
  parts.server.onHello = (peer, _hello, id) => peer.send([Op.WELCOME, id, welcome({ resumed: false })]);
  parts.peer.cut();
  await until(parts.client.state, ({ status }) => status === 'offline');
  parts.timers.advance(0);
  await until(parts.client.state, ({ status }) => status === 'live');
  t.ok(lock.signal.aborted);
});

async function back({ server, peer, timers, client }: Scene, number = 1): Promise<Peer> {
  peer.cut();
  await until(client.state, ({ status }) => status === 'offline');
  timers.advance(0);
  const next = await server.peer(number);
  await live(client);
  return next;
}

t.test('a lost answer to lock() is asked for again with the same key, and is the lock', async (t) => {
  const parts = await scene(t);
  const lock = parts.room.lock('meta');
  const first = await parts.peer.call('lock:acquire');
  const next = await back(parts);
  const again = await next.call('lock:acquire');
  t.same(again.options, first.options);
  t.match(first.options, { key: /.+/ });
  next.send([Op.ACK, again.id, leaseOf(parts.timers, 30_000)]);
  t.equal((await lock).token, 7);
  t.match((await next.call('lock:refresh')).input, { token: 7 }, 'what was told again is checked');
});

for (const how of ['deadline', 'cancelled'] as const) {
  t.test(`a lock whose answer got lost is given back after a resume when lock() ended with ${how}`, async (t) => {
    const parts = await scene(t);
    const abort = new AbortController();
    const lock = parts.room.lock('meta', { signal: abort.signal, timeoutMs: 5_000 });
    const { options } = await parts.peer.call('lock:acquire');
    if (how === 'deadline') parts.timers.advance(5_000);
    else abort.abort();
    await t.rejects(lock, { name: how });
    const next = await back(parts);
    const again = await next.call('lock:acquire');
    t.same(again.options, options);
    t.same(await next.take(Op.CANCEL), [Op.CANCEL, again.id], 'nothing is taken for it now');
    next.send([Op.ACK, again.id, leaseOf(parts.timers, 30_000)]);
    t.match((await next.call('lock:release')).input, { token: 7 });
  });
}

t.test('a lock that is over when it is told is no lock, and is given back', async (t) => {
  const parts = await scene(t);
  const lock = parts.room.withLock('meta', { ttl: 5_000 }, () => t.fail('ran without a lock'));
  const { id } = await parts.peer.call('lock:acquire');
  parts.timers.advance(6_000);
  parts.peer.send([Op.ACK, id, { target: 'meta', token: 7, expiresAt: STORE + 5_000 }]);
  await t.rejects(lock, { name: 'lock_lost' });
  t.match((await parts.peer.call('lock:release')).input, { token: 7 });
});

t.test('what belief ended without the server’s word is given back', async (t) => {
  const parts = await scene(t);
  const lock = await locked(parts, 300_000);
  parts.timers.advance(15_000);
  t.ok(lock.signal.aborted);
  t.match((await parts.peer.call('lock:release')).input, { token: 7 });
});

t.test('a release that could not be told in its time is told later', async (t) => {
  const parts = await scene(t, { grace: 300_000 });
  const lock = await locked(parts);
  const released = lock.release();
  await parts.peer.call('lock:release');
  parts.timers.advance(10_000);
  await t.rejects(released, { name: 'deadline' });
  t.match((await (await back(parts)).call('lock:release')).input, { token: 7 });
});

t.test('another session’s key is no answer: a new one is asked with', async (t) => {
  const parts = await scene(t);
  const lock = parts.room.lock('meta');
  const first = await parts.peer.call('lock:acquire');
  parts.peer.send([Op.NACK, first.id, 111, 'of another session']);
  const again = await parts.peer.call('lock:acquire');
  t.notSame(again.options, first.options);
  parts.peer.send([Op.ACK, again.id, leaseOf(parts.timers, 30_000)]);
  await lock;
});

t.test('waiting for longer than callMaxMs ends with lock_held, and not before its time', async (t) => {
  const parts = await scene(t, {}, { callMaxMs: 60_000 });
  for (const code of [205, 200]) {
    const lock = parts.room.lock('meta', { wait: 100_000 });
    lock.catch(() => undefined);
    for (const left of [100_000, 40_000, 0]) {
      const { id, input } = await parts.peer.call('lock:acquire');
      t.match(input, { wait: left });
      if (left > 0) parts.timers.advance(Math.min(left, 60_000));
      parts.peer.send([Op.NACK, id, left > 0 ? code : 205, 'held']);
      if (left === 40_000 && code === 205) break;
    }
    await t.rejects(lock, { name: 'lock_held' });
  }
});

t.test('however answers are late and connections cut, belief ends before the server’s does', async (t) => {
  const step = fc.record({
    pass: fc.integer({ min: 0, max: 6_000 }),
    answer: fc.boolean(),
    late: fc.integer({ min: 0, max: 3_000 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      const parts = await scene(t);
      const { peer, timers } = parts;
      const lock = await locked(parts, 300_000);
      /** When the server last knew this connection to be alive. */
      let alive = 0;
      for (const { pass, answer, late } of steps) {
        timers.advance(pass);
        if (lock.signal.aborted) break;
        const ping = peer.frames.findIndex(([op, stamp]) => op === Op.PING && stamp !== null);
        if (!answer || ping < 0) continue;
        const [[, stamp = null] = []] = peer.frames.splice(ping, 1);
        alive = timers.now();
        timers.advance(late);
        peer.send([Op.PONG, stamp, STORE + alive], [Op.PING, 0]);
        await peer.take(Op.PONG);
      }
      timers.advance(Math.max(0, alive + 15_000 - timers.now()));
      t.ok(lock.signal.aborted, JSON.stringify(steps));
      parts.client.close();
    }),
    { numRuns: 25, seed: 11 },
  );
});
