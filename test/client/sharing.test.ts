/** One connection per URL and identity, closed by the last who uses it. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { client, fakeServer, live, until } from './fake-server.js';
import { letIn } from './room-replies.js';

t.test('clients of the same URL and token share one connection', async (t) => {
  const server = await fakeServer(t);
  const token = (): string => 'x';
  const first = client(t, server, { token });
  const second = client(t, server, { token });
  await live(first);
  await live(second);
  t.equal(first.state.get().sid, second.state.get().sid);
  t.equal(server.peers.length, 1);
  const peer = await server.peer();
  const both = [first.room('a').join(), second.room('a').join()];
  await letIn(peer, { id: 'a' });
  await Promise.all(both);
  t.same(peer.frames, [], 'joined once');
  t.equal(first.room('a').state.get(), second.room('a').state.get());
});

t.test('another token or instance has a connection of its own', async (t) => {
  const server = await fakeServer(t);
  const clients = [
    client(t, server, { token: 'a' }),
    client(t, server, { token: 'b' }),
    client(t, server, { token: 'a', instance: 'i2' }),
  ];
  await Promise.all(clients.map(live));
  t.equal(server.peers.length, 3);
});

t.test('close undoes what this client registered, and the last one closes the connection', async (t) => {
  const server = await fakeServer(t);
  const first = client(t, server);
  const second = client(t, server);
  const peer = await server.peer();
  await live(first);
  first.handle('ask', () => 1);
  const topic = first.subscribe('news');
  const [, id] = await peer.take(Op.SUBSCRIBE);
  peer.send([Op.ACK, id, { epoch: 'e', offset: 0, recovered: false }]);
  await topic.ready;
  first.close();
  first.close();
  await peer.take(Op.UNSUBSCRIBE);
  peer.send([Op.CALL, 1, 'ask', null]);
  t.match(await peer.take(Op.NACK), [Op.NACK, 1, 102]);
  t.equal(second.state.get().status, 'live');
  await t.rejects(first.call('x', null), { name: 'disconnected' });
  second.close();
  await peer.take(Op.BYE);
  t.equal(second.state.get().status, 'closed');
});

t.test('a refused connection is not shared with those who come later', async (t) => {
  const server = await fakeServer(t);
  server.onHello = (peer) => peer.close(4006);
  const first = client(t, server);
  await until(first.state, ({ status }) => status === 'refused');
  const second = client(t, server);
  await until(second.state, ({ status }) => status === 'refused');
  t.equal(server.peers.length, 2);
});

t.test('what can never work throws at once', async (t) => {
  t.throws(() => client(t, { url: 'ftp://x' }), { message: /ws: or wss:/ });
  t.throws(() => client(t, { url: 'nonsense' }), { code: 'ERR_INVALID_URL' });
});
