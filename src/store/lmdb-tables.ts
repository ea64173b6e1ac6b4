/**
 * The store's four LMDB tables and the operations on them: log (chunks), topics (records), documents,
 * state (who wrote last, the counters). `apply` runs inside a transaction of lmdb.ts, whose abort
 * undoes it; the reads see the last commit.
 */
import { appended, checkNames, fits } from './batch.js';
import type { Database, Environment, Range, ReadTransaction } from './lmdb-engine.js';
import {
  afterPrefix,
  chunkKey,
  chunkRange,
  decodeBatch,
  decodeTopic,
  documentKey,
  documentName,
  encodeBatch,
  encodeTopic,
  maxKeyBytes,
  tableOf,
  topicKey,
  topicName,
  type BatchRecord,
  type StoredTopic,
} from './lmdb-records.js';
import type { SnapshotItem } from './snapshot.js';
import {
  NO_META,
  StoreError,
  type Batch,
  type ListOptions,
  type LogChunk,
  type Operation,
  type StoreMeta,
} from './store.js';

const lastBatch = Buffer.from('batch');

export class Tables {
  readonly state: Database;
  readonly #log: Database;
  readonly #topics: Database;
  readonly #documents: Database;

  constructor(root: Environment) {
    const table = (name: string): Database => root.openDB({ name, encoding: 'binary', keyEncoding: 'binary' });
    this.state = table('state');
    this.#log = table('log');
    this.#topics = table('topics');
    this.#documents = table('documents');
  }

  lastBatch(): BatchRecord | undefined {
    const bytes = this.state.getBinary(lastBatch);
    return bytes && decodeBatch(bytes);
  }

  putLastBatch(record: BatchRecord): void {
    this.state.put(lastBatch, encodeBatch(record));
  }

  clearLog(): void {
    this.#log.clearSync();
    this.#topics.clearSync();
  }

  /** All but who wrote last. */
  clear(): void {
    this.clearLog();
    this.#documents.clearSync();
  }

  /** Inside a transaction. Throws `refused` or `unusable`; does nothing when the batch was applied already. */
  apply(run: string, { id, operations, meta }: Batch): void {
    const last = this.lastBatch();
    // The fence behind the directory's lock: whoever opened the store last owns it.
    if (last?.run !== run) throw new StoreError('unusable', 'another server has opened this store since');
    if (id <= last.batch) return;
    const topics = new OpenTopics(this.#topics, last);
    for (const operation of operations) {
      checkNames(operation);
      this.#applyOne(operation, topics);
    }
    topics.write();
    this.putLastBatch({ run, batch: id, meta, nextTopicId: topics.nextId, topics: topics.total });
  }

  #applyOne(operation: Operation, topics: OpenTopics): void {
    switch (operation.type) {
      case 'append': {
        const { topic: name, chunk } = operation;
        const topic = topics.get(name);
        const record = appended(topic, operation);
        const id = topic?.id ?? topics.newId();
        topics.set(name, { id, ...record });
        this.#log.put(chunkKey(id, record.head, chunk.count), chunk.frame);
        break;
      }
      case 'trim': {
        const topic = topics.get(operation.topic);
        if (topic === undefined) break;
        const before = Math.min(Math.max(operation.before, topic.tail), topic.head + 1);
        const kept = chunkKey(topic.id, before, 0);
        this.#removeChunks(chunkKey(topic.id, topic.tail, 0), kept);
        const [oldest] = this.#log.getKeys({ start: kept, end: chunkKey(topic.id + 1, 0, 0), limit: 1 });
        topics.set(operation.topic, { ...topic, tail: oldest ? chunkRange(oldest).first : topic.head + 1 });
        break;
      }
      case 'drop': {
        const topic = topics.get(operation.topic);
        if (topic === undefined) break;
        this.#removeChunks(chunkKey(topic.id, 0, 0), chunkKey(topic.id + 1, 0, 0));
        topics.set(operation.topic, undefined);
        break;
      }
      case 'put':
        this.#documents.put(documentKey(operation.table, operation.key), operation.value);
        break;
      case 'delete':
        this.#documents.removeSync(documentKey(operation.table, operation.key));
        break;
    }
  }

  #removeChunks(start: Uint8Array, end: Uint8Array): void {
    // All keys first: the cursor must not stand on what is removed.
    for (const key of [...this.#log.getKeys({ start, end })]) this.#log.removeSync(key);
  }

  topic(name: string): StoredTopic | undefined {
    if (!fits('topic', name)) return undefined;
    const bytes = this.#topics.getBinary(topicKey(name));
    return bytes && decodeTopic(bytes);
  }

  read(name: string, from: number, maxBytes: number): LogChunk[] {
    const topic = this.topic(name);
    const chunks: LogChunk[] = [];
    if (topic === undefined || from > topic.head) return chunks;
    let bytes = 0;
    const start = chunkKey(topic.id, Math.max(from, topic.tail), 0);
    for (const { key, value } of this.#log.getRange({ start, end: chunkKey(topic.id + 1, 0, 0) })) {
      bytes += value.length;
      if (bytes > maxBytes && chunks.length > 0) break;
      chunks.push({ ...chunkRange(key), frame: value });
    }
    return chunks;
  }

  document(table: string, key: string): Uint8Array | undefined {
    return fits('table', table) && fits('key', key) ? this.#documents.getBinary(documentKey(table, key)) : undefined;
  }

  documents(table: string, { prefix = '', after, limit }: ListOptions): (readonly [string, Uint8Array])[] {
    if (!fits('table', table) || !fits('key', prefix)) return [];
    const range = pageRange(documentKey(table, prefix), after === undefined ? undefined : documentKey(table, after));
    if (range === undefined) return [];
    return Array.from(
      this.#documents.getRange({ ...range, limit }),
      ({ key, value }) => [documentName(table, key), value] as const,
    );
  }

  /** All of it as of the transaction, a page at a time: no cursor is left open while the reader rests. */
  *contents(transaction: ReadTransaction): Generator<SnapshotItem> {
    const last = this.state.getBinary(lastBatch, { transaction });
    yield { type: 'meta', meta: last === undefined ? NO_META : decodeBatch(last).meta };
    for (const { key, value } of pages(this.#topics, { start: FIRST, end: LAST, transaction })) {
      const { id, epoch, head, tail } = decodeTopic(value);
      yield { type: 'topic', name: topicName(key), record: { epoch, head, tail } };
      const range = { start: chunkKey(id, 0, 0), end: chunkKey(id + 1, 0, 0), transaction };
      for (const chunk of pages(this.#log, range)) {
        yield { type: 'chunk', chunk: { ...chunkRange(chunk.key), frame: chunk.value } };
      }
    }
    for (const { key, value } of pages(this.#documents, { start: FIRST, end: LAST, transaction })) {
      const table = tableOf(key);
      yield { type: 'document', table, key: documentName(table, key), value };
    }
  }

  /** Inside a transaction, into what was cleared. `filled`: how far it has come. */
  fill(
    items: readonly SnapshotItem[],
    filled: { topic: StoredTopic | undefined; meta: StoreMeta; topics: number },
  ): void {
    for (const item of items) {
      if (item.type === 'meta') filled.meta = item.meta;
      else if (item.type === 'document') this.#documents.put(documentKey(item.table, item.key), item.value);
      else if (item.type === 'topic') {
        filled.topic = { ...item.record, id: ++filled.topics };
        this.#topics.put(topicKey(item.name), encodeTopic(filled.topic));
      } else if (filled.topic !== undefined) {
        const { first, count, frame } = item.chunk;
        this.#log.put(chunkKey(filled.topic.id, first + count - 1, count), frame);
      }
    }
  }

  topicNames(after: string | undefined, limit: number): string[] {
    const range = pageRange(topicKey(''), after === undefined ? undefined : topicKey(after));
    return range === undefined ? [] : Array.from(this.#topics.getKeys({ ...range, limit }), topicName);
  }
}

const FIRST = Buffer.of(0);
const LAST = Buffer.of(0xff);
const PAGE = 64;

function* pages(table: Database, range: Range): Generator<{ readonly key: Uint8Array; readonly value: Uint8Array }> {
  for (let next: Range = { ...range, limit: PAGE }; ;) {
    const page = Array.from(table.getRange(next));
    yield* page;
    if (page.length < PAGE) return;
    next = { ...next, start: Buffer.from((page.at(-1) as { readonly key: Uint8Array }).key), exclusiveStart: true };
  }
}

/** The keys that begin with `prefix` and come after `after`; undefined when there can be none. */
function pageRange(
  prefix: Buffer,
  after: Buffer | undefined,
): { start: Buffer; end: Buffer; exclusiveStart: boolean } | undefined {
  const end = afterPrefix(prefix);
  if (after === undefined || Buffer.compare(after, prefix) < 0) return { start: prefix, end, exclusiveStart: false };
  if (Buffer.compare(after, end) >= 0) return undefined;
  // No stored key is as long as the limit, so a longer `after` can be cut: the same keys follow it.
  return { start: after.subarray(0, maxKeyBytes), end, exclusiveStart: true };
}

/** The topics a batch touches: each is read once and written once. */
class OpenTopics {
  readonly #table: Database;
  readonly #touched = new Map<string, { readonly before: StoredTopic | undefined; now: StoredTopic | undefined }>();
  nextId: number;
  total: number;

  constructor(table: Database, { nextTopicId, topics }: BatchRecord) {
    this.#table = table;
    this.nextId = nextTopicId;
    this.total = topics;
  }

  newId(): number {
    return this.nextId++;
  }

  get(name: string): StoredTopic | undefined {
    return this.#entry(name).now;
  }

  set(name: string, topic: StoredTopic | undefined): void {
    this.#entry(name).now = topic;
  }

  #entry(name: string): { readonly before: StoredTopic | undefined; now: StoredTopic | undefined } {
    let entry = this.#touched.get(name);
    if (entry === undefined) {
      const bytes = this.#table.getBinary(topicKey(name));
      const before = bytes && decodeTopic(bytes);
      this.#touched.set(name, (entry = { before, now: before }));
    }
    return entry;
  }

  write(): void {
    for (const [name, { before, now }] of this.#touched) {
      if (now === before) continue;
      if (now === undefined) this.#table.removeSync(topicKey(name));
      else this.#table.put(topicKey(name), encodeTopic(now));
      this.total += Number(now !== undefined) - Number(before !== undefined);
    }
  }
}
