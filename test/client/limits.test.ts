/** The SDK goes by the limits that WELCOME names: what is too much waits, what is too large is refused where it was asked. */
import t from 'tap';
import { WebSocket as WebSocketOfTests } from 'ws';
import { Op, type Value } from '../../src/protocol/frames.js';
import { RoomwireError } from '../../src/protocol/errors.js';
import { client, fakeServer, live, welcome, type FakeServer, type Peer } from './fake-server.js';
import { FakeTimers } from './fake-timers.js';

const LIMITS = { messageBytes: 2_000, helloBytes: 16_384 };

function limited(server: FakeServer, limits: Record<string, number>): void {
  server.onHello = (peer, _hello, id) => peer.send([Op.WELCOME, id, welcome({ limits: { ...LIMITS, ...limits } })]);
}

const large = 'x'.repeat(3_000);

t.test(
  'a request too large for the server, made before the first WELCOME, is refused and kills no connection',
  async (t) => {
    const server = await fakeServer(t);
    limited(server, {});
    const roomwire = client(t, server);
    const early = [
      roomwire.call('a', large),
      roomwire.call('a', large, { key: 'k' }),
      roomwire.publish('x', 'e', large),
      roomwire.publish('x', 'e', large, { key: 'k' }),
      roomwire.call('a'.repeat(3_000), null),
    ];
    for (const request of early) await t.rejects(request, { name: 'too_large' });
    const fits = roomwire.call('fits', 1);
    const peer = await server.peer();
    peer.send([Op.ACK, (await peer.call('fits')).id, 2]);
    t.equal(await fits, 2);
    t.throws(() => roomwire.volatile('x', 'e', 's', large), { name: 'too_large' });
    await t.rejects(roomwire.publish('x', 'e', large), { name: 'too_large' });
    t.equal(server.peers.length, 1);
  },
);

t.test('the answer to a call of the server’s is never larger than it takes', async (t) => {
  const server = await fakeServer(t);
  limited(server, {});
  const errors: unknown[] = [];
  const roomwire = client(t, server, { onError: (error) => errors.push(error) });
  roomwire.handle('large', () => large);
  roomwire.handle('refused', () => {
    throw new RoomwireError('conflict', 'no', { details: large });
  });
  const peer = await server.peer();
  await live(roomwire);
  peer.send([Op.CALL, 1, 'large', null], [Op.CALL, 2, 'refused', null]);
  t.match(await peer.take(([, id]) => id === 1), [Op.NACK, 1, 109]);
  t.match(await peer.take(([, id]) => id === 2), [Op.NACK, 2, 130]);
  t.match(errors, [{ name: 'too_large' }]);
  t.equal(peer.closed, undefined);
});

t.test('small frames are gathered into messages that the server takes', async (t) => {
  const server = await fakeServer(t);
  limited(server, {});
  const roomwire = client(t, server);
  const peer = await server.peer();
  await live(roomwire);
  const sizes: number[] = [];
  peer.socket.on('message', (data: Buffer) => sizes.push(data.length));
  for (let i = 0; i < 100; i++) roomwire.publish('x', 'e', 'y'.repeat(100)).catch(() => undefined);
  await peer.until(() => peer.frames.length === 100);
  t.ok(
    sizes.every((size) => size <= LIMITS.messageBytes),
    `at most ${Math.max(...sizes)} bytes`,
  );
});

t.test('a thousand calls at once, or offline, are answered: no more wait at the server than it takes', async (t) => {
  for (const early of [true, false]) {
    const server = await fakeServer(t);
    limited(server, { pendingCalls: 16 });
    const roomwire = client(t, server);
    if (!early) await live(roomwire);
    const calls = Array.from({ length: 1_000 }, (_, n) => roomwire.call('n', n));
    const peer = await server.peer();
    let most = 0;
    let answered = 0;
    while (answered < 1_000) {
      await peer.until(() => peer.frames.length > 0);
      most = Math.max(most, peer.frames.length);
      const frames = peer.frames.splice(0);
      answered += frames.length;
      peer.send(...frames.map(([, id, , n]) => [Op.ACK, id, n as Value]));
    }
    t.same(
      await Promise.all(calls),
      Array.from({ length: 1_000 }, (_, n) => n),
      early ? 'before WELCOME' : 'live',
    );
    t.equal(most, 16);
  }
});

t.test('a call that was given up counts as pending until the server has answered it', async (t) => {
  const server = await fakeServer(t);
  limited(server, { pendingCalls: 1 });
  const timers = new FakeTimers();
  const roomwire = client(t, server, { timers, pingTimeout: 1e9 });
  const peer = await server.peer();
  await live(roomwire);
  for (const how of ['aborted', 'late'] as const) {
    const abort = new AbortController();
    const first = roomwire.call('first', null, { signal: abort.signal, timeoutMs: 5_000 });
    const { id } = await peer.call('first');
    if (how === 'aborted') abort.abort();
    else timers.advance(5_000);
    await t.rejects(first, { name: how === 'aborted' ? 'cancelled' : 'deadline' });
    t.same(await peer.take(Op.CANCEL), [Op.CANCEL, id]);
    const next = roomwire.call('next', null);
    peer.send([Op.PING, 'settled']);
    await peer.take(Op.PONG);
    t.same(peer.frames, [], 'the next one waits');
    peer.send([Op.NACK, id, 113, 'cancelled']);
    peer.send([Op.ACK, (await peer.call('next')).id, null]);
    await next;
  }
});

t.test(
  'frames that wait for their answer are as many as pendingFrames, and a topic’s publishes keep their order',
  async (t) => {
    const server = await fakeServer(t);
    limited(server, { pendingFrames: 3 });
    const roomwire = client(t, server);
    const peer = await server.peer();
    await live(roomwire);
    for (let n = 0; n < 20; n++) void roomwire.publish(`t${n % 2}`, 'e', n).catch(() => undefined);
    void roomwire.subscribe('t2').ready.catch(() => undefined);
    const seen: number[] = [];
    for (let n = 0; n < 21; n++) {
      const frame = await peer.take(([op]) => op === Op.PUBLISH || op === Op.SUBSCRIBE);
      t.ok(peer.frames.length < 3, 'three at the most');
      if (frame[0] === Op.PUBLISH) seen.push(frame[5] as number);
      peer.send([Op.ACK, frame[1], { epoch: 'e', offset: n + 1, matched: 0, recovered: false }]);
    }
    const of = (parity: number): number[] => seen.filter((n) => n % 2 === parity);
    t.same([of(0), of(1)], [of(0).toSorted((a, b) => a - b), of(1).toSorted((a, b) => a - b)]);
  },
);

t.test('a rate is kept, of the session and of all its user’s: what is over it leaves when there is room', async (t) => {
  type Ask = (roomwire: ReturnType<typeof client>, n: number) => unknown;
  const call: Ask = (roomwire, n) => roomwire.call('c', n).catch(() => undefined);
  const publish: Ask = (roomwire, n) => roomwire.publish('x', 'e', n).catch(() => undefined);
  const volatile: Ask = (roomwire, n) => roomwire.volatile('x', 'e', `slot${n}`, n);
  const subscribe: Ask = (roomwire, n) => roomwire.subscribe(`x${n}`).ready.catch(() => undefined);
  const kept: readonly (readonly [limit: string, ask: Ask])[] = [
    ['callsPerSecond', call],
    ['userCallsPerSecond', call],
    ['publishesPerSecond', publish],
    ['userPublishesPerSecond', publish],
    ['publishesPerSecond', volatile],
    ['userPublishesPerSecond', volatile],
    ['joinsPerSecond', subscribe],
    ['userJoinsPerSecond', subscribe],
  ];
  const none = Object.fromEntries(kept.map(([limit]) => [limit, 0]));
  for (const [limit, ask] of kept) {
    const server = await fakeServer(t);
    limited(server, { ...none, [limit]: 10 });
    const timers = new FakeTimers();
    const roomwire = client(t, server, { timers, callTimeoutMs: 1e6 });
    const peer = await server.peer();
    await live(roomwire);
    for (let n = 0; n < 25; n++) ask(roomwire, n);
    await peer.until(() => peer.frames.length >= 10);
    for (let n = 10; n <= 25; n++) {
      if (n > 10) timers.advance(100);
      await peer.until(() => peer.frames.length >= n);
      peer.send([Op.PING, 'settled']);
      await peer.take(([op, stamp]) => op === Op.PONG && stamp === 'settled');
      t.equal(peer.frames.length, n, `${limit}: no more than it allows`);
    }
    const order = peer.frames.map((frame) => Number(frame[0] === Op.VOLATILE ? frame[4] : frame[1]));
    t.same(
      order,
      order.toSorted((a, b) => a - b),
      `${limit}: in order`,
    );
  }
});

t.test('what a rate held back leaves also when its time came between two looks at the clock', async (t) => {
  /** Each look at it takes a while. */
  class Creeping extends FakeTimers {
    looks = 0;
    override now(): number {
      return super.now() + ++this.looks * 33;
    }
  }
  const server = await fakeServer(t);
  limited(server, { callsPerSecond: 10 });
  const timers = new Creeping();
  const roomwire = client(t, server, { timers, callTimeoutMs: 1e9 });
  const peer = await server.peer();
  await live(roomwire);
  for (let n = 0; n < 60; n++) roomwire.call('c', n).catch(() => undefined);
  for (let times = 0; times < 200; times++) {
    timers.advance(100);
    await new Promise(setImmediate);
  }
  await settledAt(peer, 60);
  t.equal(peer.frames.filter(([op]) => op === Op.CALL).length, 60);
});

/** All that was sent has come, and it is as many calls, or no more come. */
async function settledAt(peer: Peer, calls: number): Promise<void> {
  const count = (): number => peer.frames.filter(([op]) => op === Op.CALL).length;
  if (count() < calls) {
    peer.send([Op.PING, 'settled']);
    await peer.take(([op, stamp]) => op === Op.PONG && stamp === 'settled');
  }
}

t.test('of a volatile slot the newest value alone waits for a stalled uplink', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const roomwire = client(t, server, { timers, WebSocket: stallable() });
  const peer = await server.peer();
  await live(roomwire);
  stalled.bytes = 1e6;
  for (let n = 0; n < 20_000; n++) roomwire.volatile('x', 'pointer', `slot${n % 3}`, n);
  const came = async (): Promise<void> => {
    peer.send([Op.PING, 'settled']);
    await peer.take(Op.PONG);
  };
  await came();
  t.same(peer.frames, []);
  // Newer ones later take the place of those that wait, too.
  for (let n = 20_000; n < 20_003; n++) roomwire.volatile('x', 'pointer', `slot${n % 3}`, n);
  timers.advance(20);
  await came();
  t.same(peer.frames, []);
  stalled.bytes = 0;
  timers.advance(20);
  await peer.until(() => peer.frames.length === 3);
  peer.send([Op.PING, 1]);
  await peer.take(Op.PONG);
  t.same(
    peer.frames.map((frame) => frame[4]),
    [20_001, 20_002, 20_000],
  );
});

t.test('a refused volatile, and whatever else asks for no answer, reaches onError', async (t) => {
  const server = await fakeServer(t);
  const errors: unknown[] = [];
  const roomwire = client(t, server, { onError: (error) => errors.push(error) });
  const peer = await server.peer();
  await live(roomwire);
  roomwire.volatile('x', 'e', 's', 1);
  await peer.take(Op.VOLATILE);
  peer.send([Op.NACK, 0, 108, 'not in x', { topic: 'x' }], [Op.PING, 1]);
  await peer.take(Op.PONG);
  t.match(errors, [{ name: 'not_subscribed', details: { topic: 'x' } }]);
});

const stalled = { bytes: 0 };

/** The global WebSocket, or that of ws, whose uplink can be said to stall. */
function stallable(): new (url: string, protocols: string[]) => object {
  stalled.bytes = 0;
  return class extends WebSocketOfTests {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      Object.defineProperty(this, 'bufferedAmount', { get: () => stalled.bytes });
    }
  };
}
