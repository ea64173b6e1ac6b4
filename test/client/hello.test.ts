/** HELLO says who, which session, which instance and from where. */
import t from 'tap';
import { WebSocket } from 'ws';
import { Connection } from '../../src/client/connection.js';
import { settingsOf } from '../../src/client/settings.js';
import { Op } from '../../src/protocol/frames.js';
import { client, fakeServer, live, until, welcome } from './fake-server.js';
import { FakeTimers } from './fake-timers.js';

t.test('the first HELLO has the token, the instance and the wishes', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server, { token: 'secret', instance: 'i1', grace: 60_000, agent: 'app/1' });
  await live(roomwire);
  t.match(server.hellos[0], { token: 'secret', instance: 'i1', grace: 60_000, agent: 'app/1', resume: {} });
  t.notOk(server.hellos[0]?.session, 'there is no session yet');
  t.match(roomwire.state.get(), { status: 'live', sid: 's1', user: { id: 'u1' }, attempt: 0 });
  t.equal(roomwire.state.get(), roomwire.state.get(), 'the same snapshot until something changes');
});

t.test('a reconnect has the newest ticket and the positions of every topic', async (t) => {
  const server = await fakeServer(t);
  let count = 0;
  server.onHello = (peer, _hello, id) => peer.send([Op.WELCOME, id, welcome({ session: ['s1', `p${++count}`] })]);
  const roomwire = client(t, server);
  const peer = await server.peer();
  const topic = roomwire.subscribe('news');
  const [, id] = await peer.take(Op.SUBSCRIBE);
  peer.send(
    [Op.ACK, id, { epoch: 'e1', offset: 4, recovered: false }],
    [Op.EVENTS, 'news', 5, ['a', 1, null], ['a', 2, null]],
  );
  await new Promise<void>((resolve) => topic.on('a', (data) => data === 2 && resolve()));
  peer.cut();
  await server.peer(1);
  t.match(server.hellos[1], { session: ['s1', 'p1'], resume: { news: ['e1', 6] } });
  await live(roomwire);
  server.peers[1]?.cut();
  await server.peer(2);
  t.match(server.hellos[2], { session: ['s1', 'p2'] });
});

t.test(
  'positions that make HELLO too large are left out, and those topics are subscribed from their position',
  async (t) => {
    const server = await fakeServer(t);
    server.onHello = (peer, _hello, id) =>
      peer.send([Op.WELCOME, id, welcome({ limits: { messageBytes: 1e6, helloBytes: 300 } })]);
    const roomwire = client(t, server);
    const peer = await server.peer();
    for (let i = 0; i < 20; i++) roomwire.subscribe(`topic-with-a-long-name-${i}`);
    for (let i = 0; i < 20; i++) {
      const [, id] = await peer.take(Op.SUBSCRIBE);
      peer.send([Op.ACK, id, { epoch: 'e', offset: i, recovered: false }]);
    }
    peer.send([Op.SUBSCRIBED, 'kept-by-a-call', 'e', 7, false]);
    await roomwire.subscribe('topic-with-a-long-name-19').ready;
    peer.cut();
    const second = await server.peer(1);
    t.ok(Object.keys(server.hellos[1]?.resume ?? {}).length < 20);
    t.same(
      Object.entries(server.hellos[1]?.resume ?? {})[0],
      ['kept-by-a-call', ['e', 7]],
      'those of calls come first',
    );
    const asked = await second.take(([op, , name]) => op === Op.SUBSCRIBE && name === 'topic-with-a-long-name-19');
    t.same(asked[3], ['e', 19]);
  },
);

t.test('a token function is asked for each connect', async (t) => {
  const server = await fakeServer(t);
  let count = 0;
  const roomwire = client(t, server, { token: async () => `t${++count}` });
  await live(roomwire);
  (await server.peer()).cut();
  await server.peer(1);
  await live(roomwire);
  t.same(
    server.hellos.map(({ token }) => token),
    ['t1', 't2'],
  );
});

t.test('close says BYE and ends the session', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  await live(roomwire);
  const call = roomwire.call('x', null);
  roomwire.close();
  await t.rejects(call, { name: 'disconnected' });
  await peer.take(Op.BYE);
  await peer.until(() => peer.closed !== undefined);
  await until(roomwire.state, ({ status }) => status === 'closed');
  await t.rejects(roomwire.call('x', null), { name: 'disconnected' });
});

for (const by of ['a reset of its topics', 'the state that it brings']) {
  t.test(`close holds where ${by} calls it within WELCOME`, async (t) => {
    const server = await fakeServer(t);
    const timers = new FakeTimers();
    const roomwire = client(t, server, { timers });
    const peer = await server.peer();
    const news = roomwire.subscribe('news');
    const [, id] = await peer.take(Op.SUBSCRIBE);
    peer.send([Op.ACK, id, { epoch: 'e1', offset: 4, recovered: false }]);
    await news.ready;
    peer.cut();
    await until(roomwire.state, ({ status }) => status === 'offline');
    const said = new Set<string>();
    const stop = roomwire.state.subscribe(({ status }) => {
      said.add(status);
      if (status === 'live') roomwire.close();
    });
    if (by === 'a reset of its topics') news.on('reset', () => roomwire.close());
    // Would be asked for after the reset.
    roomwire.subscribe('other');
    const topics = { news: { epoch: 'e2', offset: 9, recovered: false } };
    server.onHello = (second, _hello, id) => second.send([Op.WELCOME, id, welcome({ topics })], [Op.PING, 1]);
    timers.advance(0);
    const second = await server.peer(1);
    await second.until(() => second.closed !== undefined);
    stop();
    t.same([...said], by === 'a reset of its topics' ? ['connecting', 'closed'] : ['connecting', 'live', 'closed']);
    t.equal(roomwire.state.get().status, 'closed');
    t.same(second.frames.at(-1), [Op.BYE]);
    t.notOk(
      second.frames.some(([op]) => op === Op.PONG),
      'nothing is answered any more',
    );
    if (by === 'a reset of its topics') t.same(second.frames, [[Op.BYE]], 'nor asked');
    t.same(timers.delays, [], 'there is no reconnect');
    await t.rejects(roomwire.call('x', null), { name: 'disconnected' });
  });
}

t.test('a connection that is closed by whoever hears its WELCOME is not said to be live', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const downs: boolean[] = [];
  const connection = new Connection(settingsOf(server.url, { WebSocket, timers }), {
    toResume: () => ({}),
    welcome: () => connection.close(),
    onFrame: () => false,
    down: (final) => downs.push(final),
  });
  const said: string[] = [];
  connection.state.subscribe(({ status }) => said.push(status));
  await connection.connect();
  const peer = await server.peer();
  await peer.until(() => peer.closed !== undefined);
  t.same(said, ['connecting', 'closed']);
  t.same(downs, [true]);
  t.same(peer.frames, [[Op.BYE]]);
  t.same(timers.delays, []);
});
