/** Rooms too large to name each member: the cost of a join must not grow with the square of their number. */
import t from 'tap';
import { connect } from '../../src/client/node.js';
import { Op } from '../../src/protocol/frames.js';
import { startRooms } from '../support/rooms.js';
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

t.test('back at four fifths of it the names come back at once, and a newcomer hears no old count', async (t) => {
  const s = await startRooms(t, { limits: { memberInline: 5 } });
  const clients = await join(s, 7);
  const [first] = clients as [Client];
  await until(() => counted(first) !== undefined);
  for (const client of clients.slice(4, 6)) await client.call('leave:room', { roomId: 'r' });
  t.strictSame(memberEvents(first).slice(-1), ['member:mode'], 'five are still a crowd');
  await clients[6]?.call('leave:room', { roomId: 'r' });
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
  const s = await startRooms(t, { limits: { memberInline: 2 } });
  const client = connect(s.url.replace('http', 'ws'));
  t.teardown(() => client.close());
  const room = client.room('r');
  await room.join({ create: true });
  const others = await join(s, 3);
  await until(() => room.state.get().memberCount === 4);
  t.match(room.state.get(), { complete: false, members: [] });
  for (const other of others) await other.call('leave:room', { roomId: 'r' });
  await until(() => room.state.get().memberCount === 1);
  t.match(room.state.get(), { complete: true, members: { length: 1 } });
});
