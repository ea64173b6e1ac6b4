import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { startRooms } from '../support/rooms.js';
import { SECRET, tokenFor } from '../support/tokens.js';

t.test('join:room answers metadata, members, holders and the position in one reply', async (t) => {
  const s = await startRooms(t);
  const a = await s.client();
  const joined = await a.call('join:room', { roomId: 'demo', create: { description: 'hello' } });
  t.match(joined, {
    status: 'joined',
    room: 'room:demo',
    roomId: 'demo',
    created: true,
    metadata: { id: 'demo', description: 'hello', frameCount: 0, locked: false, hidden: false, isDefault: false },
    members: [{ userId: a.welcome.user.id, online: 1 }],
    memberCount: 1,
    complete: true,
    holders: { locks: [], presenter: null, host: { userId: a.welcome.user.id } },
  });
  const order = a.frames.map(([op]) => op);
  t.ok(order.indexOf(Op.SUBSCRIBED) < order.indexOf(Op.ACK), 'SUBSCRIBED comes before the ACK');
  t.same(a.events('room:demo'), [], 'nothing before the position is sent');
});

t.test('joining a room leaves the overview, told by REMOVED', async (t) => {
  const s = await startRooms(t);
  const a = await s.client();
  t.match(await a.call('join:overview'), { status: 'joined', room: 'overview:public' });
  await a.call('join:room', { roomId: 'demo', create: true });
  await a.frame(([op, topic]) => op === Op.REMOVED && topic === 'overview:public');
  t.match(await a.call('leave:room', { roomId: 'demo' }), { status: 'left', room: 'room:demo' });
});

t.test('joins and leaves in one message leave no overview behind', async (t) => {
  const s = await startRooms(t);
  const a = await s.client();
  a.send([Op.CALL, 100, 'join:overview', {}], [Op.CALL, 101, 'join:room', { roomId: 'x', create: true }]);
  await a.answer(101);
  t.same([...(s.server.session(a.welcome.session[0])?.topics ?? [])], ['room:x']);
});

t.test('a room nobody made is room_not_found, an unknown one cannot be spied on', async (t) => {
  const s = await startRooms(t);
  const a = await s.client();
  await t.rejects(a.call('join:room', { roomId: 'nope' }), { code: 120 });
  await t.rejects(a.call('lock:acquire', { roomId: 'nope' }), { code: 120 });
  await t.rejects(a.subscribe('room:nope'), { code: 107 });
  await t.rejects(a.publish('room:nope', 'room:update', {}), { code: 108 });
});

t.test('locks: acquired, refused with the holder, released, acquired with a greater token', async (t) => {
  const s = await startRooms(t);
  const a = await s.client();
  const b = await s.client();
  await a.call('join:room', { roomId: 'demo', create: true });
  await b.call('join:room', { roomId: 'demo' });
  const lease = await a.call<{ token: number }>('lock:acquire', { roomId: 'demo', msg: 'Uploading' });
  await t.rejects(b.call('lock:acquire', { roomId: 'demo' }), {
    code: 205,
    details: { userName: a.welcome.user.name, msg: 'Uploading' },
  });
  t.match(await b.event('room:demo', 'room:update'), {
    roomId: 'demo',
    metadataLocked: { msg: 'Uploading', userName: a.welcome.user.name },
  });
  await t.rejects(b.call('lock:release', { roomId: 'demo', token: lease.token }), { code: 126 });
  t.match(await a.call('lock:release', { roomId: 'demo', token: lease.token }), { released: true });
  const second = await b.call<{ token: number }>('lock:acquire', { roomId: 'demo' });
  t.ok(second.token > lease.token);
  await t.rejects(a.call('lock:refresh', { roomId: 'demo', token: lease.token }), { code: 125 });
  t.same(s.log.errors, []);
});

t.test('a join with a key joins each session that asks, and so does a leave leave', async (t) => {
  const s = await startRooms(t, { auth: { secret: SECRET } });
  const token = await tokenFor('ann');
  const [first, second] = [await s.client({ token, instance: 'first' }), await s.client({ token, instance: 'second' })];
  const topicsOf = (client: typeof first) => [...(s.server.session(client.welcome.session[0])?.topics ?? [])];
  const join = { roomId: 'demo', create: true };
  await first.call('join:room', join, { key: 'join' });
  t.match(await second.call('join:room', join, { key: 'join' }), {
    created: false,
    members: [{ userId: 'ann', online: 2 }],
  });
  t.same(topicsOf(second), ['room:demo']);
  t.match(await first.call('presenter:take', { roomId: 'demo' }, { key: 'take' }), {
    presenterSid: first.welcome.session[0],
  });
  await t.rejects(second.call('presenter:take', { roomId: 'demo' }, { key: 'take' }), { code: 205 });
  for (const client of [first, second]) await client.call('leave:room', { roomId: 'demo' }, { key: 'leave' });
  t.same([...topicsOf(first), ...topicsOf(second)], []);
  for (const client of [first, second]) {
    await client.call('join:overview', {}, { key: 'overview' });
    t.same(topicsOf(client), ['overview:public']);
    await client.call('leave:overview', {}, { key: 'no overview' });
    t.same(topicsOf(client), []);
  }
});
