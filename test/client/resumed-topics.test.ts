/** Subscriptions over a cut: what goes on, what begins anew, and what nobody knows yet. */
import t from 'tap';
import { Op, type Position } from '../../src/protocol/frames.js';
import { answerSubscribe, client, fakeServer, settled, welcome } from './fake-server.js';

t.test('a recovered topic goes on after its own position', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const news = roomwire.subscribe('news');
  const heard: unknown[] = [];
  news.on('a', (data) => heard.push(data));
  news.on('reset', () => heard.push('reset'));
  await answerSubscribe(await server.peer(), 'news', 0);
  await news.ready;
  server.onHello = (peer, { resume }, id) => {
    t.same(resume, { news: ['e', 0] });
    const topics = { news: { epoch: 'e', offset: 2, recovered: true } };
    peer.send(
      [Op.WELCOME, id, welcome({ resumed: true, topics })],
      [Op.EVENTS, 'news', 1, ['a', 1, null], ['a', 2, null]],
    );
  };
  server.peers[0]?.cut();
  await settled(await server.peer(1));
  t.same(heard, [1, 2]);
});

t.test('a topic that was not recovered is reset, and one the server forgot is subscribed again', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const heard: unknown[] = [];
  for (const topic of ['a', 'b']) {
    roomwire.subscribe(topic).on('reset', ({ reason, position }) => heard.push([topic, reason, ...position]));
    await answerSubscribe(await (server.peers[0] ? server.peers[0] : server.peer()), topic, 3);
  }
  await roomwire.subscribe('b').ready;
  server.onHello = (peer, _hello, id) =>
    peer.send([Op.WELCOME, id, welcome({ topics: { a: { epoch: 'e9', offset: 7, recovered: false } } })]);
  server.peers[0]?.cut();
  const second = await server.peer(1);
  await answerSubscribe(second, 'b', 50);
  await settled(second);
  t.same(heard, [
    ['a', 'not recovered', 'e9', 7],
    ['b', 'not recovered', 'e', 50],
  ]);
});

t.test(
  'a handle taken without a connection begins when WELCOME says that the stream goes on, not before',
  async (t) => {
    const server = await fakeServer(t);
    const roomwire = client(t, server);
    const first = roomwire.subscribe('news');
    const peer = await server.peer();
    await answerSubscribe(peer, 'news', 1);
    await first.ready;
    const told: unknown[] = [];
    const handles: { readonly position: Position | null }[] = [];
    const take = (name: string): void => {
      const handle = roomwire.subscribe('news');
      handles.push(handle);
      handle.on('a', (data) => told.push(`${name} hears ${String(data)}`));
      handle.ready.then(
        (ready) => told.push(`${name} begins at ${ready?.position.join()}, ${ready?.recovered}`),
        (error: unknown) => told.push(`${name}: ${(error as Error).name}`),
      );
    };
    let hello = 0;
    server.onHello = (_peer, _hello, id) => (hello = id);
    peer.cut();
    const second = await server.peer(1);
    take('beside');
    first.unsubscribe();
    take('anew');
    await new Promise(setImmediate);
    t.same(told, [], 'nobody knows yet');
    t.strictSame(
      handles.map(({ position }) => position),
      [null, null],
    );
    const topics = { news: { epoch: 'e', offset: 2, recovered: true } };
    second.send([Op.WELCOME, hello, welcome({ resumed: true, topics })], [Op.EVENTS, 'news', 2, ['a', 2, null]]);
    await settled(second);
    const begins = ['beside begins at e,1, true', 'anew begins at e,1, true'];
    t.same(told.sort(), [...begins, 'beside hears 2', 'anew hears 2'].sort());
    second.cut();
    await server.peer(2);
    take('last');
    roomwire.close();
    await new Promise(setImmediate);
    t.same(told.at(-1), 'last: disconnected', 'not begun, so not ended well');
  },
);

t.test('a position whose SUBSCRIBE lost its answer is resumed from, and nothing is told as missed', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const news = roomwire.subscribe('news', { from: ['e', 5] });
  const resets: unknown[] = [];
  news.on('reset', (reset) => resets.push(reset));
  const peer = await server.peer();
  await peer.take(Op.SUBSCRIBE);
  // The server has taken it, and its log has grown since.
  server.onHello = (again, { resume }, id) => {
    const known = resume?.['news'] !== undefined;
    const topics = { news: { epoch: 'e', offset: known ? 5 : 9, recovered: known } };
    again.send([Op.WELCOME, id, { ...welcome(), resumed: true, topics }]);
  };
  peer.cut();
  const back = await server.peer(1);
  t.match(await news.ready, { recovered: true });
  await settled(back);
  t.notOk(
    back.frames.some(([op]) => op === Op.SUBSCRIBE),
    'WELCOME has answered',
  );
  t.strictSame(server.hellos[1]?.resume, { news: ['e', 5] });
  t.strictSame(resets, []);
  t.strictSame(news.position, ['e', 5]);
});
