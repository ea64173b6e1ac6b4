/** A room whose events were missed is joined again by itself, and the application is told. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import type { Client, Room } from '../../src/client/types.js';
import { client, fakeServer, live, settled, until, welcome, type FakeServer, type Peer } from './fake-server.js';
import { joinFrames, letIn, member } from './room-replies.js';

interface Joined {
  readonly server: FakeServer;
  readonly roomwire: Client;
  readonly room: Room;
  readonly peer: Peer;
  readonly heard: unknown[];
}

async function joinedRoom(t: Parameters<typeof fakeServer>[0]): Promise<Joined> {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const room = roomwire.room('demo');
  const heard: unknown[] = [];
  room.on('chat', (data) => heard.push(data));
  room.on('reset', ({ reason, position }) => heard.push([reason, ...position]));
  room.on('removed', ({ code }) => heard.push(code));
  const joined = room.join({ create: true });
  const peer = await server.peer();
  await letIn(peer, { offset: 10 });
  await joined;
  return { server, roomwire, room, peer, heard };
}

t.test('a recovered room needs nothing else', async (t) => {
  const { server, peer, heard, room } = await joinedRoom(t);
  server.onHello = (second, { resume }, id) => {
    t.same(resume, { 'room:demo': ['e', 10] });
    const topics = { 'room:demo': { epoch: 'e', offset: 11, recovered: true } };
    second.send([Op.WELCOME, id, welcome({ resumed: true, topics })], [Op.EVENTS, 'room:demo', 11, ['chat', 11, null]]);
  };
  peer.cut();
  const second = await server.peer(1);
  await settled(second);
  t.same(heard, [11]);
  t.same(second.frames, [[Op.PING, null]], 'the sign that WELCOME arrived');
  t.equal(room.state.get().status, 'joined');
});

t.test('RESET joins again; events up to the reply are dropped, those after it handed over', async (t) => {
  const { peer, heard, room } = await joinedRoom(t);
  peer.send([Op.RESET, 'room:demo', 'e', 50, 'overrun'], [Op.EVENTS, 'room:demo', 51, ['chat', 51, null]]);
  const { id, input } = await peer.call('join:room');
  t.same(input, { roomId: 'demo' }, 'without create');
  t.equal(room.state.get().status, 'joining');
  const joined: unknown = { roomId: 'demo', member: member('bob') };
  peer.send([Op.EVENTS, 'room:demo', 52, ['member:joined', joined, null], ['chat', 53, null]]);
  peer.send(...joinFrames(id, { offset: 52, members: [member('bob')], subscribed: false }));
  await until(room.state, ({ status }) => status === 'joined');
  await settled(peer);
  t.same(heard, [['overrun', 'e', 52], 53]);
  t.equal(room.state.get().memberCount, 1, 'bob is counted once');
});

t.test('after RESET, events that the reply held already are dropped, also when they come after it', async (t) => {
  const { peer, heard, room } = await joinedRoom(t);
  peer.send([Op.RESET, 'room:demo', 'e', 50, 'overrun']);
  const { id } = await peer.call('join:room');
  // A reply overtakes the events of a subscriber that is behind.
  peer.send(...joinFrames(id, { offset: 52, subscribed: false }));
  await until(room.state, ({ status }) => status === 'joined');
  peer.send([Op.EVENTS, 'room:demo', 51, ['chat', 51, null], ['chat', 52, null], ['chat', 53, null]]);
  await settled(peer);
  t.same(heard, [['overrun', 'e', 52], 53]);
});

t.test('a reply older than the stream is asked for again', async (t) => {
  const { peer, heard } = await joinedRoom(t);
  peer.send([Op.RESET, 'room:demo', 'e', 50, 'overrun']);
  peer.send(...joinFrames((await peer.call('join:room')).id, { offset: 49, subscribed: false }));
  peer.send(...joinFrames((await peer.call('join:room')).id, { offset: 50, subscribed: false }));
  await settled(peer);
  t.same(heard, [['overrun', 'e', 50]]);
});

t.test('what was held back of an epoch that is over is not handed over in the next', async (t) => {
  const { server, peer, heard, room } = await joinedRoom(t);
  peer.send([Op.RESET, 'room:demo', 'e', 50, 'overrun'], [Op.EVENTS, 'room:demo', 51, ['chat', 'old', null]]);
  await peer.call('join:room');
  server.onHello = (second, _hello, id) => {
    const topics = { 'room:demo': { epoch: 'e2', offset: 3, recovered: false } };
    second.send([Op.WELCOME, id, welcome({ resumed: true, topics })], [Op.EVENTS, 'room:demo', 4, ['chat', 4, null]]);
  };
  peer.cut();
  const second = await server.peer(1);
  const { id } = await second.call('join:room');
  second.send(...joinFrames(id, { epoch: 'e2', offset: 3, subscribed: false }));
  await settled(second);
  t.same(heard, [['overrun', 'e2', 3], 4]);
  t.equal(room.state.get().status, 'joined');
});

t.test('a gap joins again', async (t) => {
  const { peer, heard } = await joinedRoom(t);
  peer.send([Op.EVENTS, 'room:demo', 15, ['chat', 15, null]]);
  peer.send(...joinFrames((await peer.call('join:room')).id, { offset: 15, subscribed: false }));
  await settled(peer);
  t.same(heard, [['gap', 'e', 15]]);
});

t.test('a lost session joins again before anything is published that waited', async (t) => {
  const { server, peer, heard, room } = await joinedRoom(t);
  server.onHello = (second, _hello, id) => {
    const topics = { 'room:demo': { epoch: '', offset: 0, recovered: false, code: 107 } };
    second.send([Op.WELCOME, id, welcome({ session: ['s2', 'x'], topics })]);
  };
  const kept = room.publish('chat', 'mine', { key: 'k' });
  const [, keptId] = await peer.take(Op.PUBLISH);
  peer.cut();
  const second = await server.peer(1);
  const { id } = await second.call('join:room');
  const late = room.publish('chat', 'late');
  await settled(second);
  t.same(second.frames, [], 'before the join is done the server would refuse');
  second.send(...joinFrames(id, { epoch: 'e2', offset: 3 }));
  t.equal((await second.take(Op.PUBLISH))[1], keptId);
  const [, lateId] = await second.take(Op.PUBLISH);
  second.send([Op.ACK, keptId, { epoch: 'e2', offset: 4, matched: 1 }]);
  second.send([Op.ACK, lateId, { epoch: 'e2', offset: 5, matched: 1 }]);
  t.equal((await kept).offset, 4);
  t.equal((await late).offset, 5);
  t.same(heard, [['not resumed', 'e2', 3]]);
  t.equal(room.state.get().status, 'joined');
});

t.test('calls that waited come after the rejoin, also of a room that was left once before', async (t) => {
  const { server, roomwire, peer, room } = await joinedRoom(t);
  const left = room.leave();
  peer.send([Op.REMOVED, 'room:demo', 0, 'left'], [Op.ACK, (await peer.call('leave:room')).id, null]);
  await left;
  const joined = room.join();
  await letIn(peer);
  await joined;
  server.onHello = (second, _hello, id) => second.send([Op.WELCOME, id, welcome({ session: ['s2', 'x'] })]);
  peer.cut();
  await until(roomwire.state, ({ status }) => status === 'offline');
  room.presenter.take().catch(() => undefined);
  const second = await server.peer(1);
  await second.until(() => second.frames.length === 2);
  t.same(
    second.frames.map(([, , name]) => name),
    ['join:room', 'presenter:take'],
  );
});

t.test('a publish that waits for a rejoin keeps its deadline', async (t) => {
  const { peer, room } = await joinedRoom(t);
  peer.send([Op.RESET, 'room:demo', 'e', 50, 'overrun']);
  await peer.call('join:room');
  await t.rejects(room.publish('chat', 'mine', { timeoutMs: 1 }), { name: 'deadline' });
  t.same(peer.frames, [], 'it was never sent, and so not cancelled');
});

t.test('a room that is gone is deleted', async (t) => {
  const { server, peer, heard, room } = await joinedRoom(t);
  server.onHello = (second, _hello, id) => second.send([Op.WELCOME, id, welcome({ session: ['s2', 'x'] })]);
  peer.cut();
  const second = await server.peer(1);
  second.send([Op.NACK, (await second.call('join:room')).id, 120, 'gone']);
  await until(room.state, ({ status }) => status === 'deleted');
  t.same(heard, [120]);
});

t.test('a room that WELCOME refuses for good is not joined again', async (t) => {
  const { server, peer, heard, room } = await joinedRoom(t);
  server.onHello = (second, _hello, id) => {
    const topics = { 'room:demo': { epoch: '', offset: 0, recovered: false, code: 106 } };
    second.send([Op.WELCOME, id, welcome({ topics })]);
  };
  peer.cut();
  const second = await server.peer(1);
  await until(room.state, ({ status }) => status === 'removed');
  await settled(second);
  t.same(second.frames, []);
  t.same(heard, [106]);
});

t.test('a rejoin that cannot be done now is tried later', async (t) => {
  const { peer, room, heard } = await joinedRoom(t);
  peer.send([Op.RESET, 'room:demo', 'e', 50, 'overrun']);
  peer.send([Op.NACK, (await peer.call('join:room')).id, 203, 'busy']);
  peer.send(...joinFrames((await peer.call('join:room')).id, { offset: 50, subscribed: false }));
  await until(room.state, ({ status }) => status === 'joined');
  t.same(heard, [['overrun', 'e', 50]]);
});

t.test('a second join of a joined room loses no event', async (t) => {
  const { peer, room, heard } = await joinedRoom(t);
  const joined = room.join();
  const { id } = await peer.call('join:room');
  peer.send([Op.EVENTS, 'room:demo', 11, ['chat', 11, null]]);
  peer.send(...joinFrames(id, { offset: 11, subscribed: false }), [Op.EVENTS, 'room:demo', 12, ['chat', 12, null]]);
  await joined;
  await settled(peer);
  t.same(heard, [11, 12]);
});

t.test('a refusal of the connection ends the room', async (t) => {
  const { peer, room, heard } = await joinedRoom(t);
  peer.close(4007);
  await until(room.state, ({ status }) => status === 'removed');
  t.same(heard, [204]);
  await t.rejects(room.join(), { name: 'disconnected' });
});

t.test('a join under way survives a lost connection', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const room = roomwire.room('demo');
  const joined = room.join({ create: true });
  const peer = await server.peer();
  await peer.call('join:room');
  peer.cut();
  await letIn(await server.peer(1));
  t.equal((await joined).status, 'joined');
  await live(roomwire);
});
