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

t.test('a rate is kept: what is over it leaves when there is room, in order', async (t) => {
  const rates = { callsPerSecond: 10, publishesPerSecond: 10, joinsPerSecond: 10 };
  const asked: Readonly<Record<string, (roomwire: ReturnType<typeof client>, n: number) => unknown>> = {
    calls: (roomwire, n) => roomwire.call('c', n).catch(() => undefined),
    publishes: (roomwire, n) => roomwire.publish('x', 'e', n).catch(() => undefined),
    joins: (roomwire, n) => roomwire.subscribe(`x${n}`).ready.catch(() => undefined),
    'calls of all sessions': (roomwire, n) => roomwire.call('c', n).catch(() => undefined),
  };
  for (const [kind, ask] of Object.entries(asked)) {
    const server = await fakeServer(t);
    limited(server, kind === 'calls of all sessions' ? { callsPerSecond: 0, userCallsPerSecond: 10 } : rates);
    const timers = new FakeTimers();
    const roomwire = client(t, server, { timers, callTimeoutMs: 1e6 });
    const peer = await server.peer();
    await live(roomwire);
    for (let n = 0; n < 25; n++) ask(roomwire, n);
    await peer.until(() => peer.frames.length === 10);
    for (let n = 11; n <= 25; n++) {
      timers.advance(100);
      await peer.until(() => peer.frames.length === n);
    }
    const ids = peer.frames.map(([, id]) => id as number);
    t.same(
      ids,
      ids.toSorted((a, b) => a - b),
      kind,
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
  await new Promise(setImmediate);
  t.same(peer.frames, []);
  stalled.bytes = 0;
  timers.advance(20);
  await peer.until(() => peer.frames.length === 3);
  peer.send([Op.PING, 1]);
  await peer.take(Op.PONG);
  t.same(
    peer.frames.map((frame) => frame[4]),
    [19_998, 19_999, 19_997],
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
