/** Subscriptions: in order, nothing twice, a gap is always told. */
import t, { type Test } from 'tap';
import { Op, type Value } from '../../src/protocol/frames.js';
import type { EventInfo } from '../../src/client/types.js';
import { answerSubscribe, client, fakeServer, live, settled, welcome, type Peer } from './fake-server.js';

t.test('events of the same message as the ACK are handed over, with where they came from', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const news = roomwire.subscribe('news');
  const heard: [unknown, EventInfo][] = [];
  news.on('a', (data, info) => heard.push([data, info]));
  const all: string[] = [];
  news.on('*', (_data, { event }) => all.push(event));
  const peer = await server.peer();
  const [, id] = await peer.take(Op.SUBSCRIBE);
  peer.send(
    [Op.ACK, id, { epoch: 'e', offset: 9, recovered: false }],
    [Op.EVENTS, 'news', 10, ['a', 1, null], ['b', 2, 's9'], ['a', 3, 's9', { m: 1 }]],
    [Op.LATEST, 'news', 'a', 'slot1', 4, 's9'],
  );
  t.same(await news.ready, { position: ['e', 9], recovered: false });
  t.same(news.position, ['e', 12]);
  t.match(heard, [
    [1, { topic: 'news', event: 'a', from: null, offset: 10 }],
    [3, { from: 's9', offset: 12, meta: { m: 1 } }],
    [4, { from: 's9', offset: null, slot: 'slot1' }],
  ]);
  t.same(all, ['a', 'b', 'a', 'a']);
});

t.test('events seen before are dropped, and a gap is told before the event after it', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const news = roomwire.subscribe('news');
  const heard: unknown[] = [];
  news.on('a', (data) => heard.push(data));
  news.on('reset', ({ reason, position }) => heard.push([reason, ...position]));
  const peer = await server.peer();
  await answerSubscribe(peer, 'news', 0);
  peer.send([Op.EVENTS, 'news', 1, ['a', 1, null], ['a', 2, null]]);
  peer.send([Op.EVENTS, 'news', 2, ['a', 2, null], ['a', 3, null]]);
  peer.send([Op.EVENTS, 'news', 6, ['a', 6, null]]);
  peer.send([Op.RESET, 'news', 'e2', 100, 'overrun'], [Op.EVENTS, 'news', 101, ['a', 101, null]]);
  await settled(peer);
  t.same(heard, [1, 2, 3, ['gap', 'e', 5], 6, ['overrun', 'e2', 100], 101]);
});

t.test('handles of one topic share one subscription', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  await live(roomwire);
  const first = roomwire.subscribe('news');
  const second = roomwire.subscribe('news');
  await answerSubscribe(peer, 'news', 1);
  await Promise.all([first.ready, second.ready]);
  const third = roomwire.subscribe('news');
  await third.ready;
  first.unsubscribe();
  second.unsubscribe();
  await settled(peer);
  t.same(peer.frames, [], 'neither SUBSCRIBE again nor UNSUBSCRIBE yet');
  third.unsubscribe();
  third.unsubscribe();
  t.match(await peer.take(Op.UNSUBSCRIBE), [Op.UNSUBSCRIBE, Number, 'news']);
  await settled(peer);
  t.same(peer.frames, []);
});

t.test('a refused subscription rejects `ready` and is told as removed', async (t) => {
  const server = await fakeServer(t);
  const errors: unknown[] = [];
  const roomwire = client(t, server, { onError: (error) => errors.push(error) });
  const secret = roomwire.subscribe('secret');
  const removed: unknown[] = [];
  secret.on('removed', (info) => removed.push(info));
  const peer = await server.peer();
  const [, id] = await peer.take(Op.SUBSCRIBE);
  peer.send([Op.NACK, id, 106, 'not yours']);
  await t.rejects(secret.ready, { name: 'forbidden' });
  t.same(removed, [{ code: 106, reason: 'not yours' }]);
  t.equal(errors.length, 1);
});

t.test('REMOVED ends a subscription, and a reconnect does not bring it back', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const news = roomwire.subscribe('news');
  const removed: unknown[] = [];
  news.on('removed', (info) => removed.push(info));
  const peer = await server.peer();
  await answerSubscribe(peer, 'news', 0);
  peer.send([Op.REMOVED, 'news', 106, 'rights']);
  await settled(peer);
  t.same(removed, [{ code: 106, reason: 'rights' }]);
  t.equal(news.position, null);
  peer.cut();
  const second = await server.peer(1);
  t.same(server.hellos[1]?.resume, {});
  await settled(second);
  t.same(second.frames, []);
});

t.test('topics that a call subscribes to are heard through listen', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const party = roomwire.listen('party:1');
  const heard: unknown[] = [];
  party.on('a', (data) => heard.push(data));
  const peer = await server.peer();
  await live(roomwire);
  peer.send([Op.SUBSCRIBED, 'party:1', 'e', 5, false], [Op.EVENTS, 'party:1', 6, ['a', 6, null]]);
  await settled(peer);
  t.same(heard, [6]);
  t.same(party.position, ['e', 6]);
});

t.test('a handler that throws stops no other, and is reported', async (t) => {
  const server = await fakeServer(t);
  const errors: unknown[] = [];
  const roomwire = client(t, server, { onError: (error) => errors.push(error) });
  const news = roomwire.subscribe('news');
  const heard: unknown[] = [];
  news.on('a', () => {
    throw new Error('mine');
  });
  news.on('a', (data) => heard.push(data));
  const peer = await server.peer();
  await answerSubscribe(peer, 'news', 0);
  peer.send([Op.EVENTS, 'news', 1, ['a', 1, null], ['a', 2, null]]);
  await settled(peer);
  t.same(heard, [1, 2]);
  t.match(errors, [{ message: 'mine' }, { message: 'mine' }]);
});

t.test('publish tells the offset and how many it matched; volatile asks for nothing', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  await live(roomwire);
  const published = roomwire.publish('news', 'a', { x: 1 });
  const frame = await peer.take(Op.PUBLISH);
  t.same(frame.slice(2), ['news', 'a', null, { x: 1 }]);
  peer.send([Op.ACK, frame[1], { epoch: 'e', offset: 3, matched: 0 }]);
  t.same(await published, { epoch: 'e', offset: 3, matched: 0 });
  roomwire.volatile('news', 'pointer', 'me', [1, 2]);
  t.same(await peer.take(Op.VOLATILE), [Op.VOLATILE, 'news', 'pointer', 'me', [1, 2]]);
});

t.test('a topic that is left and subscribed again in one breath outlives the REMOVED of the first time', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const first = roomwire.subscribe('news');
  const peer = await server.peer();
  await answerSubscribe(peer, 'news', 4);
  await first.ready;
  first.unsubscribe();
  const again = roomwire.subscribe('news');
  const heard: unknown[] = [];
  again.on('a', (data) => heard.push(data));
  again.on('reset', () => heard.push('reset'));
  again.on('removed', () => heard.push('removed'));
  const [, id] = await peer.take(Op.UNSUBSCRIBE);
  peer.send([Op.REMOVED, 'news', 0, 'left'], [Op.ACK, id, null]);
  await answerSubscribe(peer, 'news', 5, true);
  peer.send([Op.EVENTS, 'news', 6, ['a', 6, null]]);
  await settled(peer);
  t.same(heard, [6]);
  t.same(again.position, ['e', 6]);
});

for (const [name, code, stays] of [
  ['not_subscribed', 108, false],
  ['join_required', 107, true],
  ['forbidden', 106, false],
] as const) {
  t.test(
    `what is subscribed while UNSUBSCRIBE waits is there in the end, also when that is refused with ${name}`,
    async (t) => {
      const server = await fakeServer(t);
      const roomwire = client(t, server, { onError: () => undefined });
      const first = roomwire.subscribe('news');
      const peer = await server.peer();
      await answerSubscribe(peer, 'news', 4);
      await first.ready;
      first.unsubscribe();
      const [, id] = await peer.take(Op.UNSUBSCRIBE);
      const again = roomwire.subscribe('news');
      const heard: unknown[] = [];
      again.on('a', (data) => heard.push(data));
      peer.send([Op.NACK, id, code, 'refused']);
      if (!stays) await answerSubscribe(peer, 'news', 4);
      t.match(await again.ready, { position: ['e', 4] });
      peer.send([Op.EVENTS, 'news', 5, ['a', 5, null]]);
      await settled(peer);
      t.same(heard, [5]);
      t.notOk(
        peer.frames.some(([op]) => op === Op.SUBSCRIBE || op === Op.UNSUBSCRIBE),
        'and nothing more is asked',
      );
    },
  );
}

t.test('a REMOVED while a SUBSCRIBE waits is not its answer', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server, { onError: () => undefined });
  const news = roomwire.subscribe('news');
  const removed: number[] = [];
  news.on('removed', ({ code }) => removed.push(code));
  const peer = await server.peer();
  peer.send([Op.REMOVED, 'news', 0, 'left']);
  const [, id] = await peer.take(Op.SUBSCRIBE);
  peer.send([Op.NACK, id, 106, 'no']);
  await t.rejects(news.ready, { name: 'forbidden' });
  t.same(removed, [106], 'told once, by the refusal');
});

t.test('publishes to one topic leave in order, also one made by a handler of WELCOME’s reset', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const news = roomwire.subscribe('news');
  const peer = await server.peer();
  await answerSubscribe(peer, 'news', 4);
  await news.ready;
  const other = roomwire.publish('other', 'a', 0).catch(() => undefined);
  await peer.take(Op.PUBLISH);
  news.on('reset', () => {
    void news.publish('a', 3).catch(() => undefined);
    void roomwire.publish('elsewhere', 'a', 4).catch(() => undefined);
  });
  server.onHello = (second, _hello, id) => {
    const topics = { news: { epoch: 'e2', offset: 9, recovered: false } };
    second.send([Op.WELCOME, id, welcome({ resumed: true, topics })]);
  };
  peer.cut();
  await other;
  void news.publish('a', 1).catch(() => undefined);
  void news.publish('a', 2).catch(() => undefined);
  const second = await server.peer(1);
  await second.until(() => second.frames.filter(([op]) => op === Op.PUBLISH).length === 4);
  const published = second.frames.filter(([op, , topic]) => op === Op.PUBLISH && topic === 'news');
  t.same(
    published.map((frame) => frame[5]),
    [1, 2, 3],
  );
});

/** A topic at 3 that has found no room in HELLO: the session goes on with it at 7, and SUBSCRIBE asks for the rest. */
async function behind(t: Test): Promise<{ peer: Peer; id: Value; heard: unknown[] }> {
  const server = await fakeServer(t);
  const limits = { messageBytes: 1e6, helloBytes: 1 };
  server.onHello = (peer, _hello, id) => peer.send([Op.WELCOME, id, welcome({ limits })]);
  const news = client(t, server).subscribe('news');
  const heard: unknown[] = [];
  news.on('a', (data) => heard.push(data));
  news.on('reset', ({ reason, position }) => heard.push([reason, ...position]));
  news.on('removed', ({ reason }) => heard.push(reason));
  await answerSubscribe(await server.peer(), 'news', 3);
  await news.ready;
  server.onHello = (peer, _hello, id) => {
    const topics = { news: { epoch: 'e', offset: 7, recovered: false } };
    peer.send(
      [Op.WELCOME, id, welcome({ limits, resumed: true, topics })],
      [Op.EVENTS, 'news', 8, ['a', 8, null]],
      [Op.RESET, 'news', 'e', 8, 'overrun'],
    );
  };
  server.peers[0]?.cut();
  const peer = await server.peer(1);
  const [, id = null, , position] = await peer.take(Op.SUBSCRIBE);
  t.same(position, ['e', 3]);
  await settled(peer);
  t.same(heard, [], 'what comes meanwhile will come again');
  return { peer, id, heard };
}

t.test('a topic that is behind hears nothing before its SUBSCRIBE is answered, and then everything once', async (t) => {
  const { peer, id, heard } = await behind(t);
  const missed = [4, 5, 6, 7, 8].map((n) => ['a', n, null]);
  peer.send([Op.ACK, id, { epoch: 'e', offset: 3, recovered: true }], [Op.EVENTS, 'news', 4, ...missed]);
  await settled(peer);
  t.same(heard, [4, 5, 6, 7, 8]);
});

t.test('a topic that is behind is reset where its SUBSCRIBE is refused, and goes on from what comes', async (t) => {
  const { peer, id, heard } = await behind(t);
  peer.send([Op.NACK, id, 106, 'no']);
  await settled(peer);
  t.same(heard, [['not recovered', 'e', 3]]);
  peer.send([Op.EVENTS, 'news', 9, ['a', 9, null]]);
  await settled(peer);
  t.same(heard, [['not recovered', 'e', 3], ['gap', 'e', 8], 9]);
  t.same(
    peer.frames.filter(([op]) => op !== Op.PING),
    [],
    'and nothing more is asked',
  );
});

t.test('a topic that is behind and removed is over, whatever its SUBSCRIBE is answered', async (t) => {
  const { peer, id, heard } = await behind(t);
  peer.send([Op.REMOVED, 'news', 106, 'rights']);
  await settled(peer);
  t.same(heard, ['rights']);
  peer.send([Op.NACK, id, 106, 'no']);
  await settled(peer);
  t.same(heard, ['rights']);
});
