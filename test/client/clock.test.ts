/** A wall clock that is set is no sleep, a sleep is one, and a page that comes back asks at once. */
import t, { type Test } from 'tap';
import { Op } from '../../src/protocol/frames.js';
import type { Client, ConnectOptions, Lock, Room } from '../../src/client/types.js';
import { client, fakeServer, live, until, welcome, type FakeServer, type Peer } from './fake-server.js';
import { FakeTimers } from './fake-timers.js';
import { letIn } from './room-replies.js';

const STORE = 1_000_000;
const HOUR = 3_600_000;

interface Scene {
  readonly server: FakeServer;
  readonly timers: FakeTimers;
  readonly client: Client;
  readonly room: Room;
  readonly peer: Peer;
}

async function scene(t: Test, options: ConnectOptions = {}): Promise<Scene> {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  server.onHello = (peer, _hello, id) =>
    peer.send([
      Op.WELCOME,
      id,
      welcome({
        time: STORE + timers.now(),
        limits: { messageBytes: 1e6, helloBytes: 16_384, graceMs: 1e9, graceMaxMs: 1e9 },
      }),
    ]);
  const roomwire = client(t, server, { timers, ...options });
  const room = roomwire.room('demo');
  const joined = room.join();
  const peer = await server.peer();
  await letIn(peer);
  await joined;
  await live(roomwire);
  return { server, timers, client: roomwire, room, peer };
}

async function locked({ room, peer, timers }: Scene, storeAhead = 0): Promise<Lock> {
  const lock = room.lock('meta', { ttl: 30_000 });
  const { id } = await peer.call('lock:acquire');
  const expiresAt = STORE + storeAhead + timers.now() + 30_000;
  peer.send([Op.ACK, id, { target: 'meta', token: 7, expiresAt }]);
  return lock;
}

/** Answers the PING of a suspicion with what the store's clock says. */
async function tell({ peer }: Scene, time: number): Promise<void> {
  const [, stamp = null] = await peer.take(([op, stamp]) => op === Op.PING && stamp !== null);
  peer.send([Op.PONG, stamp, time], [Op.PING, 0]);
  await peer.take(Op.PONG);
}

t.test(
  'a wall clock that is set forward ends no lock: the server says that no time went by, and what waited is sent',
  async (t) => {
    const parts = await scene(t);
    const lock = await locked(parts);
    parts.timers.jump(HOUR);
    const said = lock.message('still here');
    await tell(parts, STORE);
    const { id } = await parts.peer.call('lock:msg');
    t.notOk(lock.signal.aborted);
    parts.peer.send([Op.ACK, id, { target: 'meta', token: 7, expiresAt: STORE + 30_000 }]);
    await said;
    t.equal(parts.client.now(), STORE);
    const run = parts.room.withLock('other', {}, (other) => other.signal.aborted);
    parts.peer.send([
      Op.ACK,
      (await parts.peer.call('lock:acquire')).id,
      { target: 'other', token: 8, expiresAt: STORE + 30_000 },
    ]);
    parts.peer.send([Op.ACK, (await parts.peer.call('lock:release')).id, { target: 'other', released: true }]);
    t.equal(await run, false);
  },
);

t.test(
  'after a sleep nothing is sent before the server told how long it was, and locks that are over know it',
  async (t) => {
    const parts = await scene(t);
    const lock = await locked(parts);
    parts.timers.jump(45_000);
    const call = parts.client.call('app:write', { token: lock.token }).catch(() => undefined);
    const [, stamp = null] = await parts.peer.take(([op, stamp]) => op === Op.PING && stamp !== null);
    t.notOk(
      parts.peer.frames.some(([op]) => op === Op.CALL),
      'it is held back',
    );
    parts.peer.send([Op.PONG, stamp, STORE + 45_000], [Op.CALL, 9, 'then', null]);
    await parts.peer.take(([op, id]) => op === Op.NACK && id === 9);
    t.ok(lock.signal.aborted);
    t.equal(parts.client.now(), STORE + 45_000);
    parts.peer.send([Op.ACK, (await parts.peer.call('app:write')).id, null]);
    await call;
  },
);

t.test('an answer to what was asked before the sleep tells nothing of it', async (t) => {
  const parts = await scene(t);
  const lock = await locked(parts);
  parts.timers.advance(25_000);
  const [, before = null] = await parts.peer.take(([op, stamp]) => op === Op.PING && stamp !== null);
  const renew = await parts.peer.call('lock:refresh');
  parts.peer.send([Op.ACK, renew.id, { target: 'meta', token: 7, expiresAt: STORE + 55_000 }], [Op.PING, 0]);
  await parts.peer.take(Op.PONG);
  parts.timers.jump(HOUR);
  parts.timers.advance(1);
  parts.client.call('x', null).catch(() => undefined);
  parts.peer.send([Op.PONG, before, STORE + 25_000]);
  await tell(parts, STORE + 25_001 + HOUR);
  t.ok(lock.signal.aborted);
});

t.test('an answer to an earlier question sends nothing of what a suspected sleep holds back', async (t) => {
  let report!: (error: unknown) => void;
  const told = new Promise<unknown>((resolve) => (report = resolve));
  const parts = await scene(t, { onError: report });
  const { peer, timers } = parts;
  timers.advance(25_000);
  const [, before = null] = await peer.take(([op, stamp]) => op === Op.PING && stamp !== null);
  timers.jump(HOUR);
  timers.advance(1);
  parts.client.call('app:write', null).catch(() => undefined);
  await peer.take(Op.PING);
  // The error says that all before it was handled: an answer to a PING would be held back, too.
  peer.send([Op.PONG, before, STORE + 25_000], [Op.PING, 0], [Op.NACK, 0, 106, 'told']);
  t.match(await told, { name: 'forbidden' });
  parts.client.close();
  await peer.take(Op.BYE);
  t.same(peer.frames, []);
});

for (const [name, away] of [
  ['the server does not answer', false],
  ['there is no connection', true],
] as const) {
  t.test(`locks end 2 s after a sleep was suspected when ${name}`, async (t) => {
    const parts = await scene(t);
    const lock = await locked(parts);
    if (away) {
      parts.server.onHello = () => undefined;
      parts.peer.cut();
      await until(parts.client.state, ({ status }) => status === 'offline');
      parts.timers.advance(0);
      await parts.server.peer(1);
    }
    parts.timers.jump(5_000);
    // Whatever looks at the clock.
    if (away) parts.server.peers[1]?.send([Op.GOAWAY, 0, '', 0]);
    else parts.client.volatile('room:demo', 'pointer', 'me', 1);
    await parts.timers.set(2_000);
    parts.timers.advance(1_999);
    t.notOk(lock.signal.aborted);
    parts.timers.advance(1);
    t.ok(lock.signal.aborted);
  });
}

t.test('a step of the clock before the first WELCOME costs nothing', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  let tokens = 0;
  server.onHello = (peer, _hello, id) => {
    timers.jump(HOUR);
    peer.send([Op.WELCOME, id, welcome({ time: STORE, expiresAt: STORE + 600_000 })]);
  };
  const roomwire = client(t, server, { timers, pingTimeout: 1e9, token: () => `t${++tokens}` });
  await server.peer();
  await live(roomwire);
  t.equal(roomwire.now(), STORE);
  timers.advance(500_000);
  t.equal(tokens, 1, 'no token each second');
});

t.test('PONG corrects the store’s clock through a long session, also a busy one', async (t) => {
  const parts = await scene(t);
  for (let at = 0; at < 100_000; at += 20_000) {
    parts.timers.advance(20_000);
    parts.peer.send([Op.PING, 0]);
    await parts.peer.take(Op.PONG);
  }
  // A clock that loses a second in two minutes.
  await tell(parts, STORE + 100_900);
  t.equal(parts.client.now(), STORE + 100_900);
});

t.test('a client that hears nothing asks before it gives up', async (t) => {
  const parts = await scene(t);
  parts.timers.advance(25_000);
  await tell(parts, STORE + 25_000);
  parts.timers.advance(34_000);
  t.equal(parts.client.state.get().status, 'live');
});

/** The page that the SDK listens to. */
function page(t: Test): { readonly window: EventTarget; readonly document: { visibilityState: string } } {
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const window = new EventTarget();
  const set = { document, addEventListener: window.addEventListener.bind(window) };
  const names = Object.keys(set);
  const before = names.map((name) => Object.getOwnPropertyDescriptor(globalThis, name));
  for (const [name, value] of Object.entries(set)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  t.teardown(() => {
    names.forEach((name, i) => {
      if (before[i]) Object.defineProperty(globalThis, name, before[i]);
      else Reflect.deleteProperty(globalThis, name);
    });
  });
  return { window, document };
}

for (const name of ['visibilitychange', 'pageshow', 'focus', 'online', 'resume', 'offline']) {
  t.test(`${name} asks once, and a dead socket is left after 3 s`, async (t) => {
    const { window } = page(t);
    const parts = await scene(t);
    for (let i = 0; i < 3; i++) window.dispatchEvent(new Event(name));
    await parts.peer.take(Op.PING);
    parts.timers.advance(2_999);
    t.equal(parts.client.state.get().status, 'live');
    t.notOk(parts.peer.frames.some(([op]) => op === Op.PING));
    parts.timers.advance(1);
    t.not(parts.client.state.get().status, 'live');
    await parts.server.peer(1);
  });
}

for (const name of ['visibilitychange', 'pageshow', 'focus', 'online', 'resume']) {
  t.test(
    `${name} of a hidden page asks nothing; of one that is seen it connects at once where it is offline`,
    async (t) => {
      const { window, document } = page(t);
      const parts = await scene(t, { random: () => 1, backoff: { baseMs: 1e6, maxMs: 1e6 } });
      document.visibilityState = 'hidden';
      window.dispatchEvent(new Event(name));
      parts.peer.send([Op.PING, 0]);
      await parts.peer.take(Op.PONG);
      t.notOk(parts.peer.frames.some(([op]) => op === Op.PING));
      parts.peer.cut();
      await until(parts.client.state, ({ status }) => status === 'offline');
      window.dispatchEvent(new Event(name));
      t.equal(parts.client.state.get().status, 'offline');
      document.visibilityState = 'visible';
      window.dispatchEvent(new Event(name));
      await parts.server.peer(1);
      await live(parts.client);
    },
  );
}

t.test('a client that is closed listens to its page no more', async (t) => {
  const { window } = page(t);
  const added: AbortSignal[] = [];
  const listen = globalThis.addEventListener;
  globalThis.addEventListener = (...given: unknown[]) => {
    added.push((given[2] as { signal: AbortSignal }).signal);
    listen(...(given as Parameters<typeof listen>));
  };
  const parts = await scene(t);
  t.ok(added.length > 0);
  parts.client.close();
  t.ok(added.every(({ aborted }) => aborted));
  window.dispatchEvent(new Event('pagehide'));
});

t.test('pagehide gives up what is held and what is waited for, at once', async (t) => {
  const { window } = page(t);
  const parts = await scene(t);
  const lock = await locked(parts);
  const waits = parts.room.lock('other', { wait: 50_000 });
  const { id } = await parts.peer.call('lock:acquire');
  window.dispatchEvent(new Event('pagehide'));
  t.ok(lock.signal.aborted);
  await t.rejects(waits, { name: 'cancelled' });
  t.match((await parts.peer.call('lock:release')).input, { token: 7 });
  t.same(await parts.peer.take(Op.CANCEL), [Op.CANCEL, id]);
});
