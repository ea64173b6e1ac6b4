/**
 * A tick's batch while it is being put together: what its entries have read, written and appended
 * so far, on top of the store as of the last commit. Nothing here is visible to anyone until the
 * commit is done; if it fails, the stage is thrown away and nothing happened.
 */
import { decodeScanned } from '../../protocol/codec.js';
import type { Value } from '../../protocol/frames.js';
import { fits } from '../../store/batch.js';
import { compareKeys } from '../../store/key-order.js';
import { isPromise } from '../../store/promise.js';
import type { Batch, ListOptions, LogChunk, MaybePromise, Operation, Store, StoreMeta } from '../../store/store.js';
import { KEPT_ROWS, type DecodedDocuments } from './documents.js';
import { chunksOf } from './events-frame.js';
import { StagedSessions } from './staged-sessions.js';
import { StagedTable } from './staged-table.js';
import type { Topic } from './topic.js';

/** Thrown through a transaction whose read the store answers later; the hub waits, then runs it again. */
export class Suspended extends Error {
  readonly until: Promise<unknown>;
  constructor(until: Promise<unknown>) {
    super('a read of this transaction comes later: let this error through');
    this.until = until;
  }
}

/** What the batch adds to one topic. */
export interface StagedTopic {
  readonly topic: Topic;
  items: Uint8Array[];
  chunks: readonly LogChunk[];
  dropped: boolean;
}

/** Of a topic without events yet. */
const NONE: never[] = [];
/** Up to so many are looked through; for more there is an index. */
const FEW = 8;

/** The topics of a batch by name, in the order in which it touched them. Most batches touch one. */
class StagedTopics {
  readonly all: StagedTopic[] = [];
  #index: Map<string, number> | undefined;

  get(name: string): StagedTopic | undefined {
    const { all } = this;
    if (this.#index !== undefined) return all[this.#index.get(name) ?? -1];
    for (let i = 0; i < all.length; i++) if (all[i]?.topic.name === name) return all[i];
    return undefined;
  }

  add(staged: StagedTopic): StagedTopic {
    const count = this.all.push(staged);
    if (count > FEW) this.#index ??= new Map(this.all.map(({ topic }, i) => [topic.name, i]));
    this.#index?.set(staged.topic.name, count - 1);
    return staged;
  }

  /** Another one stands for the name. */
  replace(staged: StagedTopic): void {
    this.all[this.all.findIndex(({ topic }) => topic.name === staged.topic.name)] = staged;
  }
}

export interface TopicSource {
  /** The topic's object while it is in memory. */
  get(name: string): Topic | undefined;
  /** The topic's object, loaded from the store or new with this incarnation. */
  load(name: string, incarnation: number): MaybePromise<Topic>;
  create(name: string, incarnation: number): Topic;
}

export interface HistoryLimits {
  readonly historyEvents: number;
  readonly historyBytes: number;
}

export class Stage {
  readonly #store: Store;
  readonly #source: TopicSource;
  readonly #meta: StoreMeta;
  readonly #committed: DecodedDocuments;
  /** Undefined until one is written: a lone event's batch is to cost no more than it must. */
  #documents: Map<string, StagedTable> | undefined;
  /** Asynchronous reads of this batch that have arrived. No other commit is in flight: they stay true. */
  #read: Map<string, unknown> | undefined;
  readonly #topics = new StagedTopics();
  /** Topics dropped in this batch, in order; their operations come before any later topic of that name. */
  #dropped: StagedTopic[] | undefined;
  /** How to take back what the running transaction did, newest last. */
  #undo: (() => void)[] | undefined;
  /** The read that the running transaction waits for. */
  #suspended: Suspended | undefined;
  #sessions: StagedSessions | undefined;
  /** Commit even when nothing changed: to learn whether the store answers. */
  mustCommit = false;
  /** Filled by `seal`. */
  readonly #trims: { readonly topic: Topic; readonly before: number }[] = [];
  counter: number;
  incarnation: number;

  constructor(store: Store, source: TopicSource, meta: StoreMeta, committed: DecodedDocuments) {
    this.#store = store;
    this.#source = source;
    this.#meta = meta;
    this.#committed = committed;
    this.counter = meta.counter;
    this.incarnation = meta.incarnation;
  }

  get sessions(): StagedSessions {
    return (this.#sessions ??= new StagedSessions((undo) => this.#undo?.push(undo)));
  }

  /** Every topic the batch touches, the dropped ones first. */
  get topics(): readonly StagedTopic[] {
    const { all } = this.#topics;
    return this.#dropped === undefined ? all : [...this.#dropped, ...all];
  }

  /** May throw Suspended. */
  topic(name: string): StagedTopic {
    const staged = this.#topics.get(name);
    if (staged !== undefined) return staged;
    const topic =
      this.#source.get(name) ?? this.#await(`topic\0${name}`, () => this.#source.load(name, this.incarnation));
    return this.#topics.add({ topic, items: NONE, chunks: NONE, dropped: false });
  }

  append(name: string, item: Uint8Array): StagedTopic {
    const staged = this.topic(name);
    if (staged.items.length === 0) staged.items = [item];
    else staged.items.push(item);
    this.#undo?.push(() => staged.items.pop());
    return staged;
  }

  drop(name: string): void {
    const staged = this.topic(name);
    staged.dropped = true;
    const dropped = (this.#dropped ??= []);
    dropped.push(staged);
    this.incarnation++;
    const topic = this.#source.create(name, this.incarnation);
    this.#topics.replace({ topic, items: NONE, chunks: NONE, dropped: false });
    this.#undo?.push(() => {
      staged.dropped = false;
      dropped.pop();
      this.#topics.replace(staged);
    });
  }

  /** Runs one entry's work; when it throws, the batch is as it was before. */
  attempt<T>(work: () => T): T {
    const { counter, incarnation } = this;
    this.#undo = [];
    this.#suspended = undefined;
    try {
      const result = work();
      // Something in between swallowed it: what was made of the missing read must not be committed.
      if (this.#suspended !== undefined) throw this.#suspended as Suspended;
      return result;
    } catch (error) {
      for (const undo of this.#undo.reverse()) undo();
      this.counter = counter;
      this.incarnation = incarnation;
      throw error;
    } finally {
      this.#undo = undefined;
    }
  }

  get(table: string, key: string): Value | undefined {
    const written = this.#documents?.get(table)?.get(key);
    if (written === null) return undefined;
    const bytes = written ?? this.#stored(table, key);
    return bytes === undefined ? undefined : decodeScanned(bytes, 0);
  }

  #stored(table: string, key: string): Uint8Array | undefined {
    return this.#await(`get\0${table}\0${key}`, () => this.#store.get(table, key));
  }

  /** As `get`, shared by all who read it and frozen. */
  read(table: string, key: string): Value | undefined {
    const documents = this.#documents?.get(table);
    const written = documents?.get(key);
    if (written === null) return undefined;
    if (written !== undefined) return documents?.read(key, written);
    const known = this.#committed.known(table, key);
    return known === undefined ? this.#committed.decoded(table, key, this.#stored(table, key)) : known.value;
  }

  /** `value` null deletes. Throws RangeError for names that no store takes: the store would refuse the whole batch. */
  set(table: string, key: string, value: Uint8Array | null): void {
    // A durable store would keep it under another key, with U+FFFD.
    if (/\p{Surrogate}/u.test(key)) throw new RangeError(`a key in table '${table}' has a lone surrogate`);
    if (!fits('table', table) || !fits('key', key)) throw new RangeError(`the key in table '${table}' is too long`);
    const tables = (this.#documents ??= new Map<string, StagedTable>());
    const written = tables.get(table) ?? new StagedTable();
    tables.set(table, written);
    const earlier = written.get(key);
    written.set(key, value);
    this.#undo?.push(() => {
      if (earlier === undefined) written.unset(key);
      else written.set(key, earlier);
    });
  }

  list(table: string, prefix: string, after: string, limit: number): [string, Value][] {
    const changes = this.#documents?.get(table)?.range(prefix, after) ?? [];
    // Deleted ones may hide as many stored ones: ask for that many more.
    const wanted = limit + changes.filter(([, value]) => value === null).length;
    const stored = this.#listed(table, { prefix, after, limit: wanted });
    const rows = new Map<string, Uint8Array>(stored);
    const last = stored.length < wanted ? undefined : stored.at(-1)?.[0];
    for (const [key, value] of changes) {
      if (value === null) rows.delete(key);
      else if (last === undefined || compareKeys(key, last) <= 0) rows.set(key, value);
    }
    const ordered = [...rows];
    if (changes.length > 0) ordered.sort(([a], [b]) => compareKeys(a, b));
    return ordered.slice(0, limit).map(([key, value]) => [key, decodeScanned(value, 0)]);
  }

  /** The first `limit` rows under a prefix; the values are shared by all who read them and frozen, where there are not too many. */
  readList(table: string, prefix: string, limit: number): [string, Value][] {
    let committed = this.#committed.knownRows(table, prefix);
    if (committed === undefined) {
      const wanted = KEPT_ROWS + 1;
      const stored = this.#listed(table, { prefix, after: '', limit: wanted });
      if (stored.length === wanted) return this.list(table, prefix, '', limit);
      committed = this.#committed.decodedRows(table, prefix, stored);
    }
    const { keys, values } = committed;
    const written = this.#documents?.get(table);
    const changes = written?.range(prefix, '') ?? [];
    const rows: [string, Value][] = [];
    let i = 0;
    for (const [key, value] of changes) {
      while (i < keys.length && compareKeys(keys[i] as string, key) < 0)
        rows.push([keys[i] as string, values[i++] as Value]);
      if (keys[i] === key) i++;
      if (value !== null) rows.push([key, (written as StagedTable).read(key, value)]);
    }
    while (i < keys.length) rows.push([keys[i] as string, values[i++] as Value]);
    return rows.length > limit ? rows.slice(0, limit) : rows;
  }

  #listed(table: string, options: Required<ListOptions>): readonly (readonly [string, Uint8Array])[] {
    const { prefix, after, limit } = options;
    return this.#await(`list\0${table}\0${prefix}\0${after}\0${limit}`, () => this.#store.list(table, options));
  }

  /** Resolves what an entry waits for, under a name of its own, so that its second run finds it. */
  #await<T>(name: string, read: () => MaybePromise<T>): T {
    if (this.#read?.has(name) === true) return this.#read.get(name) as T;
    const value = read();
    if (!isPromise(value)) return value;
    const arrived = (this.#read ??= new Map<string, unknown>());
    this.#suspended = new Suspended(value.then((answer) => arrived.set(name, answer)));
    throw this.#suspended;
  }

  /** The commit is done. */
  committed(): void {
    if (this.#documents === undefined) return;
    for (const [table, documents] of this.#documents) {
      for (const [key, value] of documents.entries()) this.#committed.committed(table, key, value);
    }
  }

  /** The batch's operations; from here on its events have their frames. */
  seal(limits: HistoryLimits): readonly Operation[] {
    const operations: Operation[] = [];
    for (const staged of this.#dropped ?? []) {
      this.#frame(staged);
      operations.push({ type: 'drop', topic: staged.topic.name });
    }
    for (const staged of this.#topics.all) {
      if (staged.items.length === 0) continue;
      this.#frame(staged);
      const { topic, chunks } = staged;
      for (const chunk of chunks) operations.push({ type: 'append', topic: topic.name, epoch: topic.epoch, chunk });
      const before = this.#trimBefore(staged, limits);
      if (before <= topic.tail) continue;
      operations.push({ type: 'trim', topic: topic.name, before });
      this.#trims.push({ topic, before });
    }
    for (const [table, documents] of this.#documents ?? []) {
      for (const [key, value] of documents.entries()) {
        operations.push(value === null ? { type: 'delete', table, key } : { type: 'put', table, key, value });
      }
    }
    return operations;
  }

  batch(id: number, operations: readonly Operation[], time: number): Batch {
    return { id, operations, meta: { time, counter: this.counter, incarnation: this.incarnation } };
  }

  /** Whether there is something to commit beside the operations, such as a counter that moved. */
  get metaChanged(): boolean {
    return this.mustCommit || this.counter !== this.#meta.counter || this.incarnation !== this.#meta.incarnation;
  }

  #frame(staged: StagedTopic): void {
    const { topic, items } = staged;
    staged.chunks = chunksOf(topic.ring, topic.name, topic.head + 1, items);
  }

  /** The topics have grown. */
  trimmed(): void {
    for (const { topic, before } of this.#trims) {
      // An estimate will do: it only decides when to trim next. After a restart it counts from 0 again.
      topic.logBytes *= (topic.head - before + 1) / (topic.head - topic.tail + 1);
      topic.tail = before;
    }
  }

  /** Trims a quarter more than it must, so that not every tick trims. */
  #trimBefore({ topic, items, chunks }: StagedTopic, { historyEvents, historyBytes }: HistoryLimits): number {
    const head = topic.head + items.length;
    const kept = head - topic.tail + 1;
    const bytes = topic.logBytes + chunks.reduce((sum, chunk) => sum + chunk.frame.length, 0);
    let before = topic.tail;
    if (kept > historyEvents * 1.25) before = head - historyEvents + 1;
    if (bytes > historyBytes * 1.25) before = Math.max(before, topic.tail + Math.ceil(kept / 2));
    // Never into this batch: its subscribers have not seen it yet.
    return Math.min(before, topic.head + 1);
  }
}
