/**
 * The store on disk: a batch is one LMDB transaction (lmdb-tables.ts says over what). Who calls it:
 * the hub, via Store.
 *
 * Durability: 'process' commits into the page cache, which survives `kill -9` of the server, and
 * flushes every second; a machine that dies may lose what was not flushed, or leave a damaged file,
 * which the next open tells. 'power' answers a commit only when the disk has it.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { oneOf } from '../protocol/setting.js';
import { damageOf } from './lmdb-check.js';
import { Contents } from './lmdb-contents.js';
import { openEngine, type Environment } from './lmdb-engine.js';
import { lockDirectory, type DirectoryLock } from './lmdb-lock.js';
import { dataFile, ensureDirectory, Place, requireAddressSpace } from './lmdb-place.js';
import { decodeStore, encodeStore, type StoreRecord } from './lmdb-records.js';
import { Tables } from './lmdb-tables.js';
import { readSnapshot, writeSnapshot } from './snapshot.js';
import {
  NO_META,
  SNAPSHOT_MS,
  StoreError,
  type Batch,
  type MaybePromise,
  type OpenedStore,
  type Store,
  type StoreMeta,
} from './store.js';

export interface LmdbOptions {
  /** Directory; made when missing. */
  readonly path: string;
  /** What a commit survives: the end of the process (default) or also a power cut. */
  readonly durability?: 'process' | 'power';
  /** Address space set aside at first, bytes; it grows with the store. Default 8 GiB. */
  readonly mapSize?: number;
  /** @internal Stands in for the machine's boot id in tests. */
  readonly bootId?: string;
}

export function lmdbStore({ path, durability = 'process', mapSize = 8 * 2 ** 30, bootId }: LmdbOptions): Store {
  oneOf('durability', durability, ['process', 'power']);
  let opened: Opened | undefined;
  const current = (): Opened => {
    if (opened === undefined) throw new Error('the store is not open');
    return opened;
  };
  return {
    name: 'lmdb',
    durable: true,
    file: dataFile(path),
    async open({ readable = () => true } = {}) {
      if (opened !== undefined) throw new Error('the store is open already');
      const settings = { path, durability, mapSize, bootId: bootId ?? machineBootId() };
      opened = await Opened.open(settings, readable);
      return opened.answer;
    },
    commit: (batch) => current().commit(batch),
    topic(name) {
      const topic = current().tables.topic(name);
      return topic && { epoch: topic.epoch, head: topic.head, tail: topic.tail };
    },
    read: (topic, from, maxBytes) => current().tables.read(topic, from, maxBytes),
    get: (table, key) => current().tables.document(table, key),
    list: (table, options) => current().tables.documents(table, options),
    topics({ after, limit }) {
      const { tables } = current();
      return { total: tables.lastBatch()?.topics ?? 0, names: tables.topicNames(after, limit) };
    },
    snapshot: () => current().snapshot(),
    restore: (parts) => current().restore(parts),
    onLost: (told) => current().onLost(told),
    async close() {
      const closing = opened;
      opened = undefined;
      await closing?.close();
    },
  };
}

const flushMs = 1_000;
const storeKey = Buffer.from('store');
type Readable = (document: Uint8Array) => boolean;
type Settings = Required<Omit<LmdbOptions, 'bootId'>> & { readonly bootId: string | null };

/** One opening of the directory: from the lock to the unlock. */
class Opened {
  readonly tables: Tables;
  readonly answer: OpenedStore;
  readonly #root: Environment;
  readonly #lock: DirectoryLock;
  readonly #settings: Settings;
  /** Batch ids count from one in every run: they mean nothing to another. */
  readonly #run = randomBytes(8).toString('latin1');
  readonly #record: StoreRecord;
  readonly #place: Place;
  /** Why it must not be used on. */
  #lost: StoreError | undefined;
  #onLost: ((why: StoreError) => void) | undefined;
  #dirty = false;
  /** It holds a part of a snapshot, or none of it. */
  #isFilling = false;
  #flushing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The commit in flight, which close waits for. */
  #commit: Promise<void> = Promise.resolve();

  static async open(settings: Settings, readable: Readable): Promise<Opened> {
    const { path } = settings;
    let lock: DirectoryLock | undefined;
    let root: Environment | undefined;
    try {
      ensureDirectory(path);
      lock = await lockDirectory(path);
      refuseDamage(path, readable);
      requireAddressSpace(path, settings.mapSize);
      root = openEngine({ path, noSync: settings.durability === 'process', mapSize: settings.mapSize });
      const opened = new Opened(root, lock, settings);
      // Before anything is told: a disk that still said "closed in order" would hide a later loss.
      await opened.#flush();
      opened.#lookEvery(flushMs);
      return opened;
    } catch (error) {
      await root?.close();
      await lock?.release(true);
      if (error instanceof StoreError) throw error;
      throw new StoreError('unusable', `the store at ${path} cannot be opened: ${messageOf(error)}`, error);
    }
  }

  private constructor(root: Environment, lock: DirectoryLock, settings: Settings) {
    this.#root = root;
    this.#lock = lock;
    this.#settings = settings;
    this.tables = new Tables(root);
    const { record, meta } = root.transactionSync(() => this.#takeOver());
    this.#record = record;
    this.#place = new Place(settings.path);
    this.answer = { generation: record.generation, meta };
  }

  /** Reads how the store was left and marks it as ours. */
  #takeOver(): { readonly record: StoreRecord; readonly meta: StoreMeta } {
    const { tables } = this;
    const { path, durability, bootId } = this.#settings;
    const bytes = tables.state.getBinary(storeKey);
    const left = bytes && decodeStore(bytes);
    if (left && left.format !== 1) {
      throw new StoreError(
        'unusable',
        `the store at ${path} has format ${String(left.format)}, this server knows 1: upgrade it`,
      );
    }
    const { ino, birthtimeMs } = statSync(dataFile(path));
    const file = `${ino}:${birthtimeMs}`;
    let last = tables.lastBatch() ?? { meta: NO_META, nextTopicId: 1, topics: 0 };
    let generation = left?.generation;
    if (left?.filling === true) tables.clear();
    if (left === undefined || generation === undefined || left.filling === true || mayHaveLost(left, file, bootId)) {
      generation = randomBytes(6).toString('base64url');
      // Epochs begin with the generation: nobody can ask for the logs of an old one.
      tables.clearLog();
      last = { ...last, topics: 0 };
    }
    const record: StoreRecord = { format: 1, generation, durability, bootId, clean: false, file };
    tables.state.put(storeKey, encodeStore(record));
    tables.putLastBatch({ ...last, run: this.#run, batch: 0 });
    return { record, meta: last.meta };
  }

  onLost(told: (why: StoreError) => void): void {
    this.#onLost = told;
    if (this.#lost !== undefined) told(this.#lost);
  }

  commit(batch: Batch): MaybePromise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#settings.durability === 'power') {
      const done = this.#commitFlushed(batch);
      this.#commit = done.catch(() => {});
      return done;
    }
    this.#dirty = true;
    try {
      this.#root.transactionSync(() => this.tables.apply(this.#run, batch));
    } catch (error) {
      if (this.#wasApplied(batch, error)) return;
      throw refused(error);
    }
  }

  async #commitFlushed(batch: Batch): Promise<void> {
    try {
      await this.#root.childTransaction(() => this.tables.apply(this.#run, batch));
    } catch (error) {
      // The engine hands the cause over as a second promise; unheard it would end the process.
      const cause = await (error as { commitError?: Promise<never> }).commitError?.catch((reason: unknown) => reason);
      if (!this.#wasApplied(batch, error)) throw refused(cause ?? error);
      this.#dirty = true;
    }
    const lost = this.#look();
    if (lost !== undefined) throw lost;
    if (!this.#dirty) return;
    // Visible after a failure, but perhaps not on the disk: not done until a flush succeeds.
    await this.#flush().catch((error: unknown) => {
      throw new StoreError('unknown', `the commit may not be on the disk: ${messageOf(error)}`, error);
    });
  }

  /** After a failure the store itself knows best. */
  #wasApplied(batch: Batch, error: unknown): boolean {
    if (error instanceof StoreError) return false;
    try {
      const last = this.tables.lastBatch();
      return last?.run === this.#run && last.batch >= batch.id;
    } catch (cause) {
      throw new StoreError('unknown', `the commit failed and the store does not answer: ${messageOf(error)}`, cause);
    }
  }

  async *snapshot(): AsyncGenerator<Uint8Array> {
    const transaction = this.#root.useReadTransaction();
    const until = performance.now() + SNAPSHOT_MS;
    try {
      for await (const part of writeSnapshot(this.tables.contents(transaction))) {
        if (performance.now() > until) throw new StoreError('refused', `a snapshot took more than ${SNAPSHOT_MS} ms`);
        yield part;
      }
    } finally {
      transaction.done();
    }
  }

  async restore(parts: AsyncIterable<Uint8Array>): Promise<void> {
    const { tables } = this;
    const filled = { topic: undefined, meta: NO_META, topics: 0 };
    const begin = (): void => {
      this.#isFilling = true;
      tables.state.put(storeKey, encodeStore({ ...this.#record, filling: true }));
      tables.clear();
      tables.putLastBatch({ run: this.#run, batch: 0, meta: NO_META, nextTopicId: 1, topics: 0 });
    };
    this.#dirty = true;
    this.#root.transactionSync(begin);
    try {
      for await (const items of readSnapshot(parts)) this.#root.transactionSync(() => tables.fill(items, filled));
    } catch (error) {
      this.#root.transactionSync(begin);
      throw error;
    }
    const { meta, topics } = filled;
    this.#root.transactionSync(() => {
      tables.putLastBatch({ run: this.#run, batch: 0, meta, nextTopicId: topics + 1, topics });
      tables.state.put(storeKey, encodeStore(this.#record));
      this.#isFilling = false;
    });
    await this.#flush();
  }

  #lookEvery(ms: number): void {
    this.#timer = setInterval(() => {
      if (this.#look() !== undefined) return;
      // A failure is tried again at the next turn and told by close.
      if (this.#dirty && this.#flushing === undefined) this.#flush().catch(() => {});
    }, ms).unref();
  }

  /** Whether the file is still at its place. */
  #look(): StoreError | undefined {
    if (this.#lost !== undefined) return this.#lost;
    this.#lost = this.#place.lost();
    if (this.#lost !== undefined) this.#onLost?.(this.#lost);
    return this.#lost;
  }

  async #flush(): Promise<void> {
    this.#dirty = false;
    this.#flushing = this.#sync();
    try {
      await this.#flushing;
    } catch (error) {
      this.#dirty = true;
      throw error;
    } finally {
      this.#flushing = undefined;
    }
  }

  #sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#root.sync((error) => (error ? reject(error) : resolve()));
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    try {
      // The engine must not close under a thread of its own.
      await Promise.allSettled([this.#commit, this.#flushing]);
      await this.#flush();
      this.#root.transactionSync(() => {
        if (this.tables.lastBatch()?.run === this.#run) {
          const filling = this.#isFilling ? ({ filling: true } as const) : {};
          this.tables.state.put(storeKey, encodeStore({ ...this.#record, ...filling, clean: true }));
        }
      });
      await this.#flush();
    } finally {
      await this.#root.close();
      await this.#lock.release(this.#place.lost() === undefined);
    }
  }
}

/** Rule 3: true when something may be gone that a client was told. */
function mayHaveLost(left: StoreRecord, file: string, bootId: string | null): boolean {
  // Not the file that was left: the directory was copied or a backup put back.
  if (left.file !== file) return true;
  if (left.clean || left.durability === 'power') return false;
  // The page cache outlives the process, not the machine.
  return left.bootId === null || left.bootId !== bootId;
}

function machineBootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Other systems name none: there an open that follows no close begins a new generation.
    return null;
  }
}

function refuseDamage(path: string, readable: Readable): void {
  const file = dataFile(path);
  const damage = existsSync(file) ? damageOf(file, new Contents(readable)) : undefined;
  if (damage === undefined) return;
  throw new StoreError('unusable', `${file} is damaged (${damage}): ${whatToDo(path)}`);
}

const whatToDo = (path: string): string => `restore a backup, or move ${path} away to begin with an empty store`;

function refused(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  return new StoreError('refused', `the commit failed and was undone: ${messageOf(error)}`, error);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
