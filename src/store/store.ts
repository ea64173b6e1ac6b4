/**
 * What the hub asks of a store: one atomic `commit` of a tick's operations, and reads.
 * Memory and LMDB answer synchronously, others may answer with a promise: every method is
 * `MaybePromise`, and callers must be right for both. Who calls it: server/hub only.
 */
export type MaybePromise<T> = T | Promise<T>;

/** A snapshot that takes longer is given up. */
export const SNAPSHOT_MS = 120_000;

/** UTF-8 bytes of what a batch may name. Longer names are refused, the same by every store. */
export const storeLimits = { key: 1_900, table: 64, topic: 1_900 } as const;

/** What the store remembers of a topic that was ever written. */
export interface TopicRecord {
  readonly epoch: string;
  /** Offset of the newest event; the first event of an epoch has offset 1. */
  readonly head: number;
  /** Offset of the oldest event that can still be read; head + 1 when there is none. */
  readonly tail: number;
}

/** Some consecutive events of one topic as one ready-to-send EVENTS frame. Nobody changes the bytes. */
export interface LogChunk {
  readonly first: number;
  readonly count: number;
  readonly frame: Uint8Array;
  /** Of the latest ones, in memory only and for diagnosis: when they were committed (store time, ms), and for how many. */
  at?: number | undefined;
  matched?: number | undefined;
}

/**
 * One step of a commit. Documents live in named tables, keyed by string, ordered by the bytes of
 * the key; the hub owns their encoding.
 */
export type Operation =
  /** Adds a chunk to a topic's log. `first` must be `head + 1` (or 1 when the topic is new), the epoch the topic's own. */
  | { readonly type: 'append'; readonly topic: string; readonly epoch: string; readonly chunk: LogChunk }
  /** Forgets the chunks that end before `before`; `tail` becomes the first offset kept. An unknown topic is no error. */
  | { readonly type: 'trim'; readonly topic: string; readonly before: number }
  /** Forgets the topic and its log. An unknown topic is no error. */
  | { readonly type: 'drop'; readonly topic: string }
  | { readonly type: 'put'; readonly table: string; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'delete'; readonly table: string; readonly key: string };

export interface Batch {
  /** Grows by one with every batch of this process. A repeated id is the same batch, retried. */
  readonly id: number;
  readonly operations: readonly Operation[];
  readonly meta: StoreMeta;
}

/** Small facts that are written with every batch. */
export interface StoreMeta {
  /** The clock's high-water mark, ms: time never runs behind it, even across restarts. */
  readonly time: number;
  /** Store-wide counter behind versions and fencing tokens; never goes back. */
  readonly counter: number;
  /** Counts dropped topics, so that a topic made again gets a new epoch. */
  readonly incarnation: number;
}

/** Of a store that nothing was ever written to. */
export const NO_META: StoreMeta = { time: 0, counter: 0, incarnation: 0 };

export interface ListOptions {
  readonly prefix?: string;
  /** Only keys greater than this one. */
  readonly after?: string;
  readonly limit: number;
}

export interface OpenOptions {
  /** Whether a document's bytes are what the hub writes: a store that reads a file refuses one that is not. */
  readonly readable?: (document: Uint8Array) => boolean;
}

export interface OpenedStore {
  /** New whenever this store may have lost something it told; part of every epoch. */
  readonly generation: string;
  /** As of the last commit; zeros for a new store. */
  readonly meta: StoreMeta;
  /** Store time now, ms, where another server ran on until a moment ago: the wall clock is not asked. */
  readonly now?: number;
}

export interface Store {
  readonly name: string;
  /** Whether a commit survives `kill -9`. */
  readonly durable: boolean;
  /** The file it reads, for messages; undefined: none. */
  readonly file?: string;
  /** Called once before anything else. Rejects with a one-line reason (see StoreError). */
  open(options?: OpenOptions): MaybePromise<OpenedStore>;
  /**
   * Applies all operations or none. Throws (or rejects with) a StoreError: `refused` means nothing
   * was applied, now or by an earlier try; `unknown` means it may have been, and the caller repeats
   * the same batch until it knows; `unusable` means another server took the store over: stop. A batch
   * whose id was applied already is not applied again. One commit at a time. Arrays and bytes must stay
   * as they are until it is done, frames for ever (memory keeps them by reference).
   */
  commit(batch: Batch): MaybePromise<void>;
  /**
   * Resolves when nobody else can have committed since the last commit or confirmation: what is read is still true. Throws
   * `unusable` when another server took over. A store that only one server can have open needs none.
   */
  confirm?(): MaybePromise<void>;
  topic(name: string): MaybePromise<TopicRecord | undefined>;
  /**
   * Chunks of a topic in order, the first one holding `from` or, when that is trimmed, the oldest
   * kept; stops before the chunk that would exceed `maxBytes` (always at least one chunk when there
   * is one). A chunk's bytes are the caller's to keep, not to change.
   */
  read(topic: string, from: number, maxBytes: number): MaybePromise<readonly LogChunk[]>;
  /** A document's bytes, the caller's to keep, not to change. */
  get(table: string, key: string): MaybePromise<Uint8Array | undefined>;
  /** Documents ordered by key. */
  list(table: string, options: ListOptions): MaybePromise<readonly (readonly [key: string, value: Uint8Array])[]>;
  /** Number of topics that have a record, at most `limit` of their names from `after` on. */
  topics(options: {
    readonly after?: string;
    readonly limit: number;
  }): MaybePromise<{ readonly total: number; readonly names: readonly string[] }>;
  /**
   * All that the store holds as of now, in parts that \`restore\` of any store takes (snapshot.ts), also while commits go on.
   * Throws \`refused\` when it takes longer than SNAPSHOT_MS: what was deleted meanwhile cannot be freed.
   */
  snapshot(): AsyncIterable<Uint8Array>;
  /**
   * In place of all that the store holds; it is open, and nobody commits meanwhile. Where it fails, or the process ends on
   * the way, the store is empty. Rejects with \`unusable\` for a snapshot that is not whole.
   */
  restore(parts: AsyncIterable<Uint8Array>): Promise<void>;
  /** Calls `told` once when the store finds that it must not be used on, also while nobody commits. */
  onLost?(told: (why: StoreError) => void): void;
  /** Flushes what the durability mode still holds back and lets go of files and locks. */
  close(): MaybePromise<void>;
}

export type StoreErrorKind =
  /** Nothing was applied; the same work may be tried again. */
  | 'refused'
  /** It may have been applied: repeat the same batch. */
  | 'unknown'
  /** The store cannot be opened or used on: locked or taken over by another server, unwritable, corrupt. */
  | 'unusable';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: StoreErrorKind;
  constructor(kind: StoreErrorKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}
