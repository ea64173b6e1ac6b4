/** A connection without signs of life is cut. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { client, fakeServer, live, until, welcome } from './fake-server.js';
import { FakeTimers } from './fake-timers.js';

t.test('silence of pingEvery and pingTimeout cuts the connection, and connects again at once', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const roomwire = client(t, server, { timers, pingTimeout: 5_000 });
  const peer = await server.peer();
  await live(roomwire);
  timers.advance(20_000);
  peer.send([Op.PING, 'stamp']);
  t.same(await peer.take(Op.PONG), [Op.PONG, 'stamp']);
  timers.advance(29_000);
  t.equal(roomwire.state.get().status, 'live', 'the PING counted');
  timers.advance(1_001);
  await peer.until(() => peer.closed !== undefined);
  t.equal(peer.closed, 4300);
  timers.advance(0);
  await server.peer(1);
  await live(roomwire);
});

t.test('a server that never says WELCOME is left', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  server.onHello = () => undefined;
  const roomwire = client(t, server, { timers, random: () => 1 });
  await server.peer();
  timers.advance(15_000);
  await until(roomwire.state, ({ status }) => status === 'offline');
});

t.test('a token that expires is renewed in-band before', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  server.onHello = (peer, _hello, id) => peer.send([Op.WELCOME, id, welcome({ time: 500_000, expiresAt: 1_100_000 })]);
  let count = 0;
  const roomwire = client(t, server, { timers, pingTimeout: 1e7, token: () => `t${++count}` });
  const peer = await server.peer();
  await live(roomwire);
  timers.advance(569_000);
  t.equal(count, 1);
  timers.advance(1_000);
  const [, id, token] = await peer.take(Op.AUTH);
  t.equal(token, 't2');
  peer.send([Op.ACK, id, { expiresAt: 2_000_000 }]);
  await timers.set(2_000_000 - 500_000 - 570_000 - 30_000);
  t.equal(server.peers.length, 1);
});
