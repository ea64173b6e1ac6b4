import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { memoryStore } from '../../src/store/memory.js';
import type { Operation } from '../../src/store/store.js';
import { random } from '../random.js';
import { storeConformance } from './conformance.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

storeConformance('memory', () => memoryStore());

const value = Uint8Array.of(1);
const meta = { time: 0, counter: 0, incarnation: 0 };

t.test('keys that came and went are not kept, in tables that nobody lists either', async (t) => {
  const store = memoryStore();
  await store.open();
  const heap = (): number => {
    gc();
    return process.memoryUsage().heapUsed;
  };
  const before = heap();
  // 40 MB of keys.
  for (let id = 1; id <= 1_000; id++) {
    const keys = Array.from({ length: 100 }, (_, i) => `${id}-${i}-${'k'.repeat(400)}`);
    const puts = keys.map((key): Operation => ({ type: 'put', table: 'docs', key, value }));
    const deletes = keys.map((key): Operation => ({ type: 'delete', table: 'docs', key }));
    await store.commit({ id, operations: [...puts, ...deletes], meta });
  }
  const grown = heap() - before;
  t.ok(grown < 10e6, `${grown} bytes more`);
  // Or it would be gone with all that it holds.
  t.strictSame(await store.list('docs', { limit: 1 }), []);
});

t.test('a list is right after keys that came and went unlisted', async (t) => {
  const { seed, below, chance } = random();
  const store = memoryStore();
  await store.open();
  const model = new Set<string>();
  for (let id = 1; id <= 300; id++) {
    const operations = Array.from({ length: below(40) }, (): Operation => {
      const key = `k${below(60)}`;
      if (chance(0.5)) {
        model.delete(key);
        return { type: 'delete', table: 'docs', key };
      }
      model.add(key);
      return { type: 'put', table: 'docs', key, value };
    });
    await store.commit({ id, operations, meta });
    if (!chance(0.1)) continue;
    const listed = await store.list('docs', { limit: 100 });
    t.strictSame(
      listed.map(([key]) => key),
      [...model].sort(),
      `seed ${seed}, batch ${id}`,
    );
  }
});
