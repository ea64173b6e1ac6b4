/**
 * A store as bad as a remote one may be: every answer comes some turns late, and commits fail at
 * random, before or after they took effect. What is right on it is right for a store over a network.
 */
import { StoreError, type Batch, type Store } from '../../src/store/store.js';
import { random } from '../random.js';

export interface AsyncStoreOptions {
  readonly seed: number;
  /** One commit in so many fails; 0 for none. Default 4. */
  readonly failEvery?: number;
}

export function asyncStore(inner: Store, { seed, failEvery = 4 }: AsyncStoreOptions): Store {
  const { below, chance } = random(seed);
  let committing = false;
  /** The batch whose outcome was left open: the next commit must be the same one. */
  let doubtful: number | undefined;
  let applied = 0;

  const turns = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  /** Up to three turns, some of them after the work: an answer may be older than it looks. */
  const late = async <T>(work: () => T | Promise<T>): Promise<T> => {
    const before = below(4);
    await turns(before);
    try {
      return await work();
    } finally {
      await turns(below(4 - before));
    }
  };

  async function commit(batch: Batch): Promise<void> {
    if (committing) throw new Error('misuse: two commits at a time');
    if (doubtful !== undefined && doubtful !== batch.id) {
      throw new Error(`misuse: batch ${batch.id} before the outcome of ${doubtful} is known`);
    }
    committing = true;
    try {
      await late(() => commitOrFail(batch));
    } finally {
      committing = false;
    }
  }

  async function commitOrFail(batch: Batch): Promise<void> {
    const failure = failEvery > 0 && chance(1 / failEvery) ? below(3) : undefined;
    // After an open outcome or a success "refused" would be a lie: an earlier try may have been applied.
    if (failure === 0 && doubtful === undefined && batch.id > applied)
      throw new StoreError('refused', 'made to fail: refused');
    if (failure === 1) {
      doubtful = batch.id;
      throw new StoreError('unknown', 'made to fail: unknown, and not applied');
    }
    doubtful = undefined;
    await inner.commit(batch);
    applied = Math.max(applied, batch.id);
    if (failure === 2) {
      doubtful = batch.id;
      throw new StoreError('unknown', 'made to fail: unknown, though applied');
    }
  }

  return {
    name: `async ${inner.name}`,
    durable: inner.durable,
    open: () => late(() => inner.open()),
    commit,
    topic: (name) => late(() => inner.topic(name)),
    read: (topic, from, maxBytes) => late(() => inner.read(topic, from, maxBytes)),
    get: (table, key) => late(() => inner.get(table, key)),
    list: (table, options) => late(() => inner.list(table, options)),
    topics: (options) => late(() => inner.topics(options)),
    snapshot: () => inner.snapshot(),
    restore: (parts) => late(() => inner.restore(parts)),
    close: () => late(() => inner.close()),
  };
}
