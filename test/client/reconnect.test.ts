/** The class of a close code decides what comes next. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { client, fakeServer, live, until, welcome } from './fake-server.js';
import { FakeTimers } from './fake-timers.js';

t.test('4000–4099 is final, and says why', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  await live(roomwire);
  const call = roomwire.call('slow', null);
  await peer.call('slow');
  peer.close(4008, 'elsewhere');
  await t.rejects(call, { name: 'disconnected' });
  const state = await until(roomwire.state, ({ status }) => status === 'refused');
  t.match(state.reason, { code: 4008, name: 'taken_over', message: 'elsewhere' });
  await t.rejects(roomwire.call('x', null), { name: 'disconnected' }, 'nothing waits for what will not come');
  roomwire.reconnect();
  await live(roomwire);
  t.equal(server.peers.length, 2, 'unless the application asks');
});

t.test(
  '4008 right after a resume that took several attempts is the work of an earlier HELLO, and not final',
  async (t) => {
    const server = await fakeServer(t);
    const roomwire = client(t, server);
    const first = await server.peer();
    await live(roomwire);
    server.onHello = (peer, _, id) => {
      if (server.peers.length === 2) return peer.cut();
      peer.send([Op.WELCOME, id, welcome({ resumed: true })]);
      if (server.peers.length === 3) peer.close(4008);
    };
    first.cut();
    await until(roomwire.state, ({ status }) => status === 'live' && server.peers.length === 4);
  },
);

t.test('41xx without a token function is final', async (t) => {
  const server = await fakeServer(t);
  server.onHello = (peer) => peer.close(4100);
  const roomwire = client(t, server, { token: 'old' });
  await until(roomwire.state, ({ status }) => status === 'refused');
  t.equal(server.peers.length, 1);
});

t.test('41xx asks for a new token and connects at once', async (t) => {
  const server = await fakeServer(t);
  server.onHello = (peer, { token }, id) => {
    if (token === 't1') peer.close(4101);
    else peer.send([Op.WELCOME, id, welcome()]);
  };
  let count = 0;
  const roomwire = client(t, server, { token: () => `t${++count}`, random: () => 1, backoff: { baseMs: 1e6 } });
  await live(roomwire);
  t.equal(server.hellos[1]?.token, 't2');
});

t.test('fresh tokens refused again and again are the end', async (t) => {
  const server = await fakeServer(t);
  server.onHello = (peer) => peer.close(4100);
  const roomwire = client(t, server, { token: () => 'bad' });
  await until(roomwire.state, ({ status }) => status === 'refused');
  t.equal(server.peers.length, 5);
});

t.test('a token function that fails for want of network is asked again', async (t) => {
  const server = await fakeServer(t);
  let count = 0;
  const roomwire = client(t, server, {
    token: () => (++count < 8 ? Promise.reject(new Error('no network')) : 'good'),
  });
  await live(roomwire);
  t.equal(server.hellos[0]?.token, 'good');
});

t.test('43xx connects at once', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server, { random: () => 1, backoff: { baseMs: 1e6, maxMs: 1e6 } });
  const peer = await server.peer();
  await live(roomwire);
  peer.close(4300);
  await server.peer(1);
  await live(roomwire);
});

t.test('42xx and lost connections wait with growing bounds, the first wait of a lost one short', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const roomwire = client(t, server, { timers, random: () => 0.5, backoff: { baseMs: 1_000, maxMs: 3_000 } });
  const ends = [() => server.peers[0]?.cut(), () => server.peers[1]?.close(4200), () => server.peers[2]?.close(4201)];
  const delays = [500, 1_500, 1_500];
  for (const [i, end] of ends.entries()) {
    await server.peer(i);
    await live(roomwire);
    end();
    const state = await until(roomwire.state, ({ status }) => status === 'offline');
    t.equal(state.attempt, i + 1);
    t.ok(state.retryAt !== undefined);
    await timers.set(delays[i] as number);
    timers.advance(delays[i] as number);
  }
  await live(roomwire);
  t.equal(roomwire.state.get().attempt, 0);
});

t.test('a connection that held starts the count anew', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const roomwire = client(t, server, { timers });
  for (let i = 0; i < 3; i++) {
    const peer = await server.peer(i);
    await live(roomwire);
    timers.advance(6_000);
    peer.cut();
    t.equal((await until(roomwire.state, ({ status }) => status === 'offline')).attempt, 1);
    timers.advance(0);
  }
});

t.test('GOAWAY spreads the reconnects over retryAfterMs', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const roomwire = client(t, server, { timers, random: () => 0.25 });
  const peer = await server.peer();
  await live(roomwire);
  peer.send([Op.GOAWAY, 4202, 'deploy', 40_000]);
  peer.close(4202);
  await until(roomwire.state, ({ status }) => status === 'offline');
  t.same(timers.delays, [10_000]);
});

t.test('GOAWAY tells the reason of a connection that is then cut', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  await live(roomwire);
  peer.send([Op.GOAWAY, 4007, 'kicked', 0], [Op.PING, 1]);
  await peer.take(Op.PONG);
  peer.cut();
  t.match((await until(roomwire.state, ({ status }) => status === 'refused')).reason, { name: 'kicked' });
});

t.test('an opcode above 127 is ignored, an unknown one below ends the connection', async (t) => {
  const server = await fakeServer(t);
  const errors: unknown[] = [];
  const roomwire = client(t, server, { onError: (error) => errors.push(error) });
  const peer = await server.peer();
  await live(roomwire);
  peer.send([200, 'new'], [Op.PING, 7]);
  t.same(await peer.take(Op.PONG), [Op.PONG, 7]);
  peer.send([99]);
  await server.peer(1);
  await peer.until(() => peer.closed !== undefined);
  t.equal(peer.closed, 4000);
  t.match(errors, [{ message: /unknown opcode: 99/ }]);
  await live(roomwire);
});

t.test('a broken message ends the connection', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  await live(roomwire);
  peer.socket.send(Uint8Array.of(0xc1));
  await server.peer(1);
  t.equal(peer.closed, 4000);
});
