/** A lock tells at once when it may be lost, and is always given back. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import type { Client, Lock, LockOptions, Room } from '../../src/client/types.js';
import { client, fakeServer, live, until, welcome, type FakeServer, type Peer } from './fake-server.js';
import { FakeTimers } from './fake-timers.js';
import { joinFrames, letIn, lockInfo } from './room-replies.js';

/** What `welcome` says the store's clock is at 0 of the fake timers. */
const STORE = 1_000_000;

interface Scene {
  readonly server: FakeServer;
  readonly timers: FakeTimers;
  readonly room: Room;
  readonly peer: Peer;
  readonly client: Client;
}

async function scene(t: Parameters<typeof fakeServer>[0]): Promise<Scene> {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const roomwire = client(t, server, { timers, pingTimeout: 1e9 });
  const room = roomwire.room('demo');
  const joined = room.join();
  const peer = await server.peer();
  await letIn(peer);
  await joined;
  await live(roomwire);
  return { server, timers, room, peer, client: roomwire };
}

async function grant(peer: Peer, name: string, expiresAt: number): Promise<void> {
  const { id } = await peer.call(name);
  peer.send([Op.ACK, id, { target: 'meta', token: 7, expiresAt }]);
}

async function locked(parts: Scene, options: LockOptions = { ttl: 30_000 }): Promise<Lock> {
  const lock = parts.room.lock('meta', options);
  await grant(parts.peer, 'lock:acquire', STORE + parts.timers.now() + (options.ttl ?? 30_000));
  return lock;
}

function lost(lock: Lock): Promise<void> {
  return new Promise((resolve) => {
    if (lock.signal.aborted) resolve();
    else lock.signal.addEventListener('abort', () => resolve());
  });
}

t.test('a lock held by another rejects with who has it', async (t) => {
  const { room, peer } = await scene(t);
  const lock = room.lock('meta', { msg: 'Uploading', ttl: 5_000 });
  const { id, input } = await peer.call('lock:acquire');
  t.same(input, { roomId: 'demo', target: 'meta', ttl: 5_000, msg: 'Uploading' });
  peer.send([Op.NACK, id, 205, 'held', { userName: 'Bob', msg: 'mine', leftMs: 900 }]);
  await t.rejects(lock, { name: 'lock_held', details: { userName: 'Bob' } });
});

t.test('a lock is renewed at a third of its lease, and lives as long as it is', async (t) => {
  const parts = await scene(t);
  const lock = await locked(parts);
  t.match(lock, { target: 'meta', token: 7, expiresAt: STORE + 30_000 });
  for (let i = 1; i < 6; i++) {
    parts.timers.advance(10_000);
    const { id, input } = await parts.peer.call('lock:refresh');
    t.same(input, { roomId: 'demo', target: 'meta', token: 7, ttl: 30_000 });
    parts.peer.send([Op.ACK, id, { target: 'meta', token: 7, expiresAt: STORE + i * 10_000 + 30_000 }]);
    await parts.timers.set(10_000);
  }
  t.equal(lock.expiresAt, STORE + 80_000);
  t.notOk(lock.signal.aborted);
});

t.test('a refused refresh aborts the signal', async (t) => {
  const parts = await scene(t);
  const lock = await locked(parts);
  parts.timers.advance(10_000);
  parts.peer.send([Op.NACK, (await parts.peer.call('lock:refresh')).id, 125, 'lost']);
  await lost(lock);
  t.match(lock.signal.reason, { name: 'lock_lost' });
  t.equal(await lock.release(), false, 'there is nothing to release');
});

t.test('offline, the signal aborts when the lease is over by the own clock', async (t) => {
  const parts = await scene(t);
  const lock = await locked(parts);
  parts.server.onHello = () => undefined;
  parts.peer.cut();
  await until(parts.client.state, ({ status }) => status === 'offline');
  parts.timers.advance(29_999);
  t.notOk(lock.signal.aborted);
  parts.timers.advance(1);
  t.ok(lock.signal.aborted);
});

t.test('a lease shorter than asked for is believed', async (t) => {
  const parts = await scene(t);
  const lock = parts.room.lock('meta', { ttl: 600_000 });
  await grant(parts.peer, 'lock:acquire', STORE + 9_000);
  const { signal } = await lock;
  parts.timers.advance(9_000);
  t.ok(signal.aborted);
});

t.test('the end is counted from before the request, however long the answer took', async (t) => {
  const parts = await scene(t);
  const lock = parts.room.lock('meta', { ttl: 10_000 });
  const { id } = await parts.peer.call('lock:acquire');
  parts.timers.advance(4_000);
  // A clock of the store that runs ahead of what WELCOME told.
  parts.peer.send([Op.ACK, id, { target: 'meta', token: 7, expiresAt: STORE + 99_000 }]);
  const { signal } = await lock;
  parts.timers.advance(6_000);
  t.ok(signal.aborted);
});

const update = (lock: object | null): unknown[] => ['lock:update', { roomId: 'demo', target: 'meta', lock }, null];

t.test('lock:update of an earlier holder is ignored, one after our own aborts', async (t) => {
  const parts = await scene(t);
  const lock = parts.room.lock('meta', { ttl: 30_000 });
  const { id } = await parts.peer.call('lock:acquire');
  // The ACK precedes the events of its batch: the release before us, and our own.
  parts.peer.send(
    [Op.ACK, id, { target: 'meta', token: 7, expiresAt: STORE + 30_000 }],
    [Op.EVENTS, 'room:demo', 1, update(lockInfo('meta', 's9', 1)), update(null)],
  );
  const { signal } = await lock;
  parts.peer.send([Op.EVENTS, 'room:demo', 3, update(null), update(lockInfo('meta', 's1', STORE + 30_000))]);
  parts.peer.send([Op.PING, 0]);
  await parts.peer.take(Op.PONG);
  t.notOk(signal.aborted);
  parts.peer.send([Op.EVENTS, 'room:demo', 5, update(lockInfo('meta', 's9', STORE + 60_000))]);
  await lost(await lock);
});

t.test('our own lock:update counts in the message of the ACK, too', async (t) => {
  const parts = await scene(t);
  const lock = parts.room.lock('meta', { ttl: 30_000 });
  const { id } = await parts.peer.call('lock:acquire');
  parts.peer.send(
    [Op.ACK, id, { target: 'meta', token: 7, expiresAt: STORE + 30_000 }],
    [Op.EVENTS, 'room:demo', 1, update(lockInfo('meta', 's1', STORE + 30_000))],
  );
  await lock;
  parts.peer.send([Op.EVENTS, 'room:demo', 2, update(null)]);
  await lost(await lock);
});

t.test('a room that ends takes its locks along', async (t) => {
  const parts = await scene(t);
  const lock = await locked(parts);
  parts.peer.send([Op.REMOVED, 'room:demo', 106, 'kicked']);
  await lost(lock);
});

t.test('after missed events a lock is checked at once', async (t) => {
  const parts = await scene(t);
  const lock = await locked(parts);
  parts.peer.send([Op.RESET, 'room:demo', 'e', 50, 'overrun']);
  parts.peer.send(...joinFrames((await parts.peer.call('join:room')).id, { offset: 50, subscribed: false }));
  parts.peer.send([Op.NACK, (await parts.peer.call('lock:refresh')).id, 126, 'not yours']);
  await lost(lock);
});

t.test('a message and a release go to the server with the token', async (t) => {
  const parts = await scene(t);
  const lock = await locked(parts);
  const said = lock.message('half');
  const { id, input } = await parts.peer.call('lock:msg');
  t.same(input, { roomId: 'demo', target: 'meta', token: 7, msg: 'half' });
  parts.peer.send([Op.ACK, id, { target: 'meta', token: 7, expiresAt: STORE + 30_000 }]);
  await said;
  const released = lock.release();
  parts.peer.send([Op.ACK, (await parts.peer.call('lock:release')).id, { target: 'meta', released: true }]);
  t.equal(await released, true);
  t.notOk(lock.signal.aborted, 'a release is no loss');
  t.notOk(parts.timers.delays.includes(10_000), 'no refresh is left');
});

t.test('withLock releases when its function throws, and gives on what it threw', async (t) => {
  const parts = await scene(t);
  const done = parts.room.withLock('meta', { msg: 'x' }, async (lock) => {
    t.equal(lock.token, 7);
    throw new Error('mine');
  });
  await grant(parts.peer, 'lock:acquire', STORE + 30_000);
  parts.peer.send([Op.NACK, (await parts.peer.call('lock:release')).id, 203, 'busy']);
  await t.rejects(done, { message: 'mine' });
});

t.test('withLock gives on the result', async (t) => {
  const parts = await scene(t);
  const done = parts.room.withLock('meta', {}, () => 42);
  await grant(parts.peer, 'lock:acquire', STORE + 30_000);
  parts.peer.send([Op.ACK, (await parts.peer.call('lock:release')).id, { target: 'meta', released: true }]);
  t.equal(await done, 42);
});

t.test('a lock granted after the abort is given back', async (t) => {
  const { room, peer } = await scene(t);
  const abort = new AbortController();
  const lock = room.lock('meta', { signal: abort.signal });
  const { id } = await peer.call('lock:acquire');
  abort.abort();
  await t.rejects(lock, { name: 'cancelled' });
  await peer.take(Op.CANCEL);
  peer.send([Op.ACK, id, { target: 'meta', token: 8, expiresAt: STORE + 30_000 }]);
  t.match((await peer.call('lock:release')).input, { token: 8 });
});

t.test('a refresh that a reconnect interrupts is sent again', async (t) => {
  const parts = await scene(t);
  const lock = await locked(parts);
  parts.timers.advance(10_000);
  await parts.peer.call('lock:refresh');
  const topics = { 'room:demo': { epoch: 'e', offset: 0, recovered: true } };
  parts.server.onHello = (peer, _hello, id) =>
    peer.send([Op.WELCOME, id, welcome({ resumed: true, time: STORE + parts.timers.now(), topics })]);
  parts.peer.cut();
  await until(parts.client.state, ({ status }) => status === 'offline');
  parts.timers.advance(0);
  const second = await parts.server.peer(1);
  await grant(second, 'lock:refresh', STORE + 40_000);
  await parts.timers.set(10_000);
  t.notOk(lock.signal.aborted);
});
