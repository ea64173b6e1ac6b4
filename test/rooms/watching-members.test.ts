/** Programs that build on membership: each real change is heard of once, inside its transaction, and rooms are joined in one's own. */
import t from 'tap';
import * as v from 'valibot';
import { defineContract } from '../../src/protocol/contract.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { rooms, type RoomsOptions } from '../../src/rooms/rooms.js';
import { ManualTime } from '../support/manual-time.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';
import { Op } from '../../src/protocol/frames.js';

const Code = v.object({ code: v.string() });
const contract = defineContract({
  use: [roomsContract()],
  topics: {
    'room:{id}': { events: { people: v.object({ members: v.array(v.string()), host: v.nullable(v.string()) }) } },
  },
  calls: { enter: { input: Code }, exit: { input: Code }, fails: { input: Code } },
});

async function start(t: Test, options: RoomsOptions = {}) {
  const time = new ManualTime();
  const s = await startServer(t, { contract, plugins: [rooms(options)] as const, auth: { secret: SECRET }, time });
  const api = s.server.plugins.rooms;
  /** room: who is in it, the host first marked, as each change was told. */
  const told: string[] = [];
  api.onPeople((tx, roomId) => {
    const room = api.within(tx).read(roomId);
    if (room === undefined) return tx.afterCommit(() => told.push(`${roomId}: deleted`));
    const { members, holders } = room;
    const people = { members: members.map(({ userId }) => userId), host: holders.host?.userId ?? null };
    tx.publish(`room:${roomId}`, 'people', people);
    tx.afterCommit(() => told.push(`${roomId}: ${people.members.join(' ')} (${people.host ?? 'nobody'})`));
  });
  s.server.handleAtomic('enter', (tx, { input, session }) => {
    api.within(tx).join(session, input.code);
    return api.within(tx).roomsOf(session);
  });
  s.server.handleAtomic('exit', (tx, { input, session }) => api.within(tx).remove(input.code, session.user.id));
  s.server.handleAtomic('fails', (tx, { input, session }) => {
    api.within(tx).join(session, input.code);
    throw new Error('after all, no');
  });
  for (const code of ['a', 'b']) await api.create(code);
  const user = async (sub: string, hello = {}) =>
    s.client({ token: await tokenFor(sub), instance: `${sub}${Math.random()}`, ...hello });
  return { ...s, time, told, user, api };
}

t.test(
  'rule 7: joining, leaving and a new host are heard of once each; a second device and a reconnect are not',
  async (t) => {
    const { user, told } = await start(t);
    const [ann, bob, laptop] = [await user('ann'), await user('bob', { instance: 'bob' }), await user('ann')];
    await ann.call('join:room', { roomId: 'a' });
    await ann.call('join:room', { roomId: 'a' });
    await bob.call('join:room', { roomId: 'a' });
    await laptop.call('join:room', { roomId: 'a' });
    await laptop.call('leave:room', { roomId: 'a' });
    bob.cut();
    const back = await user('bob', { instance: 'bob', session: bob.welcome.session });
    t.equal(back.welcome.resumed, true);
    await ann.call('host:give', { roomId: 'a', userId: 'bob' });
    await back.call('member:kick', { roomId: 'a', userId: 'ann' });
    await back.call('leave:room', { roomId: 'a' });
    t.same(told, ['a: ann (ann)', 'a: ann bob (ann)', 'a: ann bob (bob)', 'a: bob (bob)', 'a:  (nobody)']);
  },
);

t.test('what a watcher publishes follows the change in its commit, also for whom it has just let in', async (t) => {
  const { user } = await start(t);
  const [ann, bob] = [await user('ann'), await user('bob')];
  t.same(await ann.call('enter', { code: 'a' }), ['a']);
  await bob.call('enter', { code: 'a' });
  await ann.event('room:a', 'people', 2);
  await bob.call('leave:room', { roomId: 'a' });
  await ann.event('room:a', 'people', 3);
  t.same(
    ann.events('room:a').map(([, event, data]) => [event, (data as { members?: string[] }).members]),
    [
      ['people', ['ann']],
      ['member:joined', undefined],
      ['people', ['ann', 'bob']],
      ['member:left', undefined],
      ['people', ['ann']],
    ],
  );
});

t.test('a transaction that fails has joined nobody and told nothing', async (t) => {
  const { user, told, api } = await start(t);
  const ann = await user('ann');
  await t.rejects(ann.call('fails', { code: 'a' }), { code: 130 });
  await t.rejects(ann.call('enter', { code: 'nowhere' }), { code: 120 });
  t.equal(await api.isMember('a', 'ann'), false);
  t.same(told, []);
});

t.test(
  "membership 'one-per-user': joining takes the user out of the room before, on every device, also one that sleeps",
  async (t) => {
    const { user, told, api, server } = await start(t, { membership: 'one-per-user', memberTtl: 3_600_000 });
    const [asleep, watcher] = [await user('ann'), await user('bob')];
    await watcher.call('enter', { code: 'a' });
    await asleep.call('enter', { code: 'a' });
    asleep.send([Op.BYE]);
    await until(() => server.sessionsOf('ann').length === 0);
    t.equal(await api.isMember('a', 'ann'), true);
    const [phone, laptop] = [await user('ann'), await user('ann')];
    await phone.call('enter', { code: 'b' });
    t.equal(await api.isMember('a', 'ann'), false);
    await laptop.call('enter', { code: 'a' });
    t.same((await phone.frame(([op]) => op === Op.REMOVED)).slice(1, 4), ['room:b', 0, 'joined another room']);
    t.same(told.splice(0), [
      'a: bob (bob)',
      'a: bob ann (bob)',
      'a: bob (bob)',
      'b: ann (ann)',
      'b:  (nobody)',
      'a: bob ann (bob)',
    ]);
    t.equal(await phone.call('exit', { code: 'a' }), true, 'and leaves on every device too');
    t.equal(await phone.call('exit', { code: 'a' }), false);
    t.same((await laptop.frame(([op]) => op === Op.REMOVED)).slice(1, 4), ['room:a', 0, 'left']);
    await phone.call('enter', { code: 'b' });
    await api.delete('b');
    await phone.call('enter', { code: 'a' });
    t.same(told, ['a: bob (bob)', 'b: ann (ann)', 'b: deleted', 'a: bob ann (bob)']);
  },
);

t.test('memberTtl begins anew with each absence, and the host moves after hostGrace', async (t) => {
  const { user, told, time, server } = await start(t, { memberTtl: 10_000, hostGrace: 5_000 });
  const bob = await user('bob');
  const away = async (client: Awaited<ReturnType<typeof user>>): Promise<void> => {
    client.send([Op.BYE]);
    await until(() => server.sessionsOf('ann').length === 0);
    await bob.barrier();
  };
  const ann = await user('ann');
  await ann.call('enter', { code: 'a' });
  await bob.call('enter', { code: 'a' });
  await away(ann);
  time.advance(4_000);
  const back = await user('ann');
  await back.call('enter', { code: 'a' });
  await away(back);
  time.advance(4_000);
  await bob.barrier();
  t.same(told.splice(0), ['a: ann (ann)', 'a: ann bob (ann)'], 'away for 4 s twice is not away for 8 s');
  time.advance(1_000);
  await until(() => told.length === 1);
  time.advance(3_000);
  await bob.barrier();
  t.same(told.splice(0), ['a: ann bob (bob)'], 'ten seconds after the first absence she is still there');
  time.advance(2_000);
  await until(() => told.length === 1);
  t.same(told, ['a: bob (bob)']);
});
