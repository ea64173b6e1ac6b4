import t from 'tap';
import { memoryStore } from '../../src/store/memory.js';
import { StoreError } from '../../src/store/store.js';
import { environmentSeed } from '../random.js';
import { asyncStore } from './async-store.js';
import { storeConformance } from './conformance.js';
import { append, Writer } from './writer.js';

const seed = environmentSeed();
t.comment(`SEED=${seed}`);

storeConformance('async', () => asyncStore(memoryStore(), { seed }));

void t.test('failures come in all three kinds, and a seed brings the same ones again', async (t) => {
  const run = async (): Promise<string[]> => {
    const store = asyncStore(memoryStore(), { seed: 1, failEvery: 2 });
    const log: string[] = [];
    const seen = new Writer({
      ...store,
      commit: async (batch) => {
        const before = (await store.topic('a'))?.head ?? 0;
        try {
          await store.commit(batch);
        } catch (error) {
          if (!(error instanceof StoreError)) throw error;
          log.push(`${batch.id} ${error.kind} ${((await store.topic('a'))?.head ?? 0) - before}`);
          throw error;
        }
      },
    });
    await store.open();
    for (let i = 1; i <= 40; i++) await seen.commit(append('a', i));
    t.equal((await store.topic('a'))?.head, 40);
    return log;
  };
  const first = await run();
  for (const kind of [/refused 0/, /unknown 0/, /unknown 1/]) t.ok(first.some((line) => kind.test(line)));
  t.strictSame(await run(), first);
});

void t.test('two commits at a time, or a new batch before an open outcome is known, are misuse', async (t) => {
  const store = asyncStore(memoryStore(), { seed: 1, failEvery: 0 });
  const batch = { id: 1, operations: [], meta: { time: 0, counter: 0, incarnation: 0 } };
  const first = store.commit(batch);
  await t.rejects(Promise.resolve(store.commit({ ...batch, id: 2 })), { message: /two commits at a time/ });
  await first;

  const doubtful = asyncStore(memoryStore(), { seed: 1, failEvery: 1 });
  let id = 1;
  for (;;) {
    const error: unknown = await Promise.resolve(doubtful.commit({ ...batch, id })).catch((error: unknown) => error);
    if (error instanceof StoreError && error.kind === 'unknown') break;
    id++;
  }
  await t.rejects(Promise.resolve(doubtful.commit({ ...batch, id: id + 1 })), { message: /before the outcome/ });
});
