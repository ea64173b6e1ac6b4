/** HELLO says who, which session, which instance and from where. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { client, fakeServer, live, until, welcome } from './fake-server.js';

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
