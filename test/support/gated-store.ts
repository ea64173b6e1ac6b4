/** A store whose commits a test can hold back or make fail, around any other. */
import { StoreError, type Batch, type Store } from '../../src/store/store.js';
import { until } from './until.js';

type Failure = 'refused' | 'unknown, not applied' | 'unknown, applied';

export interface GatedStore extends Store {
  /** From now on commits wait. */
  hold(): void;
  release(): void;
  /** Resolves when a commit waits at the gate. */
  held(): Promise<void>;
  /** The next commits fail like this, one after the other. */
  fail(...failures: Failure[]): void;
  /** Ids of the batches in the order they were tried. */
  readonly tries: number[];
}

export function gatedStore(inner: Store): GatedStore {
  let gate: { readonly open: Promise<void>; readonly release: () => void } | undefined;
  let waiting = 0;
  const failures: Failure[] = [];
  const tries: number[] = [];

  function commit(batch: Batch): void | Promise<void> {
    tries.push(batch.id);
    const failure = failures.shift();
    if (failure === undefined) return inner.commit(batch);
    if (failure === 'refused') throw new StoreError('refused', 'made to refuse');
    if (failure === 'unknown, not applied') throw new StoreError('unknown', 'made to fail');
    const applied = inner.commit(batch);
    const fail = (): never => {
      throw new StoreError('unknown', 'made to fail, though applied');
    };
    return applied instanceof Promise ? applied.then(fail) : fail();
  }

  return {
    name: `gated ${inner.name}`,
    durable: inner.durable,
    open: () => inner.open(),
    commit(batch) {
      if (gate === undefined) return commit(batch);
      waiting++;
      return gate.open.then(() => {
        waiting--;
        return commit(batch);
      });
    },
    topic: (name) => inner.topic(name),
    read: (topic, from, maxBytes) => inner.read(topic, from, maxBytes),
    get: (table, key) => inner.get(table, key),
    list: (table, options) => inner.list(table, options),
    topics: (options) => inner.topics(options),
    snapshot: () => inner.snapshot(),
    restore: (parts) => inner.restore(parts),
    close: () => inner.close(),
    hold() {
      let release = (): void => undefined;
      const open = new Promise<void>((resolve) => (release = resolve));
      gate = { open, release };
    },
    release() {
      gate?.release();
      gate = undefined;
    },
    held: () => until(() => waiting > 0),
    fail: (...more) => void failures.push(...more),
    tries,
  };
}
