/**
 * The store without a disk: topics as arrays of chunks, tables as maps with lazily sorted keys.
 * It forgets everything at the end of the process, so every open is a new generation.
 */
import { randomBytes } from 'node:crypto';
import { appended, checkNames } from './batch.js';
import { compareKeys } from './key-order.js';
import { readSnapshot, writeSnapshot, type SnapshotItem } from './snapshot.js';
import {
  NO_META,
  type Batch,
  type ListOptions,
  type LogChunk,
  type Operation,
  type Store,
  type StoreMeta,
  type TopicRecord,
} from './store.js';

interface Topic {
  record: TopicRecord;
  readonly chunks: LogChunk[];
}

export function memoryStore(): Store {
  const topics = new Map<string, Topic>();
  const topicNames = new SortedKeys(topics);
  const tables = new Map<string, Table>();
  let lastBatch = 0;
  let meta: StoreMeta = NO_META;

  function clear(): void {
    topics.clear();
    topicNames.clear();
    tables.clear();
    meta = NO_META;
  }

  /** Everything that can be refused is refused here, before `apply` changes anything. */
  function check(operations: readonly Operation[]): void {
    // What earlier operations of the batch make of a topic: nothing to remember for one that is alone.
    const planned = operations.length > 1 ? new Map<string, TopicRecord | undefined>() : undefined;
    for (const operation of operations) {
      checkNames(operation);
      if (operation.type === 'append') {
        const { topic } = operation;
        const record = planned?.has(topic) === true ? planned.get(topic) : topics.get(topic)?.record;
        const after = appended(record, operation);
        planned?.set(topic, after);
      } else if (operation.type === 'drop') {
        planned?.set(operation.topic, undefined);
      }
    }
  }

  function apply(operation: Operation): void {
    switch (operation.type) {
      case 'append': {
        const topic = topics.get(operation.topic);
        const record = appended(topic?.record, operation);
        if (topic === undefined) {
          topics.set(operation.topic, { record, chunks: [operation.chunk] });
          topicNames.add(operation.topic);
        } else {
          topic.record = record;
          topic.chunks.push(operation.chunk);
        }
        break;
      }
      case 'trim': {
        const topic = topics.get(operation.topic);
        if (topic === undefined) break;
        topic.chunks.splice(0, chunkIndex(topic.chunks, operation.before));
        topic.record = { ...topic.record, tail: topic.chunks[0]?.first ?? topic.record.head + 1 };
        break;
      }
      case 'drop':
        if (topics.delete(operation.topic)) topicNames.delete(operation.topic);
        break;
      case 'put': {
        let table = tables.get(operation.table);
        if (table === undefined) tables.set(operation.table, (table = new Table()));
        table.put(operation.key, operation.value);
        break;
      }
      case 'delete':
        tables.get(operation.table)?.delete(operation.key);
        break;
    }
  }

  return {
    name: 'memory',
    durable: false,
    open() {
      clear();
      lastBatch = 0;
      const generation = randomBytes(6).toString('base64url');
      return { generation, meta };
    },
    commit(batch: Batch) {
      const { id, operations } = batch;
      if (id <= lastBatch) return;
      check(operations);
      for (const operation of operations) apply(operation);
      lastBatch = id;
      meta = batch.meta;
    },
    topic: (name) => topics.get(name)?.record,
    read(name, from, maxBytes) {
      const chunks = topics.get(name)?.chunks ?? [];
      const found: LogChunk[] = [];
      let bytes = 0;
      for (let i = chunkIndex(chunks, from); i < chunks.length; i++) {
        const chunk = chunks[i] as LogChunk;
        bytes += chunk.frame.length;
        if (bytes > maxBytes && found.length > 0) break;
        found.push(chunk);
      }
      return found;
    },
    get: (table, key) => tables.get(table)?.get(key),
    list: (table, options) => tables.get(table)?.list(options) ?? [],
    topics({ after, limit }) {
      return { total: topics.size, names: [...topicNames.page({ after, limit })] };
    },
    snapshot: () => writeSnapshot(contents({ topics, tables, meta })),
    async restore(parts) {
      clear();
      try {
        let topic: Topic | undefined;
        for await (const items of readSnapshot(parts)) {
          for (const item of items) {
            if (item.type === 'meta') ({ meta } = item);
            else if (item.type === 'topic') {
              topics.set(item.name, (topic = { record: item.record, chunks: [] }));
              topicNames.add(item.name);
            } else if (item.type === 'chunk') topic?.chunks.push(item.chunk);
            else apply({ ...item, type: 'put' });
          }
        }
      } catch (error) {
        clear();
        throw error;
      }
    },
    close() {},
  };
}

/** As of now: what changes later is replaced there, and only cut or grows here. */
function contents({
  topics,
  tables,
  meta,
}: {
  readonly topics: ReadonlyMap<string, Topic>;
  readonly tables: ReadonlyMap<string, Table>;
  readonly meta: StoreMeta;
}): Iterable<SnapshotItem> {
  const logs = Array.from(topics, ([name, { record, chunks }]) => ({ name, record, chunks: [...chunks] }));
  const documents = Array.from(tables, ([table, { values }]) => ({ table, values: [...values] }));
  return (function* () {
    yield { type: 'meta', meta } as const;
    for (const { name, record, chunks } of logs) {
      yield { type: 'topic', name, record } as const;
      for (const chunk of chunks) yield { type: 'chunk', chunk } as const;
    }
    for (const { table, values } of documents) {
      for (const [key, value] of values) {
        yield { type: 'document', table, key, value: Buffer.from(value, 'latin1') } as const;
      }
    }
  })();
}

/** Index of the first chunk that does not end before `offset`. */
function chunkIndex(chunks: readonly LogChunk[], offset: number): number {
  return lowerBound(chunks.length, (i) => {
    const { first, count } = chunks[i] as LogChunk;
    return first + count - 1 < offset;
  });
}

/**
 * Documents are kept as strings of one character a byte: a small one costs a fifth of what an array
 * of bytes does beside its contents.
 */
class Table {
  readonly values = new Map<string, string>();
  readonly #keys = new SortedKeys(this.values);

  put(key: string, value: Uint8Array): void {
    if (!this.values.has(key)) this.#keys.add(key);
    this.values.set(key, Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1'));
  }

  get(key: string): Uint8Array | undefined {
    const value = this.values.get(key);
    return value === undefined ? undefined : Buffer.from(value, 'latin1');
  }

  delete(key: string): void {
    if (this.values.delete(key)) this.#keys.delete(key);
  }

  list(options: ListOptions): (readonly [string, Uint8Array])[] {
    return Array.from(this.#keys.page(options), (key) => [key, this.get(key) as Uint8Array] as const);
  }
}

/**
 * The keys of a map in the order of their UTF-8 bytes. Writes only take notes; the next page pays:
 * little for a few new keys, one sort after many. A deleted key stays as a gap until gaps are half, whether or not there is
 * ever a page: most tables have none.
 */
class SortedKeys {
  readonly #live: { has(key: string): boolean };
  #sorted: string[] = [];
  #added: string[] = [];
  readonly #gaps = new Set<string>();

  constructor(live: { has(key: string): boolean }) {
    this.#live = live;
  }

  add(key: string): void {
    if (!this.#gaps.delete(key)) this.#added.push(key);
  }

  delete(key: string): void {
    this.#gaps.add(key);
    if (this.#gaps.size * 2 <= this.#sorted.length + this.#added.length) return;
    const isLive = (each: string): boolean => this.#live.has(each);
    this.#sorted = this.#sorted.filter(isLive);
    this.#added = this.#added.filter(isLive);
    this.#gaps.clear();
  }

  clear(): void {
    this.#sorted = [];
    this.#added = [];
    this.#gaps.clear();
  }

  *page({ prefix = '', after, limit }: ListOptions): Generator<string> {
    this.#settle();
    const keys = this.#sorted;
    let i = lowerBound(keys.length, (at) => compareKeys(keys[at] as string, prefix) < 0);
    if (after !== undefined) {
      i = Math.max(
        i,
        lowerBound(keys.length, (at) => compareKeys(keys[at] as string, after) <= 0),
      );
    }
    for (let left = limit; left > 0 && i < keys.length; i++) {
      const key = keys[i] as string;
      if (!key.startsWith(prefix)) return;
      if (!this.#live.has(key)) continue;
      left--;
      yield key;
    }
  }

  #settle(): void {
    const added = this.#added;
    if (added.length > 0) {
      this.#added = [];
      if (added.length <= 8) {
        for (const key of added) {
          const sorted = this.#sorted;
          const at = lowerBound(sorted.length, (i) => compareKeys(sorted[i] as string, key) < 0);
          sorted.splice(at, 0, key);
        }
      } else {
        // The built-in sort finds the run that is sorted already and merges: near linear.
        this.#sorted = this.#sorted.concat(added.sort(compareKeys)).sort(compareKeys);
      }
    }
  }
}

/** First index for which `before` no longer holds. */
function lowerBound(length: number, before: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (before(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
