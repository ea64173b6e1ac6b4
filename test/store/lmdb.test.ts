import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openEngine } from '../../src/store/lmdb-engine.js';
import { Tables } from '../../src/store/lmdb-tables.js';
import { lmdbStore, type LmdbOptions } from '../../src/store/lmdb.js';
import { memoryStore } from '../../src/store/memory.js';
import { StoreError, type Store } from '../../src/store/store.js';
import { random } from '../random.js';
import { storeConformance } from './conformance.js';
import { startChild } from './lmdb-child.js';
import { append, bytes, put, Writer } from './writer.js';

for (const durability of ['process', 'power'] as const) {
  storeConformance(`lmdb, ${durability}`, (t) => lmdbStore({ path: t.testdir(), durability }));
}

/** Opens, runs, closes. */
async function using<T>(options: LmdbOptions, run: (store: Store, generation: string) => T | Promise<T>): Promise<T> {
  const store = lmdbStore(options);
  const { generation } = await store.open();
  try {
    return await run(store, generation);
  } finally {
    await store.close();
  }
}

async function unusable(options: LmdbOptions): Promise<string> {
  const error: unknown = await using(options, () => undefined).catch((error: unknown) => error);
  if (!(error instanceof StoreError) || error.kind !== 'unusable')
    throw new Error('not refused as unusable', { cause: error });
  if (error.message.includes('\n')) throw new Error('more than one line');
  return error.message;
}

void t.test('a store opened again has all it had: meta, topics, logs, documents, generation', async (t) => {
  const path = t.testdir();
  const meta = { time: 1_700_000_000_123, counter: 2 ** 50, incarnation: 7 };
  const generation = await using({ path }, async (store, generation) => {
    const writer = new Writer(store);
    writer.meta = meta;
    await writer.commit(append('a', 1, 3), append('b', 1), put('t', 'k'));
    await writer.commit({ type: 'trim', topic: 'a', before: 4 }, append('a', 4, 2), { type: 'drop', topic: 'b' });
    return generation;
  });
  for (const durability of ['power', 'process', 'process'] as const) {
    const store = lmdbStore({ path, durability });
    t.strictSame(await store.open(), { generation, meta });
    t.strictSame(await store.topic('a'), { epoch: 'e1', head: 5, tail: 4 });
    t.strictSame(await store.read('a', 1, 100), [{ first: 4, count: 2, frame: bytes('4+2') }]);
    t.strictSame(await store.list('t', { limit: 9 }), [['k', bytes('k')]]);
    t.strictSame(await store.topics({ limit: 9 }), { total: 1, names: ['a'] });
    await store.close();
  }
  await using({ path }, async (store) => {
    await new Writer(store).commit(put('t', 'k', 'again'));
    t.strictSame(await store.get('t', 'k'), bytes('again'), 'batch ids of an earlier run mean nothing');
  });
});

for (const durability of ['process', 'power'] as const) {
  void t.test(`${durability}: all that was told survives kill -9, and each batch whole`, async (t) => {
    const path = t.testdir();
    const { seed, below } = random();
    t.comment(`SEED=${seed}`);
    let generation: string | undefined;
    for (let round = 0; round < 4; round++) {
      const child = await startChild(path, durability);
      await child.told(1 + below(200));
      const told = await child.kill();
      await using({ path, durability, bootId: 'boot' }, async (store, found) => {
        generation ??= found;
        t.equal(found, generation, 'the generation stays');
        const topic = await store.topic('t');
        const head = topic?.head ?? 0;
        t.ok(head === told || head === told + 1, `${told} told, ${head} kept`);
        const chunks = await store.read('t', 1, 1e9);
        t.strictSame(
          chunks.map(({ first }) => first),
          Array.from({ length: head }, (_, i) => i + 1),
        );
        const documents = await store.list('docs', { limit: 100 });
        const newest = Math.max(...documents.map(([, value]) => Number(value)));
        t.equal(newest, head, 'event and document of a batch came together');
      });
      const after = await startChild(path, durability);
      t.equal(after.generation, generation);
      t.ok(after.counter >= told, 'so did its meta');
      await after.kill();
    }
  });
}

void t.test('a second server on the directory is refused, by name and pid, until the first ends or dies', async (t) => {
  const path = t.testdir({ real: {} });
  const child = await startChild(join(path, 'real'), 'process');
  symlinkSync('real', join(path, 'link'));
  for (const name of ['real', 'link']) {
    const message = await unusable({ path: join(path, name) });
    t.match(message, join(path, name));
    t.match(message, `pid ${child.pid})`);
  }
  await child.kill();
  await using({ path: join(path, 'real') }, async () => {
    t.match(await unusable({ path: join(path, 'link') }), `pid ${process.pid})`, 'within one process too');
  });
  await using({ path: join(path, 'link') }, () => t.pass('closed: free again'));
});

void t.test('who lost the store to another server cannot write any more', async (t) => {
  // Only a server that does not see the lock comes this far: as in another container.
  const path = t.testdir();
  await using({ path }, async (store) => {
    const writer = new Writer(store);
    await writer.commit(put('t', 'k', '1'));
    const root = openEngine({ path, noSync: true, mapSize: 2 ** 30 });
    const other = new Tables(root);
    const last = other.lastBatch();
    if (last === undefined) throw new Error('no batch');
    root.transactionSync(() => other.putLastBatch({ ...last, run: 'anotherx' }));
    t.equal((await writer.refused(put('t', 'k', '2')))?.kind, 'unusable');
    t.strictSame(await store.get('t', 'k'), bytes('1'));
    await root.close();
  });
});

void t.test('after the machine rebooted without a close the logs are gone, the documents stay', async (t) => {
  for (const [durability, lost] of [
    ['process', true],
    ['power', false],
  ] as const) {
    const path = t.testdir();
    const child = await startChild(path, durability, 'boot 1');
    await child.told(20);
    await child.kill();
    const store = lmdbStore({ path, durability, bootId: 'boot 2' });
    const { generation, meta } = await store.open();
    t.equal(generation !== child.generation, lost, durability);
    t.ok(meta.counter >= 20, 'the counters go on');
    t.equal((await store.topic('t')) === undefined, lost);
    t.equal((await store.topics({ limit: 1 })).total, lost ? 0 : 1);
    t.equal((await store.read('t', 1, 1_000)).length === 0, lost);
    t.equal((await store.list('docs', { limit: 9 })).length, 7);
    await new Writer(store).commit(append('new', 1));
    await store.close();
  }
});

void t.test('a reboot after a close in order changes nothing', async (t) => {
  const path = t.testdir();
  const first = await using({ path, bootId: 'boot 1' }, async (store, generation) => {
    await new Writer(store).commit(append('a', 1));
    return generation;
  });
  await using({ path, bootId: 'boot 2' }, async (store, generation) => {
    t.equal(generation, first);
    t.equal((await store.topic('a'))?.head, 1);
  });
});

void t.test('a copy that was put back is a new generation', async (t) => {
  const path = t.testdir();
  const first = await using({ path }, async (store, generation) => {
    await new Writer(store).commit(append('a', 1), put('t', 'k'));
    return generation;
  });
  copyFileSync(join(path, 'data.mdb'), join(path, 'backup'));
  rmSync(join(path, 'data.mdb'));
  copyFileSync(join(path, 'backup'), join(path, 'data.mdb'));
  await using({ path }, async (store, generation) => {
    t.not(generation, first);
    t.equal(await store.topic('a'), undefined);
    t.strictSame(await store.get('t', 'k'), bytes('k'));
  });
});

void t.test('a damaged file is told in one line, not by a crash', async (t) => {
  const good = t.testdir();
  await using({ path: good }, async (store) => {
    const writer = new Writer(store);
    for (let i = 0; i < 50; i++) {
      const value = Buffer.alloc(20_000, i);
      await writer.commit(append('a', i + 1), put('t', `${i}`), { type: 'put', table: 't', key: `big ${i}`, value });
    }
  });
  const file = readFileSync(join(good, 'data.mdb'));
  const damages: Record<string, (data: string) => void> = {
    garbage: (data) => writeFileSync(data, Buffer.alloc(100_000, 0x5a)),
    text: (data) => writeFileSync(data, 'hello'),
    empty: (data) => writeFileSync(data, ''),
    'cut in the header': (data) => truncateSync(data, 5_000),
    'cut after the header': (data) => truncateSync(data, 8_192),
    'cut in half': (data) => truncateSync(data, file.length / 2),
    'cut at the end': (data) => truncateSync(data, file.length - 4_096),
    'overwritten after the header': (data) => writeFileSync(data, Buffer.from(file).fill(0x5a, 8_192)),
    'second header overwritten': (data) => writeFileSync(data, Buffer.from(file).fill(0, 4_096, 8_192)),
  };
  for (const [damage, make] of Object.entries(damages)) {
    const path = join(good, damage);
    mkdirSync(path);
    const data = join(path, 'data.mdb');
    writeFileSync(data, file);
    make(data);
    if (damage === 'cut at the end') {
      // The last page may be a free one, and then nothing is missing.
      await using({ path }, () => undefined).catch((error: unknown) => t.match(error, { kind: 'unusable' }));
      continue;
    }
    const message = await unusable({ path });
    t.match(message, /data\.mdb is damaged \(.+\): restore a backup/, message.slice(good.length));
    writeFileSync(data, file);
    await using({ path }, async (store) => t.equal((await store.get('t', '0'))?.length, 1, 'the lock was let go'));
  }
});

void t.test('a page that was overwritten is found or harms nothing, wherever it is', async (t) => {
  const { seed, below } = random();
  t.comment(`SEED=${seed}`);
  const good = t.testdir();
  await using({ path: good }, async (store) => {
    const writer = new Writer(store);
    for (let i = 0; i < 30; i++) await writer.commit(append('a', i + 1), put('t', `${i}`, 'x'.repeat(i * 300)));
  });
  const file = readFileSync(join(good, 'data.mdb'));
  let found = 0;
  for (let round = 0; round < 40; round++) {
    const path = join(good, `${round}`);
    mkdirSync(path);
    const page = 2 + below(file.length / 4_096 - 2);
    writeFileSync(join(path, 'data.mdb'), Buffer.from(file).fill(below(256), page * 4_096, (page + 1) * 4_096));
    await using({ path }, async (store) => {
      await store.list('t', { limit: 1_000 });
      await store.read('a', 1, 1e9);
    }).catch((error: unknown) => {
      if (!(error instanceof StoreError && error.kind === 'unusable')) throw error;
      found++;
    });
  }
  t.ok(found > 0, `${found} of 40 found`);
});

void t.test('a store whose process ended while it was restored is empty when opened again', async (t) => {
  const path = t.testdir();
  const before = await using({ path }, async (store, generation) => {
    await new Writer(store).commit(append('a', 1), put('t', 'k'));
    await store.restore(someParts()).catch(() => undefined);
    return generation;
  });
  await using({ path }, async (store, generation) => {
    t.not(generation, before);
    t.strictSame(await store.topics({ limit: 9 }), { total: 0, names: [] });
    t.strictSame(await store.list('t', { limit: 9 }), []);
  });
});

/** The first part of a snapshot, and no more. */
async function* someParts(): AsyncGenerator<Uint8Array> {
  const store = memoryStore();
  await store.open();
  const writer = new Writer(store);
  for (let i = 0; i < 90; i++) await writer.commit(append('b', i + 1), put('t', `${i}`, 'x'.repeat(9_000)));
  for await (const part of store.snapshot()) {
    yield part;
    return;
  }
}

void t.test('a garbled lock.mdb of a server that is gone is no obstacle', async (t) => {
  const path = t.testdir();
  await using({ path }, async (store) => void (await new Writer(store).commit(put('t', 'k'))));
  for (const content of [Buffer.alloc(0), Buffer.alloc(100, 0x5a), Buffer.alloc(8_192, 0x5a)]) {
    writeFileSync(join(path, 'lock.mdb'), content);
    await using({ path }, async (store) => t.strictSame(await store.get('t', 'k'), bytes('k')));
  }
});

void t.test('a file in place of the directory, or above it, is told in one line', async (t) => {
  const path = t.testdir({ file: 'x' });
  for (const name of ['file', 'file/below']) {
    const message = await unusable({ path: join(path, name) });
    t.match(message, join(path, name));
    t.match(message, /a file is in its place/);
  }
});

void t.test(
  'a directory that cannot be written to is told in one line',
  { skip: process.getuid?.() === 0 ? 'root may write anywhere' : false },
  async (t) => {
    const path = t.testdir({ closed: {} });
    chmodSync(join(path, 'closed'), 0o500);
    t.match(await unusable({ path: join(path, 'closed') }), /cannot write there/);
  },
);
