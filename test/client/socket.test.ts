/** `@roomwire/client/socket`: Socket.IO's shape over roomwire's frames, and what it says of what cannot be. */
import type { Test } from 'tap';
import t from 'tap';
import { io, RoomwireError, type Socket, type SocketOptions } from '../../src/client/socket/node.js';
import { Op } from '../../src/protocol/frames.js';
import { until } from '../support/until.js';
import { fakeServer, welcome } from './fake-server.js';
import { FakeTimers } from './fake-timers.js';

function socketOf(t: Test, { url }: { readonly url: string }, options: SocketOptions = {}) {
  const errors: Error[] = [];
  const said: [event: string, ...args: unknown[]][] = [];
  const socket = io(url, {
    random: () => 0,
    onError: (error) => void errors.push(error as Error),
    ...options,
  });
  t.teardown(() => socket.disconnect());
  for (const event of ['connect', 'disconnect', 'connect_error'] as const) {
    socket.on(event, (...args: unknown[]) => void said.push([event, ...args]));
  }
  return { socket, errors, said, events: () => said.map(([event]) => event) };
}
const connected = (socket: Socket): Promise<void> => until(() => socket.connected, 'the socket is connected');

t.test('emit is a call with a key; its last function gets the answer', async (t) => {
  const server = await fakeServer(t);
  const { socket, errors } = socketOf(t, server);
  const answers: unknown[] = [];
  socket.emit('join_room', { room: 'CustomerApp' }, (answer: unknown) => answers.push(answer));
  socket.emit('join:overview');
  socket.emit('pair', 1, 'two');
  const peer = await server.peer();
  const { id, input, options } = await peer.call('join_room');
  t.same(input, { room: 'CustomerApp' });
  t.match(options, { key: /^\d+-/ });
  peer.send([Op.ACK, id, { status: 1 }]);
  await until(() => answers.length === 1);
  t.same(answers, [{ status: 1 }]);
  t.same((await peer.call('join:overview')).input, {}, 'without an argument it is an empty object');
  t.same((await peer.call('pair')).input, [1, 'two'], 'several are an array');
  t.same([socket.id, socket.connected, socket.recovered], ['s1', true, false]);
  const asked = socket.emitWithAck('count', {});
  peer.send([Op.ACK, (await peer.call('count')).id, 3]);
  t.equal(await asked, 3);
  const called = socket.call('sum', [1, 2], { key: 'mine' });
  const sum = await peer.call('sum');
  t.match([sum.input, sum.options], [[1, 2], { key: 'mine' }]);
  peer.send([Op.ACK, sum.id, 3]);
  t.equal(await called, 3);
  t.same(errors, []);
});

t.test('an emit that the contract has no call for is refused aloud, once for its name', async (t) => {
  const server = await fakeServer(t);
  const { socket, errors } = socketOf(t, server);
  let answered = 0;
  for (let i = 0; i < 2; i++) socket.emit('join_rom', {}, () => answered++);
  socket.emit('join_room', { room: 7 });
  const asked = socket.emitWithAck('join_rom', {});
  const peer = await server.peer();
  for (let i = 0; i < 3; i++) peer.send([Op.NACK, (await peer.call('join_rom')).id, 102, "no call 'join_rom'"]);
  peer.send([Op.NACK, (await peer.call('join_room')).id, 105, 'room: Expected string']);
  await t.rejects(asked, { name: 'unknown_call', code: 102 });
  await until(() => errors.length === 2);
  t.same(
    errors.map(({ message }) => message),
    [
      "emit('join_rom') was refused: unknown_call: no call 'join_rom'",
      "emit('join_room') was refused: invalid_data: room: Expected string",
    ],
  );
  t.ok(errors[0]?.cause instanceof RoomwireError, 'with the error itself');
  t.equal(answered, 0);
  t.throws(() => socket.emit('connect'), { message: /reserved/ });
});

t.test('events of every topic arrive, with the topic they came by, and what ended is told', async (t) => {
  const server = await fakeServer(t);
  server.onHello = (peer, _hello, id) =>
    peer.send([
      Op.WELCOME,
      id,
      welcome({ topics: { 'overview:public': { epoch: 'e', offset: 4, recovered: false } } }),
    ]);
  const { socket, errors } = socketOf(t, server);
  const heard: unknown[] = [];
  const any: string[] = [];
  socket.on('room:update', (data: { roomId: string }, { topic, offset }: { topic: string; offset: number }) => {
    heard.push([data.roomId, topic, offset]);
  });
  socket.once('room:update', () => heard.push('once'));
  socket.onAny((event) => any.push(event as string));
  socket.on('roomwire:removed', ({ topic, code }) => heard.push([topic, code]));
  const peer = await server.peer();
  const update = ['room:update', { roomId: 'a' }, null];
  peer.send([Op.EVENTS, 'overview:public', 5, update]);
  peer.send([Op.SUBSCRIBED, 'room:a', 'f', 0, true], [Op.EVENTS, 'room:a', 1, update, ['connect', {}, null]]);
  peer.send([Op.LATEST, 'room:a', 'frame_update', 'all', { frame: 3 }, 's2']);
  peer.send([Op.REMOVED, 'room:a', 124, 'kicked'], [Op.EVENTS, 'room:a', 3, update]);
  // Again, as after a second join.
  peer.send([Op.SUBSCRIBED, 'room:a', 'f', 3, true], [Op.EVENTS, 'room:a', 4, update]);
  await until(() => heard.length === 5);
  t.same(heard, [['a', 'overview:public', 5], 'once', ['a', 'room:a', 1], ['room:a', 124], ['a', 'room:a', 4]]);
  t.same(any, ['room:update', 'room:update', 'connect', 'frame_update', 'room:update']);
  t.same(errors, []);
});

t.test('a gap is told, aloud where nobody listens for it', async (t) => {
  const server = await fakeServer(t);
  const { socket, errors } = socketOf(t, server);
  const peer = await server.peer();
  await connected(socket);
  peer.send([Op.SUBSCRIBED, 'news', 'e', 0, true], [Op.RESET, 'news', 'e', 9, 'overrun']);
  await until(() => errors.length === 1);
  t.match(errors[0]?.message, 'listen for roomwire:reset');
  const resets: unknown[] = [];
  socket.on('roomwire:reset', (reset) => resets.push(reset));
  peer.send([Op.RESET, 'news', 'e', 20, 'overrun']);
  await until(() => resets.length === 1);
  t.same(resets, [{ topic: 'news', reason: 'overrun', position: ['e', 20] }]);
  t.equal(errors.length, 1);
});

t.test('what is emitted without a connection waits, in order, behind those that join again', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const { socket, said } = socketOf(t, server, { timers });
  socket.on('connect', () => socket.emit('join_room', { room: 'CustomerApp' }));
  const peer = await server.peer();
  peer.send([Op.ACK, (await peer.call('join_room')).id, {}]);
  const sent = socket.emitWithAck('send_message', { text: 'on its way' });
  const { options } = await peer.call('send_message');
  peer.cut();
  await until(() => !socket.connected);
  t.match(said.at(-1), ['disconnect', 'transport close', { name: 'connection_lost' }]);
  t.equal(socket.id, undefined);
  socket.emit('send_message', { text: 'typed offline' });
  let dropped: unknown;
  socket.volatile.emitWithAck('typing', {}).catch((error: unknown) => (dropped = error));
  await until(() => dropped !== undefined);
  t.match(dropped, { name: 'disconnected' }, 'volatile is dropped');
  server.onHello = (peer, _hello, id) => peer.send([Op.WELCOME, id, welcome({ resumed: true })]);
  timers.advance(0);
  const second = await server.peer(1);
  await second.until(() => second.frames.filter(([op]) => op === Op.CALL).length === 3);
  const calls = second.frames.filter(([op]) => op === Op.CALL);
  t.same(
    calls.map(([, , name, input]) => [name, input]),
    [
      ['send_message', { text: 'on its way' }],
      ['join_room', { room: 'CustomerApp' }],
      ['send_message', { text: 'typed offline' }],
    ],
  );
  t.same((calls[0]?.[4] as { key: string }).key, (options as { key: string }).key, 'repeated with its key');
  t.equal(socket.recovered, true, 'nothing was missed');
  second.send([Op.ACK, calls[0]?.[1], 'done']);
  t.equal(await sent, 'done');
});

t.test('a timeout ends the wait, also without a connection', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const { socket } = socketOf(t, server, { timers, autoConnect: false });
  const answers: unknown[] = [];
  socket.timeout(500).emit('slow', {}, (error: Error | null, answer?: unknown) => answers.push([error?.name, answer]));
  const late = t.rejects(socket.timeout(600).emitWithAck('slow', {}), { name: 'deadline', code: 200 });
  timers.advance(600);
  await late;
  t.same(answers, [['deadline', undefined]]);
  t.equal(socket.active, false);
  socket.connect();
  const peer = await server.peer();
  await connected(socket);
  socket.timeout(500).emit('quick', {}, (error: Error | null, answer?: unknown) => answers.push([error, answer]));
  const { id, options } = await peer.call('quick');
  t.match(options, { timeoutMs: 500 });
  peer.send([Op.ACK, id, 'yes']);
  await until(() => answers.length === 2);
  t.same(answers[1], [null, 'yes']);
  t.notOk(
    peer.frames.some(([op]) => op === Op.CALL),
    'what was late is not sent',
  );
});

t.test('a refused connection says why; a new token and connect() make a new one', async (t) => {
  const server = await fakeServer(t);
  server.onHello = (peer, { token }, id) => {
    if (token === 'good') peer.send([Op.WELCOME, id, welcome()]);
    else peer.close(4006, 'not you');
  };
  const { socket, said, events } = socketOf(t, server, { auth: { token: 'bad' } });
  await until(() => said.length === 1);
  t.match(said[0], ['connect_error', { message: 'forbidden', data: { code: 4006, message: 'not you' } }]);
  t.equal(socket.active, false);
  socket.auth = (given) => given({ token: 'good' });
  socket.connect();
  await connected(socket);
  t.same(events(), ['connect_error', 'connect']);
  socket.disconnect();
  t.match(said.at(-1), ['disconnect', 'io client disconnect']);
  socket.emit('later', {});
  socket.auth = async () => ({ token: 'good' });
  socket.connect();
  const third = await server.peer(2);
  t.match(await third.call('later'), { input: {} }, 'what was emitted meanwhile');
  third.close(4007, 'kicked');
  await until(() => !socket.connected);
  t.match(said.at(-1), ['disconnect', 'io server disconnect', { name: 'kicked' }]);
});

t.test("the server's calls are answered by a listener's second argument, or at once", async (t) => {
  const server = await fakeServer(t);
  const { socket, errors } = socketOf(t, server);
  const peer = await server.peer();
  await connected(socket);
  socket.on('join_room_response', (answer: { status: number }) => t.equal(answer.status, 1));
  socket.on('confirm', (question: string, answer: (yes: boolean) => void) => answer(question === 'sure?'));
  socket.on('broken', () => {
    throw new Error('broken');
  });
  peer.send([Op.CALL, 1, 'join_room_response', { status: 1 }], [Op.CALL, 2, 'confirm', 'sure?']);
  peer.send([Op.CALL, 3, 'nobody', {}], [Op.CALL, 4, 'broken', {}]);
  await peer.until(() => peer.frames.filter(([op]) => op === Op.ACK || op === Op.NACK).length === 4);
  const answers = peer.frames.filter(([op]) => op === Op.ACK || op === Op.NACK);
  t.same(
    answers.map(([op, id, answer]) => [op, id, answer]).sort((a, b) => Number(a[1]) - Number(b[1])),
    [
      [Op.ACK, 1, null],
      [Op.ACK, 2, true],
      [Op.NACK, 3, 102],
      [Op.NACK, 4, 130],
    ],
  );
  t.equal(errors.length, 1);
});

t.test('listeners come and go, and one that throws stops no other', async (t) => {
  const server = await fakeServer(t);
  const { socket, errors } = socketOf(t, server);
  const heard: number[] = [];
  const one = () => heard.push(1);
  const two = () => heard.push(2);
  socket
    .on('news', () => {
      throw new Error('mine');
    })
    .on('news', one)
    .on('news', two)
    .off('news', one);
  const peer = await server.peer();
  peer.send([Op.SUBSCRIBED, 'n', 'e', 0, true], [Op.EVENTS, 'n', 1, ['news', {}, null]]);
  await until(() => heard.length === 1);
  t.same([heard, errors.map(({ message }) => message)], [[2], ['mine']]);
  socket.off('news');
  t.same(socket.listeners('news'), []);
  t.throws(() => io(server.url, { query: { token: 'x' } } as SocketOptions), { message: /query.*auth/ });
});

t.test('without reconnection a lost connection stays lost', async (t) => {
  const server = await fakeServer(t);
  const { socket, said } = socketOf(t, server, { reconnection: false });
  const peer = await server.peer();
  await connected(socket);
  peer.cut();
  await until(() => said.some(([event]) => event === 'disconnect'));
  t.equal(socket.active, false);
});
