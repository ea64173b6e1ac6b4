/** A room: one reply is the state, the server's events change it, nothing is missed in between. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { client, fakeServer, live, settled, until } from './fake-server.js';
import { joinFrames, letIn, lockInfo, member } from './room-replies.js';

t.test('a join gives the whole state, and handlers get the events of the same message', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const room = roomwire.room('demo');
  const heard: unknown[] = [];
  room.on('chat', (data, { from }) => heard.push([data, from]));
  const joined = room.join({ create: { description: 'Mine' } });
  t.equal(room.state.get().status, 'joining');
  const peer = await server.peer();
  const { id, input } = await peer.call('join:room');
  t.same(input, { roomId: 'demo', create: { description: 'Mine' } });
  peer.send(...joinFrames(id, { offset: 7, members: [member('ann')], locks: [lockInfo('meta', 's2', 5)] }), [
    Op.EVENTS,
    'room:demo',
    8,
    ['chat', 'hi', 's2'],
    ['member:joined', { roomId: 'demo', member: member('bob', 2) }, null],
  ]);
  const state = await joined;
  t.same(heard, [['hi', 's2']]);
  t.equal(state.status, 'joined');
  t.match(state.metadata, { id: 'demo', version: 1 });
  t.same(
    state.members.map(({ userId }) => userId),
    ['ann', 'bob'],
  );
  t.equal(state.memberCount, 2);
  t.match(state.locks, { meta: { sid: 's2' } });
  t.equal(roomwire.room('demo'), room, 'the same room for the same id');
});

t.test('the server’s events change the state, in new snapshots', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const room = roomwire.room('demo');
  const joined = room.join();
  const peer = await server.peer();
  await letIn(peer, { version: 5, members: [member('ann'), member('bob', 2)] });
  const before = await joined;
  const of = (event: string, data: object): unknown[] => [event, { roomId: 'demo', ...data }, null];
  peer.send([
    Op.EVENTS,
    'room:demo',
    1,
    of('presenter:update', { presenter: { sid: 's4', userId: 'u4', userName: 'Dan' } }),
    of('room:update', { version: 6, frameCount: 12, presenterSid: 's4' }),
    of('lock:update', { target: 'a', lock: lockInfo('a', 's2', 9) }),
    of('lock:update', { target: 'b', lock: lockInfo('b', 's2', 9) }),
    of('lock:update', { target: 'b', lock: null }),
    of('member:left', { userId: 'bob', reason: 'left' }),
    of('member:online', { userId: 'ann', online: 3 }),
    of('host:update', { host: { userId: 'ann', userName: 'Ann' } }),
  ]);
  await settled(peer);
  const after = room.state.get();
  t.match(after.metadata, { version: 6, frameCount: 12, description: null });
  t.match(after.presenter, { sid: 's4', userName: 'Dan' });
  t.same(Object.keys(after.locks), ['a']);
  t.match(after.members, [{ userId: 'ann', online: 3 }]);
  t.equal(after.memberCount, 1);
  t.match(after.host, { userId: 'ann' });
  t.equal(before.metadata?.frameCount, 0, 'the snapshot before is as it was');
  t.equal(before.members.length, 2);
});

t.test('metadata never goes back to an older version', async (t) => {
  const server = await fakeServer(t);
  const room = client(t, server).room('demo');
  const joined = room.join();
  const peer = await server.peer();
  await letIn(peer, { version: 10 });
  await joined;
  const update = (version: number, frameCount: number): unknown[] => [
    'room:update',
    { roomId: 'demo', version, frameCount },
    null,
  ];
  peer.send([Op.EVENTS, 'room:demo', 1, update(12, 12), update(11, 11), update(12, 1)]);
  await settled(peer);
  t.match(room.state.get().metadata, { version: 12, frameCount: 12 });
});

t.test('events that others publish under the server’s names reach handlers and change nothing', async (t) => {
  const server = await fakeServer(t);
  const room = client(t, server).room('demo');
  const heard: unknown[] = [];
  room.on('room:update', (_data, { from }) => heard.push(from));
  const joined = room.join();
  const peer = await server.peer();
  await letIn(peer);
  const before = await joined;
  peer.send(
    [
      Op.EVENTS,
      'room:demo',
      1,
      ['room:update', { roomId: 'demo', version: 99, locked: true }, 's666'],
      ['room:delete', { roomId: 'demo', version: 99 }, 's666'],
      ['reset', {}, 's666'],
    ],
    [Op.LATEST, 'room:demo', 'room:update', 'slot', { roomId: 'demo', version: 99, locked: true }, 's666'],
  );
  room.on('reset', () => t.fail('nobody can publish a reset'));
  await settled(peer);
  t.equal(room.state.get(), before);
  t.same(heard, ['s666', 's666']);
});

t.test('room:delete makes the room deleted, and the REMOVED after it changes nothing', async (t) => {
  const server = await fakeServer(t);
  const room = client(t, server).room('demo');
  const removed: unknown[] = [];
  room.on('removed', (info) => removed.push(info));
  const joined = room.join();
  const peer = await server.peer();
  await letIn(peer);
  await joined;
  peer.send([Op.EVENTS, 'room:demo', 1, ['room:delete', { roomId: 'demo', version: 2 }, null]]);
  peer.send([Op.REMOVED, 'room:demo', 120, 'deleted']);
  await settled(peer);
  t.equal(room.state.get().status, 'deleted');
  t.equal(removed.length, 1);
});

t.test('a kick makes the room removed', async (t) => {
  const server = await fakeServer(t);
  const room = client(t, server).room('demo');
  const joined = room.join();
  const peer = await server.peer();
  await letIn(peer);
  await joined;
  peer.send([Op.REMOVED, 'room:demo', 106, 'kicked']);
  await until(room.state, ({ status }) => status === 'removed');
});

t.test('leave waits for the server, and a reconnect does not join again', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const room = roomwire.room('demo');
  const joined = room.join();
  const peer = await server.peer();
  await letIn(peer);
  await joined;
  const left = room.leave();
  const { id } = await peer.call('leave:room');
  peer.send([Op.REMOVED, 'room:demo', 123, 'left'], [Op.ACK, id, { status: 'left', room: 'room:demo' }]);
  await left;
  t.equal(room.state.get().status, 'left');
  peer.cut();
  const second = await server.peer(1);
  await live(roomwire);
  await settled(second);
  t.same(second.frames, []);
});

t.test('a refused join leaves the room as it was', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const room = roomwire.room('demo');
  const peer = await server.peer();
  await live(roomwire);
  const joined = room.join();
  peer.send([Op.NACK, (await peer.call('join:room')).id, 120, 'no such room']);
  await t.rejects(joined, { name: 'room_not_found' });
  t.equal(room.state.get().status, 'idle');
  const again = room.join();
  await letIn(peer);
  t.equal((await again).status, 'joined');
});

t.test('presenter and publish are calls and frames of the room', async (t) => {
  const server = await fakeServer(t);
  const room = client(t, server).room('demo');
  const joined = room.join();
  const peer = await server.peer();
  await letIn(peer);
  await joined;
  const given = room.presenter.give('s7');
  const { id, input } = await peer.call('presenter:give');
  t.same(input, { roomId: 'demo', sid: 's7' });
  peer.send([Op.ACK, id, { presenterSid: 's7' }]);
  await given;
  room.volatile('pointer', 'me', 1);
  t.same(await peer.take(Op.VOLATILE), [Op.VOLATILE, 'room:demo', 'pointer', 'me', 1]);
  const published = room.publish('chat', 'x');
  const [, publish] = await peer.take(Op.PUBLISH);
  peer.send([Op.ACK, publish, { epoch: 'e', offset: 1, matched: 3 }]);
  t.equal((await published).matched, 3);
});

t.test('leave and join in one breath end as the last of them says', async (t) => {
  const server = await fakeServer(t);
  const room = client(t, server).room('demo');
  const peer = await server.peer();
  const first = room.join();
  const left = room.leave();
  const second = room.join();
  await letIn(peer);
  await t.rejects(first, { name: 'cancelled' });
  const { id } = await peer.call('leave:room');
  t.notOk(
    peer.frames.some(([op]) => op === Op.CALL),
    'the second join waits for the leave',
  );
  peer.send([Op.REMOVED, 'room:demo', 123, 'left'], [Op.ACK, id, { status: 'left', room: 'room:demo' }]);
  await letIn(peer, { offset: 5 });
  await left;
  t.equal((await second).status, 'joined');
});

t.test('a leave that was refused for a time, and then came to pass, is a room left', async (t) => {
  const server = await fakeServer(t);
  const room = client(t, server, { random: () => 1 }).room('demo');
  const joined = room.join();
  const peer = await server.peer();
  await letIn(peer);
  await joined;
  const left = room.leave();
  peer.send([Op.NACK, (await peer.call('leave:room')).id, 203, 'later']);
  await t.rejects(left, { code: 203 });
  t.equal(room.state.get().status, 'joined', 'not yet');
  peer.send([Op.REMOVED, 'room:demo', 0, 'left']);
  await until(room.state, ({ status }) => status === 'left');
});

for (const [name, asked] of [
  ['the one that creates it last', [false, true]],
  ['the one that creates it first', [true, false]],
] as const) {
  t.test(`two joins at once of a room that is not there, ${name}: both are let in`, async (t) => {
    for (const when of ['at once', 'while the first is on its way', 'while the room is left']) {
      const server = await fakeServer(t);
      const room = client(t, server).room('demo');
      const peer = await server.peer();
      const join = (create: boolean): Promise<unknown> => room.join(create ? { create } : {});
      if (when === 'while the room is left') {
        const before = room.join();
        await letIn(peer);
        await before;
        const left = room.leave();
        const { id } = await peer.call('leave:room');
        left.catch(t.threw);
        // Not heard before both have asked, which is in this turn.
        peer.send([Op.REMOVED, 'room:demo', 0, 'left'], [Op.ACK, id, null]);
      }
      const both = [join(asked[0])];
      const first = when.startsWith('while the first') ? await peer.call('join:room') : undefined;
      both.push(join(asked[1]));
      for (let call = first ?? (await peer.call('join:room')); ; call = await peer.call('join:room')) {
        const { id, input } = call;
        if ((input as { create?: boolean }).create) {
          peer.send(...joinFrames(id));
          break;
        }
        peer.send([Op.NACK, id, 120, 'not there']);
      }
      t.match(await Promise.all(both), [{ status: 'joined' }, { status: 'joined' }], when);
    }
  });
}
