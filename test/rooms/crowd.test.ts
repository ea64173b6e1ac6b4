/** Rooms too large to name each member: the cost of a join must not grow with the square of their number. */
import t from 'tap';
import { connect } from '../../src/client/node.js';
import { Op } from '../../src/protocol/frames.js';
import { CALM_MS } from '../../src/rooms/crowd.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { liveTimers } from '../support/live-timers.js';
import { ManualTime } from '../support/manual-time.js';
import { startRooms } from '../support/rooms.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { unrated } from '../support/unrated.js';
import { until } from '../support/until.js';

type Room = Awaited<ReturnType<typeof startRooms>>;
type Client = Awaited<ReturnType<Room['client']>>;

async function join(s: Room, n: number): Promise<Client[]> {
  const clients: Client[] = [];
  for (let i = 0; i < n; i++) {
    const client = await s.client();
    await client.call('join:room', { roomId: 'r', create: true });
    clients.push(client);
  }
  return clients;
}
const memberEvents = (client: Client): string[] =>
  client
    .events('room:r')
    .map(([, event]) => event)
    .filter((event) => event.startsWith('member:'));
/** What the volatile count last said. */
const counted = (client: Client): unknown =>
  client.frames.findLast(([op, , event]) => op === Op.LATEST && event === 'member:count')?.[4];

t.test('past memberInline nobody is named any more: one event says so, then counts do', async (t) => {
  const s = await startRooms(t, { limits: { memberInline: 3 } });
  const clients = await join(s, 6);
  const [first] = clients as [Client];
  await until(() => JSON.stringify(counted(first)) === JSON.stringify({ roomId: 'r', memberCount: 6 }));
  t.strictSame(memberEvents(first), ['member:joined', 'member:joined', 'member:mode']);
  t.match(await first.event('room:r', 'member:mode', 1), { memberCount: 4, complete: false, members: [] });
  t.match(await first.call('join:room', { roomId: 'r' }), { memberCount: 6, complete: false, members: { length: 3 } });
  t.same(s.log.errors, []);
});

t.test('once it has stayed at four fifths of it the names come back, and a newcomer hears no old count', async (t) => {
  const time = new ManualTime();
  const s = await startRooms(t, { time, pingEvery: 1e9, limits: { memberInline: 5 } });
  const clients = await join(s, 7);
  const [first] = clients as [Client];
  time.advance(600);
  await until(() => counted(first) !== undefined);
  for (const client of clients.slice(4, 6)) await client.call('leave:room', { roomId: 'r' });
  time.advance(2 * CALM_MS);
  await first.call('room:members', { roomId: 'r' });
  t.strictSame(memberEvents(first).slice(-1), ['member:mode'], 'five are still a crowd');
  await clients[6]?.call('leave:room', { roomId: 'r' });
  time.advance(CALM_MS - 100);
  await first.call('room:members', { roomId: 'r' });
  t.equal(memberEvents(first).filter((event) => event === 'member:mode').length, 1, 'not at once');
  time.advance(200);
  const calm = await first.event('room:r', 'member:mode', 2);
  t.match(calm, { memberCount: 4, complete: true, members: { length: 4 } });
  const newcomer = await s.client();
  t.match(await newcomer.call('join:room', { roomId: 'r' }), {
    memberCount: 5,
    complete: true,
    members: { length: 5 },
  });
  t.match(await first.event('room:r', 'member:joined', 5), { member: { userId: newcomer.welcome.user.id } });
  await newcomer.barrier();
  t.equal(counted(newcomer), undefined);
});

t.test('a room that flaps around the limit names its members once it is calm, and not at each turn', async (t) => {
  const time = new ManualTime();
  const s = await startRooms(t, { time, pingEvery: 1e9, limits: { memberInline: 20, entriesPerSecond: 0 } });
  const clients = await join(s, 20);
  const [first] = clients as [Client];
  const flapping = clients.slice(10);
  const late = await s.client();
  await late.call('join:room', { roomId: 'r' });
  const all = (call: 'join:room' | 'leave:room') =>
    Promise.all(flapping.map((each) => each.call(call, { roomId: 'r' })));
  for (let turn = 0; turn < 20; turn++) {
    await all('leave:room');
    time.advance(CALM_MS - 1_000);
    await all('join:room');
    // Small again, and when the first time would have been over.
    if (turn % 2 === 0) await all('leave:room');
    time.advance(1_100);
    await first.call('room:members', { roomId: 'r' });
    if (turn % 2 === 0) await all('join:room');
  }
  await first.barrier();
  const told = memberEvents(first);
  t.equal(told.filter((event) => event === 'member:mode').length, 1, 'a crowd all the time');
  t.equal(told.length, 20, 'nobody was named since');
  await all('leave:room');
  time.advance(CALM_MS + 100);
  t.match(await first.event('room:r', 'member:mode', 2), { memberCount: 11, complete: true, members: { length: 11 } });
});

t.test('the wait for calm ends with the room', async (t) => {
  const time = new ManualTime();
  const s = await startRooms(t, { time, pingEvery: 1e9, limits: { memberInline: 3 } });
  const clients = await join(s, 4);
  const live = liveTimers(s.server);
  for (const client of clients.slice(2)) await client.call('leave:room', { roomId: 'r' });
  time.advance(600);
  t.equal(live.size, 1, 'the count was told; calm is waited for');
  await s.server.plugins.rooms.delete('r');
  t.equal(live.size, 0);
});

t.test('a crowded room that was small when the server ended names its members after the next start', async (t) => {
  const path = t.testdir();
  const limits = { memberInline: 3, graceMs: 1e9, graceMaxMs: 1e9 };
  const options = { limits, pingEvery: 1e9, rooms: { memberTtl: 1e9 } };
  const before = await startRooms(t, { ...options, store: lmdbStore({ path }), time: new ManualTime() });
  const clients = await join(before, 4);
  for (const client of clients.slice(2)) await client.call('leave:room', { roomId: 'r' });
  const { session } = (clients[0] as Client).welcome;
  await before.server.close();
  const time = new ManualTime();
  const after = await startRooms(t, { ...options, store: lmdbStore({ path }), time });
  const back = await after.client({ session });
  t.equal(back.welcome.resumed, true);
  t.match(await back.call('join:room', { roomId: 'r' }), { complete: false, memberCount: 2 });
  time.advance(CALM_MS + 100);
  t.match(await back.event('room:r', 'member:mode'), { complete: true, memberCount: 2, members: { length: 2 } });
});

t.test(
  'one user comes into a room so often a second; going, and joining where one is, are never refused',
  async (t) => {
    const time = new ManualTime();
    const s = await startRooms(t, { time, pingEvery: 1e9, auth: { secret: SECRET } });
    const token = await tokenFor('flapper');
    const come = () => s.client({ token });
    const watcher = await s.client({ token: await tokenFor('watcher') });
    await watcher.call('join:room', { roomId: 'r', create: true });
    const tries = async (ways: (client: Client) => Promise<unknown>): Promise<number> => {
      const client = await come();
      let taken = 0;
      for (let i = 0; i < 60; i++) {
        const answer = await client.call('join:room', { roomId: 'r' }).then(
          () => undefined,
          (error: unknown) => error as { code: number; details: { retryAfterMs: number } },
        );
        if (answer === undefined) taken++;
        else t.match(answer, { code: 201, details: { retryAfterMs: Number } });
        await ways(client);
      }
      await client.close();
      return taken;
    };
    t.equal(await tries((client) => client.call('leave:room', { roomId: 'r' })), 20, 'twenty at once');
    t.equal(await tries((client) => client.call('leave:room', { roomId: 'r' })), 0, 'also as another session');
    time.advance(5_000);
    const more = await tries((client) => client.call('leave:room', { roomId: 'r' }));
    t.equal(more, 5, 'then one a second');
    time.advance(60_000);
    t.equal(await tries(() => Promise.resolve()), 60, 'to join again where one is, is no coming');
    // Another device each time.
    time.advance(60_000);
    const devices = await Promise.all(Array.from({ length: 40 }, come));
    const codes = await Promise.allSettled(devices.map((device) => device.call('join:room', { roomId: 'r' })));
    t.equal(codes.filter(({ status }) => status === 'fulfilled').length, 20);
    for (const device of devices) await device.call('leave:room', { roomId: 'r' });
    t.match(await watcher.call('join:room', { roomId: 'other', create: true }), { status: 'joined' }, 'others may');
    // In one message: what counts is where the session is when its turn comes.
    time.advance(60_000);
    const pipelining = await come();
    await pipelining.call('join:room', { roomId: 'r' });
    const before = memberEvents(watcher).length;
    const ids = Array.from({ length: 60 }, (_, n) => 1_000 + n);
    pipelining.send(
      ...ids.flatMap((id) => [
        [Op.CALL, 1_000 + id, 'leave:room', { roomId: 'r' }],
        [Op.CALL, id, 'join:room', { roomId: 'r' }],
      ]),
    );
    const taken = await Promise.allSettled(ids.map((id) => pipelining.answer(id)));
    t.equal(taken.filter(({ status }) => status === 'fulfilled').length, 19, 'and the join before');
    await watcher.barrier();
    t.equal(memberEvents(watcher).length - before, 39);
    const events = memberEvents(watcher).length;
    t.ok(events < 250, `${events} events of 220 tries`);
  },
);

t.test('one user comes into all rooms together twenty times as often as into one', async (t) => {
  const time = new ManualTime();
  const s = await startRooms(t, { time, pingEvery: 1e9, limits: { ...unrated, entriesPerSecond: 1 } });
  const rooms = Array.from({ length: 60 }, (_, n) => `r${n}`);
  for (const roomId of rooms) await s.server.plugins.rooms.create(roomId);
  const client = await s.client();
  const visits = async (times: number): Promise<number> => {
    const answers: Promise<unknown>[] = [];
    for (const roomId of rooms) {
      for (let i = 0; i < times; i++) {
        answers.push(client.call('join:room', { roomId }));
        answers.push(client.call('leave:room', { roomId }).then(() => Promise.reject(new Error('left'))));
      }
      await Promise.allSettled(answers.slice(-2 * times));
    }
    return (await Promise.allSettled(answers)).filter(({ status }) => status === 'fulfilled').length;
  };
  t.equal(await visits(20), 1_000, 'of 1,200, as many as at once');
  time.advance(2_000);
  t.equal(await visits(1), 40, 'then twenty a second');
});

t.test('hundreds join and leave one room without telling each of each', async (t) => {
  const s = await startRooms(t, { limits: { memberInline: 20 } });
  const clients = await Promise.all(Array.from({ length: 400 }, async () => s.client()));
  await Promise.all(clients.map((client) => client.call('join:room', { roomId: 'r', create: true })));
  const [first] = clients as [Client];
  await until(() => (counted(first) as { memberCount?: number } | undefined)?.memberCount === 400);
  const told = clients.reduce((sum, client) => sum + memberEvents(client).length, 0);
  t.ok(told <= 400 * 22, `${told} events to 400 members`);
  t.equal((await s.server.plugins.rooms.members('r')).memberCount, 400);
});

t.test('the SDK’s room follows into the crowd and back', async (t) => {
  const time = new ManualTime();
  const s = await startRooms(t, { time, pingEvery: 1e9, limits: { memberInline: 2 } });
  const client = connect(s.url.replace('http', 'ws'));
  t.teardown(() => client.close());
  const room = client.room('r');
  await room.join({ create: true });
  const others = await join(s, 3);
  await until(() => room.state.get().complete === false);
  time.advance(600);
  await until(() => room.state.get().memberCount === 4);
  t.match(room.state.get(), { complete: false, members: [] });
  for (const other of others) await other.call('leave:room', { roomId: 'r' });
  time.advance(CALM_MS + 100);
  await until(() => room.state.get().complete);
  t.match(room.state.get(), { memberCount: 1, members: { length: 1 } });
});
