/** What an earlier run of the server left in the store, such as lines of those who waited when it was killed, grants nothing. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { startRooms } from '../support/rooms.js';
import { until } from '../support/until.js';

const waiter = (id: number, more: object) => ({
  ...{ userId: 'dead', userName: 'dead', sid: `sid ${id}`, ttl: 60_000, msg: null, since: 1 },
  ...{ id, ...more },
});
const lineOf = (room: number, target = 'x'): string => `r${room}\0lock\0${target}`;

t.test('a start sweeps every line of a killed run, however many there are', async (t) => {
  const path = t.testdir();
  const before = await startRooms(t, { store: lmdbStore({ path }) });
  for (let room = 0; room < 30; room++) {
    await before.server.transact((tx) => {
      for (let lock = 0; lock < 100; lock++) tx.set('lock-waiters', lineOf(room, `t${lock}`), [waiter(lock, {})]);
    });
  }
  await before.server.close();
  const after = await startRooms(t, { store: lmdbStore({ path }) });
  t.strictSame(await after.server.transact((tx) => tx.list('lock-waiters', { limit: 5_000 }).length), 0);
});

t.test(
  'a line of another run grants nobody its lock, and answers no call, though its ids are those of calls that wait',
  async (t) => {
    const s = await startRooms(t);
    const [holder, other] = [await s.client(), await s.client()];
    const events = (room: number) =>
      holder
        .events(`room:r${room}`)
        .filter(([, event]) => event === 'lock:update')
        .map(([, , data]) => (data as { lock: { userId: string } | null }).lock?.userId ?? null);
    const me = holder.welcome.user.id;
    for (const [room, run] of [undefined, 'another run', ''].entries()) {
      for (const client of [holder, other]) await client.call('join:room', { roomId: `r${room}`, create: true });
      const take = (target: string) => holder.call<{ token: number }>('lock:acquire', { roomId: `r${room}`, target });
      const [x, y] = [await take('x'), await take('y')];
      // Somebody waits for another lock: under an id that the dead line has, too.
      const id = other.nextId();
      other.send([
        Op.CALL,
        id,
        'lock:acquire',
        { roomId: `r${room}`, target: 'y', wait: 60_000 },
        { timeoutMs: 90_000 },
      ]);
      await until(() => s.server.plugins.rooms.holders().waiting === 1);
      await s.server.transact((tx) => {
        const dead = Array.from({ length: 60 }, (_, n) => waiter(n, run === undefined ? {} : { run }));
        tx.set('lock-waiters', lineOf(room), dead);
      });
      await holder.call('lock:release', { roomId: `r${room}`, target: 'x', token: x.token });
      t.notOk(
        other.frames.some(([op, of]) => op === Op.ACK && of === id),
        'it waits for its own lock still',
      );
      t.match(
        await holder.call('lock:acquire', { roomId: `r${room}`, target: 'x' }),
        { token: Number },
        'nobody has it',
      );
      await holder.call('lock:release', { roomId: `r${room}`, target: 'y', token: y.token });
      t.match(await other.answer(id), { target: 'y' });
      const theirs = other.welcome.user.id;
      t.strictSame(events(room), [me, me, null, me, theirs]);
      for (const client of [holder, other]) await client.call('leave:room', { roomId: `r${room}` });
    }
  },
);
