/** Calls to the server: every one ends, and says how. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { client, fakeServer, live, until } from './fake-server.js';
import { FakeTimers } from './fake-timers.js';

t.test('a call resolves with its ACK and rejects with its NACK', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  const good = roomwire.call('good', { a: 1 });
  const { id, input, options } = await peer.call('good');
  t.same(input, { a: 1 });
  t.match(options, { timeoutMs: 10_000 });
  peer.send([Op.ACK, id, 'yes']);
  t.equal(await good, 'yes');
  const bad = roomwire.call('bad', null);
  peer.send([Op.NACK, (await peer.call('bad')).id, 205, 'held', { userName: 'Bob' }]);
  await t.rejects(bad, { name: 'lock_held', code: 205, message: 'held', details: { userName: 'Bob' } });
  const strange = roomwire.call('strange', null);
  peer.send([Op.NACK, (await peer.call('strange')).id, 4711, 'what?']);
  await t.rejects(strange, { name: 'error_4711', code: 4711 });
});

t.test('calls wait for the connection, in their order', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const calls = [roomwire.call('a', 1), roomwire.call('b', 2), roomwire.publish('x', 'e', 3)];
  const peer = await server.peer();
  await peer.until(() => peer.frames.length === 3);
  t.same(
    peer.frames.map(([op]) => op),
    [Op.CALL, Op.CALL, Op.PUBLISH],
  );
  for (const [, id] of peer.frames) peer.send([Op.ACK, id, null]);
  await Promise.all(calls);
});

t.test('a disconnect rejects at once, and a keyed call is sent again with its key', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const roomwire = client(t, server, { timers });
  const peer = await server.peer();
  await live(roomwire);
  const plain = roomwire.call('plain', null);
  const keyed = roomwire.call('keyed', { n: 1 }, { key: 'k1' });
  const published = roomwire.publish('x', 'e', 1, { key: 'k2' });
  await peer.take(Op.PUBLISH);
  peer.cut();
  await t.rejects(plain, { name: 'disconnected', code: 204 });
  t.equal(roomwire.state.get().status, 'offline', 'before the reconnect');
  timers.advance(0);
  const second = await server.peer(1);
  const { id, input, options } = await second.call('keyed');
  t.same(input, { n: 1 });
  t.match(options, { key: 'k1' });
  second.send([Op.ACK, id, 'done']);
  t.equal(await keyed, 'done');
  const [, publish, , , key] = await second.take(Op.PUBLISH);
  t.equal(key, 'k2');
  second.send([Op.ACK, publish, { epoch: 'e', offset: 1, matched: 0 }]);
  t.same(await published, { epoch: 'e', offset: 1, matched: 0 });
  t.notOk(
    second.frames.some(([op]) => op === Op.CALL),
    'the plain call is not',
  );
});

t.test(
  'what has a key and is refused by a server that stops is asked of the next one: it may have been done before',
  async (t) => {
    const server = await fakeServer(t);
    const timers = new FakeTimers();
    const roomwire = client(t, server, { timers });
    const peer = await server.peer();
    await live(roomwire);
    const published = roomwire.publish('x', 'e', 1, { key: 'k1' });
    await peer.take(Op.PUBLISH);
    peer.cut();
    await until(roomwire.state, ({ status }) => status === 'offline');
    timers.advance(0);
    const stopping = await server.peer(1);
    const plain = roomwire.call('plain', null);
    const refuse = (id: unknown): void => stopping.send([Op.NACK, id, 206, 'the server stops']);
    refuse((await stopping.take(Op.PUBLISH))[1]);
    refuse((await stopping.call('plain')).id);
    await t.rejects(plain, { name: 'draining' }, 'without a key it was not done');
    stopping.close(4202);
    await until(roomwire.state, ({ status }) => status === 'offline');
    timers.advance(5_000);
    const next = await server.peer(2);
    const [, id, , , key] = await next.take(Op.PUBLISH);
    t.equal(key, 'k1');
    next.send([Op.ACK, id, { epoch: 'e', offset: 1, matched: 0 }]);
    t.match(await published, { offset: 1 });
  },
);

t.test('a call ends at its deadline, with a connection or without', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  server.onHello = () => undefined;
  const roomwire = client(t, server, { timers });
  const early = roomwire.call('early', null, { timeoutMs: 300 });
  timers.advance(300);
  await t.rejects(early, { name: 'deadline', code: 200 });
});

t.test('a call that is live ends at its deadline and is cancelled', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const roomwire = client(t, server, { timers });
  const peer = await server.peer();
  await live(roomwire);
  const call = roomwire.call('slow', null);
  const { id } = await peer.call('slow');
  timers.advance(10_000);
  await t.rejects(call, { name: 'deadline' });
  t.same(await peer.take(Op.CANCEL), [Op.CANCEL, id]);
});

t.test('an abort sends CANCEL and rejects with its reason as cause', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  await live(roomwire);
  const abort = new AbortController();
  const call = roomwire.call('slow', null, { signal: abort.signal });
  const { id } = await peer.call('slow');
  abort.abort(new Error('enough'));
  await t.rejects(call, { name: 'cancelled', cause: { message: 'enough' } });
  t.same(await peer.take(Op.CANCEL), [Op.CANCEL, id]);
  peer.send([Op.ACK, id, 'late']);
  await t.rejects(roomwire.call('x', null, { signal: abort.signal }), { name: 'cancelled' });
});

t.test('data without an encoding is refused at the sender, by its path', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  await live(roomwire);
  const data = { user: { born: new Date(0) } };
  await t.rejects(roomwire.publish('x', 'e', data), { name: 'EncodeError', message: /^data\.user\.born is a Date/ });
  await t.rejects(roomwire.call('x', [data]), { message: /^data\[0\]\.user\.born is a Date/ });
  t.throws(() => roomwire.volatile('x', 'e', 's', data), { message: /^data\.user\.born is a Date/ });
});

t.test('what is larger than the server takes is refused at the sender', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  await live(roomwire);
  await t.rejects(roomwire.call('x', new Uint8Array(1024 * 1024)), { name: 'too_large' });
  await until(roomwire.state, ({ status }) => status === 'live');
});
