import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { liveTimers } from '../support/live-timers.js';
import { ManualTime } from '../support/manual-time.js';
import { startRooms } from '../support/rooms.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

t.test('rule 7: a second device is no second member, and its coming and going is told as online', async (t) => {
  const s = await startRooms(t, { auth: { secret: SECRET } });
  const watcher = await s.client({ token: await tokenFor('watcher') });
  await watcher.call('join:room', { roomId: 'r', create: true });
  const phone = await s.client({ token: await tokenFor('ann'), instance: 'phone' });
  const laptop = await s.client({ token: await tokenFor('ann'), instance: 'laptop' });
  await phone.call('join:room', { roomId: 'r' });
  t.match(await laptop.call('join:room', { roomId: 'r' }), {
    memberCount: 2,
    members: [{}, { userId: 'ann', online: 2 }],
  });
  await laptop.call('leave:room', { roomId: 'r' });
  await phone.call('leave:room', { roomId: 'r' });
  await watcher.event('room:r', 'member:left');
  t.match(
    watcher.events('room:r').map(([, event, data]) => [event, data]),
    [
      ['member:joined', { member: { userId: 'ann', online: 1 } }],
      ['member:online', { userId: 'ann', online: 2 }],
      ['member:online', { userId: 'ann', online: 1 }],
      ['member:left', { userId: 'ann', reason: 'left' }],
    ],
  );
});

t.test('joining again from the same session changes nothing and tells nobody', async (t) => {
  const s = await startRooms(t);
  const [a, b] = [await s.client(), await s.client()];
  await a.call('join:room', { roomId: 'r', create: true });
  await b.call('join:room', { roomId: 'r' });
  t.match(await b.call('join:room', { roomId: 'r' }), { created: false, memberCount: 2 });
  t.match(await b.call('leave:room', { roomId: 'r' }), { status: 'left' });
  t.match(await b.call('leave:room', { roomId: 'r' }), { status: 'left' }, 'leaving twice is answered, and told once');
  await a.event('room:r', 'member:left');
  await a.barrier();
  t.same(
    a.events('room:r').map(([, event]) => event),
    ['member:joined', 'member:left'],
  );
});

t.test('the host moves on in joining order, and can be handed over', async (t) => {
  const s = await startRooms(t);
  const [a, b, c] = [await s.client(), await s.client(), await s.client()];
  for (const client of [a, b, c]) await client.call('join:room', { roomId: 'r', create: true });
  const idOf = (client: typeof a): string => client.welcome.user.id;
  await t.rejects(b.call('host:give', { roomId: 'r', userId: idOf(b) }), { code: 126 });
  await a.call('leave:room', { roomId: 'r' });
  t.match(await c.event('room:r', 'host:update'), { host: { userId: idOf(b) } });
  await b.call('host:give', { roomId: 'r', userId: idOf(c) });
  t.match(await b.event('room:r', 'host:update', 2), { host: { userId: idOf(c) } });
  await t.rejects(c.call('host:give', { roomId: 'r', userId: 'nobody' }), { code: 123 });
});

t.test('the host may kick: the kicked gets REMOVED after its last event, and what it held is free', async (t) => {
  const s = await startRooms(t);
  const [a, b] = [await s.client(), await s.client()];
  await a.call('join:room', { roomId: 'r', create: true });
  await b.call('join:room', { roomId: 'r' });
  await b.call('lock:acquire', { roomId: 'r', target: 'x' });
  await t.rejects(b.call('member:kick', { roomId: 'r', userId: a.welcome.user.id }), { code: 106 });
  t.match(await a.call('member:kick', { roomId: 'r', userId: b.welcome.user.id }), { kicked: true });
  const [, topic, code, reason] = await b.frame(([op]) => op === Op.REMOVED);
  t.same([topic, code, reason], ['room:r', 106, 'kicked']);
  t.match(await a.event('room:r', 'lock:update', 2), { target: 'x', lock: null });
  t.match(await a.call('lock:acquire', { roomId: 'r', target: 'x' }), { token: Number });
});

t.test("membership 'one': joining a room leaves the previous one in the same step", async (t) => {
  const s = await startRooms(t, { rooms: { membership: 'one' } });
  const [a, b] = [await s.client(), await s.client()];
  await b.call('join:room', { roomId: 'first', create: true });
  await a.call('join:room', { roomId: 'first' });
  await a.call('join:room', { roomId: 'second', create: true });
  t.same([...(s.server.session(a.welcome.session[0])?.topics ?? [])], ['room:second']);
  t.match(await b.event('room:first', 'member:left'), { userId: a.welcome.user.id, reason: 'joined another room' });
});

t.test('memberTtl: a member without sessions stays, and is back as the same member', async (t) => {
  const s = await startRooms(t, { rooms: { memberTtl: 60_000, hostGrace: 60_000 }, auth: { secret: SECRET } });
  const ann = await s.client({ token: await tokenFor('ann') });
  const bob = await s.client({ token: await tokenFor('bob') });
  await ann.call('join:room', { roomId: 'r', create: true });
  await bob.call('join:room', { roomId: 'r' });
  ann.send([Op.BYE]);
  t.match(await bob.event('room:r', 'member:online'), { userId: 'ann', online: 0 });
  const back = await s.client({ token: await tokenFor('ann') });
  t.match(await back.call('join:room', { roomId: 'r' }), {
    memberCount: 2,
    holders: { host: { userId: 'ann' } },
    members: [{ userId: 'ann', online: 1 }, { userId: 'bob' }],
  });
  await bob.barrier();
  t.same(
    bob.events('room:r').map(([, event]) => event),
    ['member:online', 'member:online'],
  );
});

t.test('however the wait for a member ends, its timers end with it', async (t) => {
  const time = new ManualTime();
  const s = await startRooms(t, {
    time,
    pingEvery: 1e9,
    rooms: { memberTtl: 60_000, hostGrace: 30_000 },
    auth: { secret: SECRET },
  });
  const live = liveTimers(s.server);
  const token = await tokenFor('ann');
  const { rooms } = s.server.plugins;
  const ways: Readonly<Record<string, (back: Awaited<ReturnType<typeof s.client>>) => unknown>> = {
    back: async (back) => {
      await back.call('join:room', { roomId: 'r' });
      t.equal(live.size, 0, 'back');
      await back.call('leave:room', { roomId: 'r' });
    },
    kicked: () => rooms.kick('r', 'ann'),
    'taken out': () => s.server.transact((tx) => rooms.within(tx).remove('r', 'ann')),
    'in a room that is deleted': () => rooms.delete('r'),
    'late for good': async () => {
      time.advance(60_100);
      await until(() => live.size === 0);
    },
  };
  for (const [name, end] of Object.entries(ways)) {
    const ann = await s.client({ token });
    await ann.call('join:room', { roomId: 'r', create: true });
    ann.send([Op.BYE]);
    await until(() => live.size === 2, 'hers, and the host moves on before');
    await end(await s.client({ token }));
    t.equal(live.size, 0, name);
  }
});

t.test('a room of a group is not there for others', async (t) => {
  const s = await startRooms(t, { auth: { secret: SECRET } });
  const staff = await s.client({ token: await tokenFor('ann', { groups: ['staff'] }) });
  const other = await s.client({ token: await tokenFor('eve') });
  t.match(await staff.call('join:overview', { group: 'staff' }), { room: 'overview:staff' });
  await other.call('join:overview');
  await t.rejects(other.call('join:overview', { group: 'staff' }), { code: 106 });
  const maker = await s.client({ token: await tokenFor('ann', { groups: ['staff'] }), instance: 'maker' });
  await maker.call('join:room', { roomId: 'plans', create: { group: 'staff' } });
  t.match(await staff.event('overview:staff', 'room:update'), { roomId: 'plans', created: true });
  await t.rejects(other.call('join:room', { roomId: 'plans' }), { code: 120 });
  await t.rejects(other.call('lock:acquire', { roomId: 'plans' }), { code: 120 }, 'and does not even exist');
  await other.barrier();
  t.same(other.events('overview:public'), []);
});

t.test('rule 6: presenter: taken, refused with its name, handed over, released', async (t) => {
  const s = await startRooms(t);
  const [a, b] = [await s.client(), await s.client()];
  await a.call('join:room', { roomId: 'r', create: true });
  await b.call('join:room', { roomId: 'r' });
  t.match(await a.call('presenter:take', { roomId: 'r' }), { presenterSid: a.welcome.session[0] });
  await t.rejects(b.call('presenter:take', { roomId: 'r' }), { code: 205, details: { userName: a.welcome.user.name } });
  await t.rejects(b.call('presenter:release', { roomId: 'r' }), { code: 126 });
  await a.call('presenter:give', { roomId: 'r', sid: b.welcome.session[0] });
  t.match(await a.event('room:r', 'room:update', 2), { presenterSid: b.welcome.session[0] });
  t.match(await b.call('presenter:release', { roomId: 'r' }), { presenterSid: null });
  t.match(await a.event('room:r', 'room:update', 3), { presenterSid: null });
  t.same(s.log.errors, []);
});

t.test('a join reply lists at most limits.memberInline members and says when there are more', async (t) => {
  const s = await startRooms(t, { limits: { memberInline: 2 } });
  let last: unknown;
  for (let i = 0; i < 4; i++) last = await (await s.client()).call('join:room', { roomId: 'r', create: true });
  t.match(last, { memberCount: 4, complete: false, members: { length: 2 } });
  const someone = await s.client();
  await someone.call('join:room', { roomId: 'r' });
  t.match(await someone.call('room:members', { roomId: 'r' }), { members: { length: 5 }, memberCount: 5, next: null });
});
