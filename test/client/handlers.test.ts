/** Whatever a handler does, it is called once for one event, stops nobody else, and its failure has one place to go. */
import t from 'tap';
import { RoomwireError } from '../../src/protocol/errors.js';
import { Op } from '../../src/protocol/frames.js';
import { answerSubscribe, client, fakeServer, live, settled, until } from './fake-server.js';
import { letIn } from './room-replies.js';

t.test('a handler that subscribes again before it unsubscribes hears one event once', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  let calls = 0;
  const again = (): void => {
    const subscription = roomwire.subscribe('news');
    subscription.on('a', () => {
      if (++calls > 100) throw new Error('without end');
      again();
      subscription.unsubscribe();
    });
  };
  again();
  await answerSubscribe(peer, 'news', 0);
  peer.send([Op.EVENTS, 'news', 1, ['a', 1, null], ['a', 2, null]]);
  await settled(peer);
  t.equal(calls, 2);
});

t.test('a handler that another one took away in the same event is not called', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  const heard: string[] = [];
  const first = roomwire.subscribe('news');
  const second = roomwire.subscribe('news');
  const third = roomwire.subscribe('news');
  first.on('a', () => {
    heard.push('first');
    offSecond();
    third.unsubscribe();
  });
  const offSecond = second.on('a', () => heard.push('second'));
  third.on('a', () => heard.push('third'));
  await answerSubscribe(peer, 'news', 0);
  peer.send([Op.EVENTS, 'news', 1, ['a', 1, null]]);
  await settled(peer);
  t.same(heard, ['first']);
});

t.test('a handler of the same handle that comes or goes in an event is not called for it', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  const news = roomwire.subscribe('news');
  const heard: string[] = [];
  let offSecond = (): void => undefined;
  const first = (): void => {
    heard.push('first');
    if (heard.length < 20) offs.push(news.on('a', first));
    offs.shift()?.();
    offSecond();
  };
  const offs = [news.on('a', first)];
  offSecond = news.on('a', () => heard.push('second'));
  await answerSubscribe(peer, 'news', 0);
  peer.send([Op.EVENTS, 'news', 1, ['a', 1, null], ['a', 2, null]]);
  await settled(peer);
  t.same(heard, ['first', 'first']);
});

t.test('what a handler throws, or rejects with later, reaches onError, whatever it hears', async (t) => {
  const server = await fakeServer(t);
  const errors: string[] = [];
  const roomwire = client(t, server, {
    onError: (error) => {
      errors.push((error as Error).message);
      throw new Error('onError fails too');
    },
    ...silent(t),
  });
  const failing = (name: string) => async (): Promise<never> => {
    await Promise.resolve();
    throw new Error(name);
  };
  const peer = await server.peer();
  await live(roomwire);
  roomwire.state.subscribe(failing('state'));
  roomwire.rooms.subscribe(failing('rooms'));
  roomwire.rooms.status.subscribe(failing('status'));
  const room = roomwire.room('demo');
  room.state.subscribe(failing('room state'));
  room.on('chat', failing('event'));
  room.on('reset', failing('reset'));
  room.on('removed', () => {
    throw new Error('removed');
  });
  const joined = room.join();
  await letIn(peer);
  await joined;
  roomwire.rooms.setRoom('a', { id: 'a', version: 1 } as never);
  const watching = roomwire.rooms.watch();
  watching.catch(() => undefined);
  peer.send([Op.EVENTS, 'room:demo', 1, ['chat', 1, null]], [Op.EVENTS, 'room:demo', 9, ['chat', 2, null]]);
  await letIn(peer, { offset: 9, subscribed: false });
  await until(room.state, ({ status }) => status === 'joined');
  peer.send([Op.REMOVED, 'room:demo', 106, 'kicked']);
  await until(room.state, ({ status }) => status === 'removed');
  peer.cut();
  await until(roomwire.state, ({ status }) => status === 'offline');
  await new Promise(setImmediate);
  for (const name of ['state', 'rooms', 'status', 'room state', 'event', 'reset', 'removed']) {
    t.ok(errors.includes(name), name);
  }
});

/** What even onError fails with goes where errors go that nobody handles, which is not this test's output. */
function silent(t: { teardown(fn: () => void): void }): object {
  const before = console.error;
  console.error = () => undefined;
  t.teardown(() => (console.error = before));
  return {};
}

t.test('a listener that changes the value shows the others each change, in order', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const { rooms } = roomwire;
  const seen: string[][] = [[], []];
  rooms.subscribe((list) => {
    seen[0]?.push(list.map(({ id }) => id).join());
    if (list.length === 1) rooms.setRoom('b', { id: 'b', version: 2 } as never);
    if (list.length === 2) rooms.removeRoom('a');
  });
  rooms.subscribe((list) => seen[1]?.push(list.map(({ id }) => id).join()));
  rooms.setRoom('a', { id: 'a', version: 1 } as never);
  t.same(seen, [
    ['a', 'a,b', 'b'],
    ['a', 'a,b', 'b'],
  ]);
});

t.test('close and reconnect hold from any callback', async (t) => {
  for (const what of ['close', 'reconnect'] as const) {
    for (const from of ['event', 'reset', 'removed', 'state', 'handle', 'abort', 'rejection'] as const) {
      const server = await fakeServer(t);
      const roomwire = client(t, server, { random: () => 1, backoff: { baseMs: 1e6 } });
      const peer = await server.peer();
      let over = false;
      const act = (): void => {
        if (!over) roomwire[what]();
      };
      const news = roomwire.subscribe('news');
      if (from === 'event') news.on('a', act);
      if (from === 'reset') news.on('reset', act);
      if (from === 'removed') news.on('removed', act);
      await answerSubscribe(peer, 'news', 0);
      await live(roomwire);
      const ending = from === 'removed' ? 4006 : 4201;
      if (from === 'state') roomwire.state.subscribe(({ status }) => status === 'offline' && act());
      if (from === 'handle') roomwire.handle('ask', act);
      if (from === 'abort') {
        roomwire.handle('ask', (_input, { signal }) => {
          signal.addEventListener('abort', act);
          return new Promise<void>(() => undefined);
        });
      }
      if (from === 'rejection') roomwire.call('slow', null).catch(act);
      else roomwire.call('slow', null).catch(() => undefined);
      await peer.call('slow');
      peer.send([Op.CALL, 1, 'ask', null], [Op.EVENTS, 'news', 1, ['a', 1, null]], [Op.RESET, 'news', 'e', 9, 'x']);
      if (what === 'reconnect') await settled(peer);
      peer.close(ending);
      const name = `${what} from ${from}`;
      if (what === 'close') {
        await until(roomwire.state, ({ status }) => status === 'closed');
        t.equal(server.peers.length, 1, name);
      } else if (['removed', 'state', 'abort', 'rejection'].includes(from)) {
        await server.peer(1);
        await live(roomwire);
        t.equal(server.peers.length, 2, name);
      }
      over = true;
      roomwire.close();
    }
  }
});

t.test('an error whose details, code or text have no encoding answers the server all the same', async (t) => {
  const server = await fakeServer(t);
  const errors: unknown[] = [];
  const roomwire = client(t, server, { onError: (error) => errors.push(error) });
  const peer = await server.peer();
  await live(roomwire);
  const half = '\ud800';
  const failures: readonly (() => unknown)[] = [
    () => new Map(),
    () => half,
    () => {
      throw new RoomwireError('conflict', 'no', { details: new Date() as never });
    },
    () => {
      throw new RoomwireError('conflict', half);
    },
    () => {
      throw new RoomwireError(Symbol('x') as never);
    },
  ];
  for (const [i, fail] of failures.entries()) {
    const off = roomwire.handle('ask', fail);
    peer.send([Op.CALL, i + 1, 'ask', null]);
    const frame = await peer.take(([op, id]) => op === Op.NACK && id === i + 1);
    t.equal(frame[2], 130, `${i}`);
    off();
  }
  t.equal(errors.length, failures.length);
  t.equal(peer.closed, undefined);
});

t.test('await publish() goes on before the handlers of its own event, also of others in one message', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const room = roomwire.room('demo');
  const peer = await server.peer();
  const joined = room.join();
  await letIn(peer);
  await joined;
  const order: string[] = [];
  room.on('chat', (data) => order.push(`event ${String(data)}`));
  const wrapped = async (n: number) => room.publish('chat', n);
  const publish = async (n: number): Promise<void> => {
    const { offset } = await (n === 2
      ? wrapped(n)
      : n === 3
        ? roomwire.publish('room:demo', 'chat', n)
        : room.publish('chat', n));
    order.push(`published ${offset}`);
  };
  const all = [publish(1), publish(2), publish(3)];
  const ids: unknown[] = [];
  for (let n = 0; n < 3; n++) ids.push((await peer.take(Op.PUBLISH))[1]);
  const ack = (n: number): unknown[] => [Op.ACK, ids[n - 1], { epoch: 'e', offset: n, matched: 1 }];
  const events = (n: number): unknown[] => [Op.EVENTS, 'room:demo', n, ['chat', n, 's1']];
  peer.send(ack(1), ack(2), events(1), events(2), ack(3), events(3));
  await Promise.all(all);
  await settled(peer);
  t.same(order, ['published 1', 'published 2', 'event 1', 'event 2', 'published 3', 'event 3']);
});

t.test('close with SUBSCRIBEs waiting is quiet, and ends what waits for them', async (t) => {
  const server = await fakeServer(t);
  server.onHello = () => undefined;
  const roomwire = client(t, server);
  const news = roomwire.subscribe('news');
  await server.peer();
  roomwire.close();
  await t.rejects(news.ready, { name: 'disconnected' });
});

t.test(
  'a re-SUBSCRIBE that is refused for a time is tried again, and one that is refused for good is not',
  async (t) => {
    const server = await fakeServer(t);
    const roomwire = client(t, server, { onError: () => undefined });
    const peer = await server.peer();
    const news = roomwire.subscribe('news');
    const removed: unknown[] = [];
    news.on('removed', (info) => removed.push(info));
    await answerSubscribe(peer, 'news', 3);
    await news.ready;
    peer.cut();
    const second = await server.peer(1);
    for (const code of [201, 203, 207]) {
      const [, id, , from] = await second.take(Op.SUBSCRIBE);
      t.same(from, ['e', 3]);
      second.send([Op.NACK, id, code, 'later']);
    }
    const [, id] = await second.take(Op.SUBSCRIBE);
    second.send([Op.ACK, id, { epoch: 'e', offset: 3, recovered: true }], [Op.EVENTS, 'news', 4, ['a', 4, null]]);
    await settled(second);
    t.same(news.position, ['e', 4]);
    t.same(removed, []);
    second.cut();
    const third = await server.peer(2);
    third.send([Op.NACK, (await third.take(Op.SUBSCRIBE))[1], 106, 'no']);
    await settled(third);
    t.same(removed, [{ code: 106, reason: 'no' }]);
  },
);
