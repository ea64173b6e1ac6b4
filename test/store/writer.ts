/** Commits to a store as the hub does: batch ids that grow, and the same batch again while its outcome is open. */
import {
  StoreError,
  type Batch,
  type LogChunk,
  type Operation,
  type Store,
  type StoreMeta,
} from '../../src/store/store.js';

export const bytes = (text: string): Buffer => Buffer.from(text);

export function chunk(first: number, count: number, text = `${first}+${count}`): LogChunk {
  return { first, count, frame: bytes(text) };
}

export function append(topic: string, first: number, count = 1, epoch = 'e1'): Operation {
  return { type: 'append', topic, epoch, chunk: chunk(first, count) };
}

export const put = (table: string, key: string, value = key): Operation => ({
  type: 'put',
  table,
  key,
  value: bytes(value),
});

export class Writer {
  readonly store: Store;
  #id = 0;
  meta: StoreMeta = { time: 0, counter: 0, incarnation: 0 };

  constructor(store: Store) {
    this.store = store;
  }

  /** Commits in the end, whatever fails on the way. */
  async commit(...operations: Operation[]): Promise<Batch> {
    const batch = { id: ++this.#id, operations, meta: this.meta };
    for (let tries = 0; (await this.attempt(batch)) !== undefined; tries++) {
      if (tries === 100) throw new Error('the store refuses a good batch');
    }
    return batch;
  }

  /** Commits what must be refused; answers the error. */
  async refused(...operations: Operation[]): Promise<StoreError | undefined> {
    return this.attempt({ id: ++this.#id, operations, meta: this.meta });
  }

  /** One batch until its outcome is known; undefined when it was applied. */
  async attempt(batch: Batch): Promise<StoreError | undefined> {
    for (;;) {
      try {
        await this.store.commit(batch);
        return undefined;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        if (error.kind !== 'unknown') return error;
      }
    }
  }
}
