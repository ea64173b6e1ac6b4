/** What a list of rooms costs others: nobody pays for rooms that they may not see, or waits for another's search. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import type { Asker } from '../../src/rooms/rooms.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { ManualTime } from '../support/manual-time.js';
import { roomContract, startRooms } from '../support/rooms.js';
import { startServer } from '../support/server.js';

type Started = Awaited<ReturnType<typeof startRooms>>;
const user = (id: string, groups: readonly string[] = []): Asker => ({
  kind: 'user',
  user: { id, name: id, ...{ groups } },
});
const name = (n: number): string => `r${String(n).padStart(5, '0')}`;

/** `n` rooms that only the program sees, and those of `seen`. */
async function fill({ server }: Pick<Started, 'server'>, n: number, seen: Record<string, object>): Promise<void> {
  const { create } = server.plugins.rooms;
  const api = server.plugins.rooms;
  for (let i = 0; i < n; i += 500) {
    await Promise.all(
      Array.from({ length: Math.min(500, n - i) }, (_, k) =>
        create.call(api, name(i + k), { group: 'others', description: 'needle' }),
      ),
    );
  }
  for (const [id, fields] of Object.entries(seen)) await api.create(id, fields);
}

t.test('an overview’s list looks at its own rooms alone, through each change of group and visibility', async (t) => {
  const s = await startRooms(t);
  const api = s.server.plugins.rooms;
  await fill(s, 2_500, { alpha: {}, zeta: { description: 'Needle' }, mine: { group: 'g' }, secret: { hidden: true } });
  const ids = async (query: object, asker: Asker = user('u', ['g'])): Promise<string[]> => {
    const { rooms: found, next } = await api.list(query, asker);
    t.equal(next, null, 'in one page: it looked at no other');
    return found.map(({ id }) => id);
  };
  t.strictSame(await ids({}), ['alpha', 'zeta']);
  t.strictSame(await ids({ search: 'needle' }), ['zeta']);
  t.strictSame(await ids({ group: 'g' }), ['mine']);
  await api.update('alpha', { hidden: true });
  await api.update('mine', { group: null });
  await api.update('secret', { hidden: false, group: 'g' });
  t.strictSame(await ids({}), ['mine', 'zeta']);
  t.strictSame(await ids({ group: 'g' }), ['secret']);
  await api.delete('mine');
  await api.delete('secret');
  t.strictSame(await ids({}), ['zeta']);
  t.strictSame(await ids({ group: 'g' }), []);
  t.strictSame(await s.server.transact((tx) => tx.list('rooms-listed', { prefix: 'overview:g\0', limit: 5 })), []);
});

t.test('rooms of a store that has no index yet are listed after a start', async (t) => {
  const path = t.testdir();
  const before = await startRooms(t, { store: lmdbStore({ path }) });
  await fill(before, 450, { alpha: {}, beta: { hidden: true } });
  await before.server.transact((tx) => {
    for (const [key] of tx.list('rooms-listed', { limit: 1_000 })) tx.delete('rooms-listed', key);
  });
  t.strictSame((await before.server.plugins.rooms.list()).rooms, []);
  await before.server.close();
  const after = await startRooms(t, { store: lmdbStore({ path }) });
  t.strictSame(
    (await after.server.plugins.rooms.list()).rooms.map(({ id }) => id),
    ['alpha'],
  );
  t.equal((await after.server.plugins.rooms.list({ group: 'others', limit: 1_000 })).rooms.length, 450);
});

t.test('pages of members have the same rate, over the socket and HTTP', async (t) => {
  const s = await startServer(t, {
    contract: roomContract,
    plugins: [rooms(), http({ page: false })] as const,
    time: new ManualTime(),
  });
  const client = await s.client();
  await client.call('join:room', { roomId: 'r', create: true });
  const codes = (answers: readonly PromiseSettledResult<unknown>[]): number =>
    answers.filter((answer) => answer.status === 'rejected' && (answer.reason as { code?: number }).code === 201)
      .length;
  t.equal(
    codes(await Promise.allSettled(Array.from({ length: 50 }, () => client.call('room:members', { roomId: 'r' })))),
    0,
  );
  t.ok(
    codes(await Promise.allSettled(Array.from({ length: 150 }, () => client.call('room:members', { roomId: 'r' })))) >
      80,
  );
  for (const path of ['members', '']) {
    const answers = await Promise.all(
      Array.from({ length: 150 }, () => fetch(`${s.http}/api/rooms/r/${path}`.replace(/\/$/, ''))),
    );
    t.ok(answers.filter(({ status }) => status === 429).length > 30, path);
    t.ok(path === '' || answers.some(({ status }) => status === 200), path);
  }
});

t.test('a search goes on page by page, and its pages together find every room once', async (t) => {
  const s = await startRooms(t);
  const api = s.server.plugins.rooms;
  await fill(s, 4_500, {});
  for (const n of [7, 2_100, 4_499]) await api.update(name(n), { description: 'Thimble' });
  const found: string[] = [];
  let pages = 0;
  for (let after = ''; ; pages++) {
    const page = await api.list({ after, group: 'others', search: 'thimble' });
    found.push(...page.rooms.map(({ id }) => id));
    if (page.next === null) break;
    after = page.next;
  }
  t.strictSame(found, [name(7), name(2_100), name(4_499)]);
  t.ok(pages >= 2, 'a page looks at so many rooms at most');
  const all: string[] = [];
  for (let after = ''; ;) {
    const page = await api.list({ after, group: 'others', limit: 999 });
    all.push(...page.rooms.map(({ id }) => id));
    if (page.next === null) break;
    after = page.next;
  }
  t.strictSame(
    all,
    Array.from({ length: 4_500 }, (_, n) => name(n)),
  );
});

t.test('while many search, others’ transactions come between their steps', async (t) => {
  const s = await startRooms(t);
  const api = s.server.plugins.rooms;
  await fill(s, 2_000, {});
  const searches = Array.from({ length: 20 }, () => api.list({ group: 'others', search: 'none' }));
  let over = false;
  const all = Promise.all(searches).then(() => (over = true));
  let turns = 0;
  for (; !over; turns++) await s.server.transact((tx) => tx.now);
  await all;
  t.ok(turns >= 300, `${turns} turns during 20 searches of 20 steps each`);
});

t.test('so many lists wait for their turn; more are refused for now', async (t) => {
  const s = await startRooms(t);
  await fill(s, 200, {});
  const answers = await Promise.allSettled(
    Array.from({ length: 300 }, () => s.server.plugins.rooms.list({ group: 'others', search: 'none' })),
  );
  const refused = answers.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
  t.equal(refused.length, 300 - 1 - 256);
  t.match(refused[0]?.reason, { name: 'too_many', details: { retryAfterMs: Number } });
  t.match(await s.server.plugins.rooms.list({ group: 'others', limit: 1 }), { rooms: { length: 1 } }, 'then again');
});

t.test('what one user makes the server look at has a rate, others and API keys are not refused for it', async (t) => {
  const time = new ManualTime();
  const s = await startRooms(t, { time });
  const api = s.server.plugins.rooms;
  await fill(s, 2_000, {});
  const search = (asker: Asker) => api.list({ group: 'others', search: 'none' }, asker);
  const outcomes = async (asker: Asker, n: number) => {
    const all = await Promise.allSettled(Array.from({ length: n }, () => search(asker)));
    return all.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
  };
  const refused = await outcomes(user('greedy', ['others']), 30);
  t.ok(refused.length >= 15, `${refused.length} of 30 are refused`);
  t.match(refused[0]?.reason, { name: 'too_many', details: { retryAfterMs: Number } });
  t.strictSame(await outcomes(user('other', ['others']), 3), []);
  t.strictSame(await outcomes({ kind: 'key', user: { id: 'backend', name: 'backend' } }, 15), []);
  t.strictSame(await outcomes(undefined, 15), []);
  time.advance(5_000);
  t.strictSame(await outcomes(user('greedy', ['others']), 3), [], 'later they may again');
});

t.test('over HTTP a refused search is 429 with Retry-After, and guests of one address are one', async (t) => {
  const s = await startServer(t, {
    contract: roomContract,
    plugins: [rooms(), http({ page: false })] as const,
    time: new ManualTime(),
  });
  await fill(s, 2_000, {});
  const ask = () => fetch(`${s.http}/api/rooms?group=others&search=none`);
  const answers = await Promise.all(Array.from({ length: 30 }, ask));
  const refused = answers.filter(({ status }) => status === 429);
  t.ok(refused.length >= 15, `${refused.length} of 30`);
  t.match(refused[0]?.headers.get('retry-after'), /^\d+$/);
  t.match(await refused[0]?.json(), { name: 'too_many' });
});
