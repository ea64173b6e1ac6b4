/** Documents that are kept decoded: what one reader does to them, no other sees, and the truth changes by a commit alone. */
import t from 'tap';
import { encode } from '../../src/protocol/codec.js';
import { DecodedDocuments } from '../../src/server/hub/documents.js';
import { Lately } from '../../src/server/hub/lately.js';
import type { Transaction } from '../../src/server/api.js';
import { random } from '../random.js';
import { gatedStore } from '../support/gated-store.js';
import { startOpen } from '../support/open-server.js';
import { startRooms } from '../support/rooms.js';
import { testStore } from '../support/server.js';

interface Doc {
  n: number;
  deep: { list: number[]; name?: string };
}
const doc = (n: number): Doc => ({ n, deep: { list: [n, n + 1] } });

t.test('what `read` gives is one frozen object for all; what `get` gives is the reader’s own', async (t) => {
  const { server } = await startOpen(t);
  const given = doc(1);
  await server.transact((tx) => {
    tx.set('docs', 'a\0k', given);
    // Written is what it was when it was set.
    given.n = 99;
    t.same(tx.read('docs', 'a\0k'), doc(1));
  });
  const first = await server.transact((tx) => tx.read<Doc>('docs', 'a\0k') as Doc);
  const [[, listed]] = (await server.transact((tx) => tx.readList<Doc>('docs', { prefix: 'a\0', limit: 10 }))) as [
    [string, Doc],
  ];
  for (const shared of [first, listed]) {
    t.throws(() => (shared.n = 2), TypeError);
    t.throws(() => shared.deep.list.push(2), TypeError);
    t.throws(() => (shared.deep.name = 'x'), TypeError);
  }
  await server.transact((tx) => {
    const own = tx.get<Doc>('docs', 'a\0k') as Doc;
    own.n = 2;
    own.deep.list.push(3);
    const rows = tx.list<Doc>('docs', { prefix: 'a\0', limit: 10 });
    rows.forEach(([, row]) => (row.deep.name = 'mine'));
    // A list is the reader's own, its rows are not.
    tx.readList('docs', { prefix: 'a\0', limit: 10 }).length = 0;
    t.same([tx.read('docs', 'a\0k'), tx.get('docs', 'a\0k')], [doc(1), doc(1)]);
  });
  t.same(await server.transact((tx) => tx.readList('docs', { prefix: 'a\0', limit: 10 })), [['a\0k', doc(1)]]);
});

t.test('bytes cannot be frozen: each reader of a document that holds some has its own', async (t) => {
  const { server } = await startOpen(t);
  const spoil = (tx: Transaction): void => {
    const { bytes } = tx.read<{ bytes: Uint8Array }>('docs', 'a\0k') as { bytes: Uint8Array };
    const [[, row]] = tx.readList<{ bytes: Uint8Array }>('docs', { prefix: 'a\0', limit: 10 }) as [
      [string, { bytes: Uint8Array }],
    ];
    t.same([...bytes, ...row.bytes], [1, 2, 1, 2]);
    bytes.fill(9);
    row.bytes.fill(9);
  };
  await server.transact((tx) => {
    tx.set('docs', 'a\0k', { bytes: Uint8Array.of(1, 2) });
    spoil(tx);
    spoil(tx);
  });
  await server.transact(spoil);
  await server.transact((tx) => {
    spoil(tx);
    tx.set('docs', 'a\0l', 1);
  });
  t.same(await server.transact((tx) => tx.get('docs', 'a\0k')), { bytes: Uint8Array.of(1, 2) });
});

t.test('what is rolled back or refused was never read', async (t) => {
  const store = gatedStore(testStore(t));
  const { server } = await startOpen(t, { store });
  const all = (tx: Transaction) => [tx.read('docs', 'a\0k'), tx.readList('docs', { prefix: 'a\0', limit: 10 })];
  await server.transact((tx) => tx.set('docs', 'a\0k', 1));
  const before = await server.transact(all);
  const write = (tx: Transaction): void => {
    tx.set('docs', 'a\0k', 2);
    tx.set('docs', 'a\0l', 3);
    t.same(all(tx), [2, [['a\0k', 2], ['a\0l', 3]]]); // prettier-ignore
  };
  const rolledBack = server.transact((tx) => {
    write(tx);
    throw new Error('changed my mind');
  });
  const after = server.transact(all);
  await t.rejects(rolledBack, { message: 'changed my mind' });
  t.same(await after, before);
  store.fail('refused');
  await t.rejects(server.transact(write), { code: 203 });
  t.same(await server.transact(all), before);
  await server.transact(write);
  t.same(await server.transact(all), [2, [['a\0k', 2], ['a\0l', 3]]]); // prettier-ignore
});

t.test('whatever is written, read and rolled back: all ways of reading agree with a model', async (t) => {
  const { seed, below, chance } = random();
  t.comment(`SEED=${seed}`);
  const { server } = await startOpen(t, { store: testStore(t) });
  let model = new Map<string, unknown>();
  // More of them under one prefix than a kept list has, and keys whose UTF-8 is ordered otherwise than their UTF-16.
  const keys = Array.from({ length: 300 }, (_, i) => `many\0${i}`);
  keys.push(...['a', '\uffff', '😀', 'z\0x', 'z\0y', 'z'].map((key) => `few\0${key}`), 'few', 'none\0');
  const prefixes = ['many\0', 'few\0', 'few\0z\0', 'few', 'none\0', 'few\0z'];
  const bytes = (key: string) => Buffer.from(key).toString('latin1');
  const rows = (truth: Map<string, unknown>, prefix: string, limit: number) =>
    [...truth].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (bytes(a) < bytes(b) ? -1 : 1)).slice(0, limit); // prettier-ignore
  const work = (tx: Transaction): void => {
    const mine = new Map(model);
    const fails = chance(0.2);
    for (let steps = 1 + below(8); steps > 0; steps--) {
      const key = keys[chance(0.5) ? below(keys.length) : keys.length - 1 - below(8)] as string;
      const prefix = prefixes[below(prefixes.length)] as string;
      const limit = 1 + below(400);
      switch (below(5)) {
        case 0:
        case 1: {
          const value = chance(0.3) ? below(9) : doc(below(99));
          tx.set('docs', key, value);
          mine.set(key, value);
          break;
        }
        case 2:
          tx.delete('docs', key);
          mine.delete(key);
          break;
        case 3:
          if (!same(tx.read('docs', key), mine.get(key))) throw new Wrong(`read ${key}`);
          if (!same(tx.get('docs', key), mine.get(key))) throw new Wrong(`get ${key}`);
          break;
        case 4: {
          const expected = rows(mine, prefix, limit);
          if (!same(tx.readList('docs', { prefix, limit }), expected)) throw new Wrong(`readList ${prefix} ${limit}`);
          if (!same(tx.list('docs', { prefix, limit }), expected)) throw new Wrong(`list ${prefix} ${limit}`);
          break;
        }
      }
    }
    if (fails) throw new Error('changed my mind');
    model = mine;
  };
  for (let round = 0; round < 400; round++) {
    const all = Array.from({ length: 1 + below(4) }, () => server.transact(work));
    for (const { reason } of (await Promise.allSettled(all)) as { reason?: unknown }[]) {
      if (reason instanceof Wrong) t.fail(reason.message);
    }
  }
  t.ok(model.size > 0);
});

class Wrong extends Error {}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

t.test('what was used lately is kept, and of all else no more than the bound', async (t) => {
  const lately = new Lately<number>();
  const size = 1_000;
  let hot = 0;
  for (let i = 0; i < 100_000; i++) {
    lately.set('docs', `k${i}`, i, size);
    if (i % 100 === 0) lately.set('hot', 'k', i, size);
    if (lately.get('hot', 'k') !== undefined) hot++;
  }
  t.equal(hot, 100_000);
  let kept = 0;
  for (let i = 0; i < 100_000; i++) if (lately.delete('docs', `k${i}`)) kept++;
  t.ok(kept * size <= 4 * 1024 * 1024 + size, `${kept} of 100000 were kept`);
  t.ok(kept >= 1_000);
});

t.test('what nobody reads for a minute is not kept, and what is read stays', async (t) => {
  const timers: (() => void)[] = [];
  const documents = new DecodedDocuments((_ms, fn) => void timers.push(fn));
  for (const key of ['read', 'left']) documents.decoded('docs', key, encode(key));
  documents.decodedRows('docs', 'a\0', [['a\0k', encode(1)]]);
  for (let turn = 0; turn < 3; turn++) {
    t.equal(timers.length, 1, 'one timer at a time');
    timers.pop()?.();
    t.same(documents.known('docs', 'read'), { value: 'read' });
    if (turn === 0) continue;
    t.equal(documents.known('docs', 'left'), undefined);
    t.equal(documents.knownRows('docs', 'a\0'), undefined);
  }
  for (let turn = 0; turn < 2; turn++) timers.pop()?.();
  t.strictSame(timers, [], 'and none where nothing is kept');
});

t.test('the metadata that a program is given is its own, and an access rule’s is frozen', async (t) => {
  const thrown: unknown[] = [];
  const { server, client } = await startRooms(t, {
    rooms: {
      access({ room }) {
        try {
          if (room !== undefined) (room as { description: string }).description = 'spoilt';
        } catch (error) {
          thrown.push(error);
        }
        return true;
      },
    },
  });
  const { rooms } = server.plugins;
  await rooms.create('r', { description: 'the truth' });
  const member = await client();
  await member.call('join:room', { roomId: 'r' });
  const session = server.session(member.welcome.session[0])!;
  const asker = { kind: 'user', user: { id: 'u', name: 'U' } } as const;
  const given = [
    await rooms.get('r', asker),
    (await rooms.list()).rooms[0],
    (await rooms.snapshot('r')).metadata,
    await rooms.update('r', { description: 'the truth' }),
    await rooms.read('r', ({ metadata }) => metadata),
    await rooms.write('r', ({ change }) => change({})),
    await server.transact((tx) => rooms.within(tx).read('r')?.metadata),
    await server.transact((tx) => rooms.within(tx).join(session, 'r').metadata),
    await server.transact((tx) => rooms.within(tx).inside(session, 'r').metadata),
  ];
  for (const metadata of given) {
    t.equal(metadata?.description, 'the truth');
    (metadata as { description: string }).description = 'spoilt';
  }
  t.equal((await rooms.get('r'))?.description, 'the truth');
  t.match(await member.call('join:room', { roomId: 'r' }), { metadata: { description: 'the truth' } });
  t.ok(thrown.length > 0 && thrown.every((error) => error instanceof TypeError));
});
