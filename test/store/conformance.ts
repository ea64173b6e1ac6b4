/** What the hub may rely on, whichever store it has. Each store's test file runs all of it. */
import t from 'tap';
import { storeLimits, type LogChunk, type Operation, type Store } from '../../src/store/store.js';
import { random } from '../random.js';
import { memoryStore } from '../../src/store/memory.js';
import { append, bytes, chunk, put, Writer } from './writer.js';

type Test = typeof t;

/** Why a store keeps no promise of a title: it cannot be asked for it. */
export type Exceptions = Readonly<Record<string, string>>;

/** `create` makes a new, empty store that is not open yet; `t` is there for its directory. */
export function storeConformance(name: string, create: (t: Test) => Store, exceptions: Exceptions = {}): void {
  const test = (title: string, run: (t: Test, store: Store, writer: Writer) => Promise<void>): void => {
    const skip = exceptions[title] ?? false;
    void t.test(`${name}: ${title}`, { skip }, async (t) => {
      const store = create(t as Test);
      await store.open();
      t.teardown(() => store.close());
      await run(t as Test, store, new Writer(store));
    });
  };
  const ranges = (chunks: readonly LogChunk[]): string[] => chunks.map(({ first, count }) => `${first}+${count}`);
  const keys = (page: readonly (readonly [string, Uint8Array])[]): string[] => page.map(([key]) => key);

  void t.test(`${name}: a new store has a generation of its own and a meta of zeros`, async (t) => {
    const generations = new Set<string>();
    for (const title of ['one', 'another']) {
      await t.test(title, async (t) => {
        const store = create(t as Test);
        t.teardown(() => store.close());
        const { generation, meta } = await store.open();
        generations.add(generation);
        t.match(generation, /^[\w-]{4,16}$/);
        t.strictSame(meta, { time: 0, counter: 0, incarnation: 0 });
      });
    }
    t.equal(generations.size, 2);
  });

  test('a topic is unknown until its first event and then has epoch, head and tail', async (t, store, writer) => {
    t.equal(await store.topic('a'), undefined);
    t.strictSame(await store.read('a', 1, 1_000), []);
    await writer.commit(append('a', 1, 3));
    t.strictSame(await store.topic('a'), { epoch: 'e1', head: 3, tail: 1 });
    await writer.commit(append('a', 4, 2), append('a', 6, 1));
    t.strictSame(await store.topic('a'), { epoch: 'e1', head: 6, tail: 1 });
  });

  test('a batch with one bad operation applies nothing', async (t, store, writer) => {
    await writer.commit(append('a', 1, 2), put('docs', 'k', 'old'));
    const bad: Operation[] = [
      append('a', 4),
      append('a', 2),
      append('new', 2),
      append('a', 3, 1, 'another epoch'),
      append('a', 3, 0),
      append('a', 3, 1.5),
      put('docs', 'x'.repeat(storeLimits.key + 1)),
      put('x'.repeat(storeLimits.table + 1), 'key'),
      { type: 'delete', table: 'docs', key: 'é'.repeat(storeLimits.key / 2 + 1) },
      append('x'.repeat(storeLimits.topic + 1), 1),
    ];
    for (const operation of bad) {
      const error = await writer.refused(append('b', 1), put('docs', 'k', 'new'), operation, put('docs', 'k2'));
      t.equal(error?.kind, 'refused', JSON.stringify(operation).slice(0, 80));
    }
    const removals: Operation[] = [
      { type: 'trim', topic: 'a', before: 3 },
      { type: 'drop', topic: 'a' },
      { type: 'delete', table: 'docs', key: 'k' },
    ];
    t.equal((await writer.refused(...removals, append('c', 2)))?.kind, 'refused');
    t.strictSame(await store.topic('a'), { epoch: 'e1', head: 2, tail: 1 });
    t.strictSame(ranges(await store.read('a', 1, 1_000)), ['1+2']);
    for (const topic of ['b', 'c', 'new']) t.equal(await store.topic(topic), undefined);
    t.strictSame(await store.list('docs', { limit: 10 }), [['k', bytes('old')]]);
    t.strictSame(await store.topics({ limit: 10 }), { total: 1, names: ['a'] });
  });

  test('reads begin with the chunk that holds the offset', async (t, store, writer) => {
    await writer.commit(append('a', 1, 3), append('b', 1, 9));
    await writer.commit(append('a', 4, 1));
    await writer.commit(append('a', 5, 4), append('0', 1, 9));
    t.strictSame(ranges(await store.read('a', -1, 1_000)), ['1+3', '4+1', '5+4']);
    t.strictSame(ranges(await store.read('a', 1, 1_000)), ['1+3', '4+1', '5+4']);
    t.strictSame(ranges(await store.read('a', 3, 1_000)), ['1+3', '4+1', '5+4']);
    t.strictSame(ranges(await store.read('a', 4, 1_000)), ['4+1', '5+4']);
    t.strictSame(ranges(await store.read('a', 8, 1_000)), ['5+4']);
    t.strictSame(await store.read('a', 9, 1_000), []);
    t.strictSame(await store.read('a', Number.MAX_SAFE_INTEGER, 1_000), []);
    t.strictSame(await store.read('a', 8, 1_000), [{ first: 5, count: 4, frame: bytes('5+4') }]);
  });

  test('a read stops before the chunk that exceeds maxBytes, after at least one', async (t, store, writer) => {
    await writer.commit(append('a', 1), append('a', 2), append('a', 3));
    t.strictSame(ranges(await store.read('a', 1, 9)), ['1+1', '2+1', '3+1']);
    t.strictSame(ranges(await store.read('a', 1, 8)), ['1+1', '2+1']);
    t.strictSame(ranges(await store.read('a', 1, 3)), ['1+1']);
    t.strictSame(ranges(await store.read('a', 2, 0)), ['2+1']);
  });

  test('a trim forgets whole chunks and moves the tail to the first offset kept', async (t, store, writer) => {
    const trim = (before: number): Promise<unknown> => writer.commit({ type: 'trim', topic: 'a', before });
    await writer.commit(append('a', 1, 3), append('a', 4, 3), append('a', 7, 3));
    await trim(-5);
    await trim(3);
    t.equal((await store.topic('a'))?.tail, 1, 'the chunk holds offset 3');
    await trim(4);
    t.equal((await store.topic('a'))?.tail, 4);
    t.strictSame(
      ranges(await store.read('a', 1, 1_000)),
      ['4+3', '7+3'],
      'a trimmed offset reads from the oldest kept',
    );
    await trim(9);
    t.strictSame(await store.topic('a'), { epoch: 'e1', head: 9, tail: 7 });
    await trim(1);
    t.equal((await store.topic('a'))?.tail, 7, 'the tail never goes back');
    await writer.commit({ type: 'trim', topic: 'a', before: 1_000 }, { type: 'trim', topic: 'unknown', before: 5 });
    t.strictSame(
      await store.topic('a'),
      { epoch: 'e1', head: 9, tail: 10 },
      'an empty log has its tail after its head',
    );
    t.strictSame(await store.read('a', 1, 1_000), []);
    await writer.commit(append('a', 10, 2), { type: 'trim', topic: 'a', before: 11 });
    t.strictSame(await store.topic('a'), { epoch: 'e1', head: 11, tail: 10 });
    t.equal(await store.topic('unknown'), undefined);
  });

  test('a dropped topic is gone, and begins at 1 when made again', async (t, store, writer) => {
    await writer.commit(append('a', 1, 5), append('b', 1));
    await writer.commit({ type: 'drop', topic: 'a' }, { type: 'drop', topic: 'unknown' });
    t.equal(await store.topic('a'), undefined);
    t.strictSame(await store.read('a', 1, 1_000), []);
    t.strictSame(await store.topics({ limit: 10 }), { total: 1, names: ['b'] });
    await writer.commit(append('a', 1, 2, 'e2'));
    t.strictSame(ranges(await store.read('a', 0, 1_000)), ['1+2']);
    await writer.commit({ type: 'drop', topic: 'a' }, append('a', 1, 1, 'e3'), append('c', 1), {
      type: 'drop',
      topic: 'c',
    });
    t.strictSame(await store.topic('a'), { epoch: 'e3', head: 1, tail: 1 }, 'in one batch too');
    t.strictSame(await store.topics({ limit: 10 }), { total: 2, names: ['a', 'b'] });
  });

  test('documents are put, replaced, deleted, and apart from table to table', async (t, store, writer) => {
    await writer.commit(
      put('a', 'k', '1'),
      put('ab', 'k', '2'),
      put('b', 'k', '3'),
      put('a', 'bk', '4'),
      put('a', '', 'empty key'),
    );
    await writer.commit(
      put('b', 'k', '5'),
      { type: 'delete', table: 'ab', key: 'k' },
      { type: 'delete', table: 'no', key: 'k' },
    );
    t.strictSame(await store.get('a', 'k'), bytes('1'));
    t.strictSame(await store.get('b', 'k'), bytes('5'));
    t.equal(await store.get('ab', 'k'), undefined);
    t.equal(await store.get('no', 'k'), undefined);
    t.equal(await store.get('a', 'x'.repeat(100_000)), undefined);
    t.strictSame(keys(await store.list('a', { limit: 10 })), ['', 'bk', 'k']);
    t.strictSame(keys(await store.list('ab', { limit: 10 })), []);
    await writer.commit(put('a', 'none', ''), { type: 'delete', table: 'a', key: 'k' }, put('a', 'k', 'again'));
    t.equal((await store.get('a', 'none'))?.length, 0, 'an empty value is a value');
    t.strictSame(keys(await store.list('a', { limit: 10 })), ['', 'bk', 'k', 'none']);
  });

  test('documents are listed by the bytes of their keys, by prefix, after a key, up to a limit', async (t, store, writer) => {
    // U+FF5E is one UTF-16 unit above the surrogates that make U+1F600, and below it in UTF-8.
    const names = [
      '',
      '\0',
      'a',
      'a\0',
      'a\0b',
      'ab',
      'b',
      'é',
      '\ud7ff',
      '\ue000',
      '～',
      '\uffff',
      '😀',
      '😀a',
      '\u{10ffff}',
    ];
    await writer.commit(...names.toReversed().map((name) => put('t', name)), put('s', 'zz'), put('u', 'aa'));
    t.strictSame(keys(await store.list('t', { limit: 100 })), names);
    t.strictSame(keys(await store.list('t', { limit: 3 })), names.slice(0, 3));
    t.strictSame(keys(await store.list('t', { limit: 0 })), []);
    t.strictSame(keys(await store.list('t', { limit: 100, prefix: 'a' })), ['a', 'a\0', 'a\0b', 'ab']);
    t.strictSame(keys(await store.list('t', { limit: 2, prefix: 'a', after: 'a' })), ['a\0', 'a\0b']);
    t.strictSame(
      keys(await store.list('t', { limit: 9, prefix: 'a', after: 'a\0a' })),
      ['a\0b', 'ab'],
      'after need not exist',
    );
    t.strictSame(keys(await store.list('t', { limit: 1, prefix: 'b', after: 'a' })), ['b'], 'after before the prefix');
    t.strictSame(keys(await store.list('t', { limit: 9, prefix: 'a', after: 'b' })), [], 'after behind the prefix');
    t.strictSame(keys(await store.list('t', { limit: 9, after: '～' })), ['\uffff', '😀', '😀a', '\u{10ffff}']);
    t.strictSame(keys(await store.list('t', { limit: 9, after: '\u{10ffff}' })), []);
    t.strictSame(keys(await store.list('t', { limit: 9, prefix: '😀' })), ['😀', '😀a']);
    t.strictSame(
      keys(await store.list('t', { limit: 9, after: `a${'\0'.repeat(9_000)}` })),
      ['a\0b', 'ab', 'b', 'é', '\ud7ff', '\ue000', '～', '\uffff', '😀'],
      'an after of any length',
    );
    t.strictSame(keys(await store.list('t', { limit: 9, prefix: 'x'.repeat(9_000) })), []);
  });

  test('a list is right after any puts and deletes', async (t, store, writer) => {
    const { seed, below, chance } = random();
    t.comment(`SEED=${seed}`);
    const model = new Map<string, string>();
    for (let round = 0; round < 60; round++) {
      const operations: Operation[] = [];
      for (let i = below(chance(0.2) ? 60 : 6); i >= 0; i--) {
        const key = String.fromCodePoint(97 + below(5), chance(0.5) ? 0x1f600 + below(9) : 0xff00 + below(9));
        if (chance(0.4)) {
          model.delete(key);
          operations.push({ type: 'delete', table: 't', key });
        } else {
          model.set(key, `${round}`);
          operations.push(put('t', key, `${round}`));
        }
      }
      await writer.commit(...operations);
      const prefix = chance(0.5) ? String.fromCodePoint(97 + below(5)) : '';
      const after = chance(0.5) ? String.fromCodePoint(97 + below(5), 0x1f600 + below(9)) : undefined;
      const limit = below(30);
      const expected = [...model]
        .map(([key, value]) => [key, bytes(value)] as const)
        .filter(
          ([key]) => key.startsWith(prefix) && (after === undefined || Buffer.compare(bytes(key), bytes(after)) > 0),
        )
        .sort(([a], [b]) => Buffer.compare(bytes(a), bytes(b)))
        .slice(0, limit);
      t.strictSame(await store.list('t', { prefix, after, limit }), expected);
    }
  });

  test('a batch whose id was applied is not applied again', async (t, store, writer) => {
    const batch = await writer.commit(append('a', 1, 2), put('t', 'k', '1'));
    t.equal(await writer.attempt(batch), undefined);
    t.strictSame(await store.topic('a'), { epoch: 'e1', head: 2, tail: 1 });
    await writer.commit(put('t', 'k', '2'));
    t.equal(await writer.attempt(batch), undefined, 'nor is an older one');
    t.strictSame(await store.get('t', 'k'), bytes('2'));
    t.strictSame(ranges(await store.read('a', 0, 1_000)), ['1+2']);
  });

  test('what was read stays as it was, and buffers may be parts of larger ones', async (t, store, writer) => {
    const large = Buffer.alloc(300_000, 'abcdefgh');
    const value = large.subarray(5, 70_000);
    const frame = large.subarray(3, 40_000);
    await writer.commit({ type: 'put', table: 't', key: 'big', value }, put('t', 'small', 'small'));
    await writer.commit(
      { type: 'append', topic: 'a', epoch: 'e1', chunk: { first: 1, count: 1, frame } },
      append('a', 2),
    );
    const big = await store.get('t', 'big');
    const small = await store.get('t', 'small');
    const listed = await store.list('t', { limit: 10 });
    const chunks = await store.read('a', 1, 1_000_000);
    await writer.commit(put('t', 'big', 'x'), put('t', 'small', 'y'), append('a', 3), {
      type: 'trim',
      topic: 'a',
      before: 3,
    });
    await store.get('t', 'big');
    await store.get('t', 'small');
    await store.list('t', { limit: 10 });
    await store.read('a', 1, 1_000_000);
    const same = (a: Uint8Array | undefined, b: Uint8Array): void => {
      t.ok(a !== undefined && a.byteLength === b.byteLength && Buffer.compare(a, b) === 0);
    };
    same(big, value);
    same(small, bytes('small'));
    t.strictSame(keys(listed), ['big', 'small']);
    same(listed[0]?.[1], value);
    same(listed[1]?.[1], bytes('small'));
    t.strictSame(ranges(chunks), ['1+1', '2+1']);
    same(chunks[0]?.frame, frame);
    same(chunks[1]?.frame, chunk(2, 1).frame);
  });

  test('topics are counted, and their names come in pages', async (t, store, writer) => {
    t.strictSame(await store.topics({ limit: 10 }), { total: 0, names: [] });
    await writer.commit(...['c', 'a', '😀', '～', 'b'].map((topic) => append(topic, 1)));
    t.strictSame(await store.topics({ limit: 2 }), { total: 5, names: ['a', 'b'] });
    t.strictSame(await store.topics({ limit: 2, after: 'b' }), { total: 5, names: ['c', '～'] });
    t.strictSame(await store.topics({ limit: 2, after: '～' }), { total: 5, names: ['😀'] });
    t.strictSame(await store.topics({ limit: 0 }), { total: 5, names: [] });
  });

  test('a snapshot, restored elsewhere, is all that the store held when it was begun', async (t, store, writer) => {
    writer.meta = { time: 1_700_000_000_123, counter: 2 ** 50, incarnation: 7 };
    await writer.commit(append('a', 1, 3), append('a', 4, 2), append('b', 1, 1), append('c', 1, 9, 'e2'));
    await writer.commit({ type: 'trim', topic: 'a', before: 4 }, { type: 'trim', topic: 'b', before: 2 });
    await writer.commit({ type: 'drop', topic: 'c' }, put('t', '', 'empty key'), put('t', '😀'), put('u', 'k', ''));
    await writer.commit(
      ...Array.from({ length: 300 }, (_, i) => put('many', `${i}`.padStart(3, '0'), 'x'.repeat(i * 9))),
    );
    const parts: Uint8Array[] = [];
    for await (const part of store.snapshot()) {
      parts.push(part);
      // What comes after its begin is not in it.
      if (parts.length === 1) await writer.commit(append('a', 6), append('new', 1), put('t', '😀', 'later'));
    }
    t.ok(parts.length > 1);
    await t.test('in a store of its kind, and in memory', async (t) => {
      for (const other of [create(t as Test), memoryStore()]) {
        await other.open();
        t.teardown(() => other.close());
        const before = new Writer(other);
        await before.commit(append('a', 1), append('z', 1), put('t', 'gone'));
        await other.restore(streamOf(parts));
        t.strictSame(await other.topics({ limit: 9 }), { total: 2, names: ['a', 'b'] });
        t.strictSame(await other.topic('a'), { epoch: 'e1', head: 5, tail: 4 });
        t.strictSame(await other.topic('b'), { epoch: 'e1', head: 1, tail: 2 });
        t.strictSame(ranges(await other.read('a', 1, 1_000)), ['4+2']);
        t.strictSame(await other.list('t', { limit: 9 }), [
          ['', bytes('empty key')],
          ['😀', bytes('😀')],
        ]);
        t.equal((await other.get('u', 'k'))?.length, 0);
        t.strictSame(keys(await other.list('many', { limit: 999 })).length, 300);
        await before.commit(append('a', 6, 1), append('c', 1, 1, 'e3'), { type: 'trim', topic: 'a', before: 6 });
        t.strictSame(ranges(await other.read('a', 1, 1_000)), ['6+1'], 'and it goes on from there');
        t.strictSame(await other.topics({ limit: 9 }), { total: 3, names: ['a', 'b', 'c'] });
      }
    });
  });

  test('a snapshot that is not whole leaves the store empty and says so', async (t, store, writer) => {
    await writer.commit(
      append('a', 1),
      put('t', 'k'),
      ...Array.from({ length: 90 }, (_, i) => put('x', `${i}`, 'x'.repeat(9_000))),
    );
    const parts: Uint8Array[] = [];
    for await (const part of store.snapshot()) parts.push(part);
    const last = parts.at(-1) as Uint8Array;
    const broken = [parts.slice(0, -1), parts.slice(1), [...parts.slice(0, -1), last.subarray(0, -3)], []];
    for (const stream of broken) {
      const error: unknown = await store.restore(streamOf(stream)).catch((error: unknown) => error);
      t.match(error, { kind: 'unusable' });
      t.strictSame(await store.topics({ limit: 9 }), { total: 0, names: [] });
      t.strictSame(await store.list('x', { limit: 9 }), []);
    }
    await store.restore(streamOf(parts));
    t.strictSame(await store.get('t', 'k'), bytes('k'));
  });

  test('the longest names fit', async (t, store, writer) => {
    const [table, key, topic] = [
      '😀'.repeat(storeLimits.table / 4),
      'é'.repeat(storeLimits.key / 2),
      'x'.repeat(storeLimits.topic),
    ];
    await writer.commit(put(table, key, 'v'), append(topic, 1));
    t.strictSame(await store.list(table, { limit: 1 }), [[key, bytes('v')]]);
    t.strictSame(await store.topics({ limit: 1 }), { total: 1, names: [topic] });
  });
}

async function* streamOf(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}
