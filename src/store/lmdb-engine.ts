/**
 * The part of the `lmdb` package that the store uses, as a narrow interface of our own, and the
 * options it must be opened with. Who calls it: lmdb.ts.
 */
import { createRequire } from 'node:module';
import { StoreError } from './store.js';

export interface Range {
  readonly start: Uint8Array;
  readonly end?: Uint8Array;
  readonly exclusiveStart?: boolean;
  readonly limit?: number;
  readonly transaction?: ReadTransaction;
}

/** The store as of when it began, whatever is committed since. What is deleted meanwhile is not freed. */
export interface ReadTransaction {
  /** Lets go of it. */
  done(): void;
}

/** Keys and values are bytes. Inside a transaction's callback `put` and `removeSync` take effect at once. */
export interface Database {
  /** A copy: getBinaryFast would hand out one buffer again and again. */
  getBinary(key: Uint8Array, options?: { readonly transaction: ReadTransaction }): Uint8Array | undefined;
  getRange(range: Range): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>;
  getKeys(range: Range): Iterable<Uint8Array>;
  put(key: Uint8Array, value: Uint8Array): unknown;
  removeSync(key: Uint8Array): boolean;
  clearSync(): void;
}

export interface Environment {
  openDB(options: { readonly name: string; readonly encoding: 'binary'; readonly keyEncoding: 'binary' }): Database;
  /** Commits before it returns; whatever the callback throws undoes it all. */
  transactionSync<T>(callback: () => T): T;
  /**
   * Commits and flushes on a thread of its own. A plain `transaction` would keep the writes that came
   * before an exception in the callback; a child transaction does not.
   */
  childTransaction<T>(callback: () => T): Promise<T>;
  useReadTransaction(): ReadTransaction;
  /** Flushes on a thread of its own. Not in the package's types. */
  sync(done: (error?: Error) => void): void;
  close(): Promise<void>;
}

interface Lmdb {
  open(options: object): Environment;
}

export interface EngineOptions {
  readonly path: string;
  readonly noSync: boolean;
  readonly mapSize: number;
}

export function openEngine({ path, noSync, mapSize }: EngineOptions): Environment {
  return load().open({
    path,
    // Otherwise a directory with a dot in its name is taken for a file.
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    noSync,
    // It keeps a third header that a later open with noSync would not read.
    overlappingSync: false,
    // One commit is one transaction already; waiting for the turn's end only adds latency.
    eventTurnBatching: false,
    // Address space, not disk, and it grows by itself.
    mapSize,
    maxDbs: 8,
  });
}

function load(): Lmdb {
  try {
    return createRequire(import.meta.url)('lmdb') as Lmdb;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
    const why = missing
      ? 'the package lmdb is not installed. Install it (npm install lmdb)'
      : `the package lmdb has no binary for ${process.platform}-${process.arch} here. Install its optional dependencies too ` +
        '(npm install --include=optional)';
    throw new StoreError(
      'unusable',
      `${why}, or keep nothing: roomwire serve --memory, memoryStore() in a program`,
      error,
    );
  }
}
