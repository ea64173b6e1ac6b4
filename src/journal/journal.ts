/**
 * The log that several nodes share: numbered records that only ever grow at the end. An append names the
 * number that it follows, so of two writers one wins, and the log is the election. Each record carries a
 * hash that is chained over all records before it: a log that lost or changed its end is found by whoever
 * knew that end. Who calls it: replicatedStore, and `roomwire cluster check`. Behind it: PostgreSQL, NATS; in tests, memory.
 */
import { createHash } from 'node:crypto';
import { StoreError, type MaybePromise } from '../store/store.js';

export interface JournalRecord {
  /** 1 for the first record of a log; then consecutive. */
  readonly seq: number;
  /** As its writer named it. */
  readonly id: string;
  /** The reader's to keep, not to change. */
  readonly bytes: Uint8Array;
  /** The hash of record seq − 1, or of the log's id for the first. A reader that applied it compares. */
  readonly prev: Uint8Array;
  /** `hashOf` this record. */
  readonly hash: Uint8Array;
}

export interface JournalState {
  /** Of the log itself: another id is another log, made anew. */
  readonly id: string;
  /** Number of the oldest record that can still be read; head + 1 when there is none. */
  readonly first: number;
  /** Number of the newest record; 0 for a new log. */
  readonly head: number;
}

/** Why the records a node has read are no longer, or not all, those of the log. */
export type BrokenReason =
  /** The next records were truncated: start from the snapshot. Nothing is lost. */
  | 'truncated'
  /** The newest records that this handle saw or wrote are gone. */
  | 'lost'
  /** Other records stand where this handle saw or wrote some, or their hashes do not fit. */
  | 'rewritten'
  /** The log has another id: it was deleted and made anew. */
  | 'replaced';

/**
 * `unusable`, in the words of StoreError: this handle is of no more use, open another one. What it says of the log
 * stays true; a caller that had told somebody of the lost records needs a new generation.
 */
export class BrokenLog extends StoreError {
  readonly reason: BrokenReason;
  constructor(reason: BrokenReason, message: string) {
    super('unusable', message);
    this.reason = reason;
  }
}

/** A snapshot of the state as of record `at`. */
export interface JournalSnapshot {
  readonly at: number;
  /** As they were saved. Rejects with `refused` when the engine is away, or one part is missing or damaged: load it again. */
  readonly parts: AsyncIterable<Uint8Array>;
}

/** What a node told beside the log: see `announce`. */
export interface Announced {
  readonly node: string;
  readonly bytes: Uint8Array;
  /** Ms since. */
  readonly ageMs: number;
}

/** What is older than this is told no more. */
export const ANNOUNCED_MS = 60_000;

/**
 * One node's handle. Every method rejects with a StoreError: `unusable` for good, else `refused`: not done, try again.
 * Each is bounded in time (5 s, and `saveSnapshot` and `parts` 5 s a part), but for `open`.
 */
export interface Journal {
  /** Bytes that a record or a snapshot's part may have. Final once `open` has answered. */
  readonly maxBytes: number;
  /**
   * Called once, before anything else; makes the log if there is none. Keeps trying while the engine is away, and says so
   * in a line. Rejects with `unusable` for what will not change by waiting: other settings, too old a version, no rights.
   */
  open(): Promise<JournalState>;
  /**
   * Adds a record as number after + 1 and answers it, once the engine has it as safe as it is set to.
   * One append at a time. `id`: 1 to 64 printable ASCII characters, used for one append only. Rejects with
   * - `unusable`: another record stands there (or, as a BrokenLog, `after` is not what this handle knew);
   * - `unknown`: it may have been added: repeat with the same number, id and bytes until it is known;
   * - `refused`: not added, now or by an earlier try, because the engine is full or the bytes are too many.
   * An append whose id stands at after + 1 already is done, and answers that record.
   */
  append(after: number, id: string, bytes: Uint8Array): Promise<JournalRecord>;
  /**
   * Calls `each` with every record after number `after`, in order and without a gap, those of this handle too.
   * Calls `broken` once, then nothing more, if that cannot be kept. While the engine is away it waits. `each` must not
   * throw; where it answers a promise, no more is read until that resolves. No call after `stop`.
   */
  follow(
    after: number,
    each: (record: JournalRecord) => MaybePromise<void>,
    broken: (error: BrokenLog) => void,
  ): { stop(): void };
  /** The newest number, as the engine's leader has it now. Rejects when it does not answer. */
  answers(): Promise<{ readonly head: number }>;
  /**
   * Keeps a snapshot as of record `at`, in parts of at most `maxBytes`, in place of the one before, which counts until the last
   * part is kept. `refused` too when a snapshot of a later record is there, or `parts` throws.
   */
  saveSnapshot(at: number, parts: AsyncIterable<Uint8Array>): Promise<void>;
  /** The newest whole snapshot. It stays readable at least until the next but one is saved. */
  loadSnapshot(): Promise<JournalSnapshot | undefined>;
  /** Lets the engine forget records before number `before`, some of them later. The newest one always stays. */
  truncate(before: number): Promise<void>;
  /**
   * Tells how this node stands, in place of what it told before. It is no record: nothing is decided by it, and it need outlive
   * nothing. Of one name one is kept.
   */
  announce(node: string, bytes: Uint8Array): Promise<void>;
  /** What nodes told in the last minute, this handle's own too. Where the engine cannot keep it, only those that are there to be asked. */
  announced(): Promise<readonly Announced[]>;
  /** Lets go of the engine. An append still under way rejects with `unknown`. */
  close(): Promise<void>;
}

export interface JournalOptions {
  /** Of the log among others in the same engine: 1 to 32 of a–z, 0–9 and _, a letter first. Default `roomwire`. */
  readonly name?: string;
  /** A log that is not there is not made: `open` rejects with `unusable`. */
  readonly mustExist?: boolean;
  /** Takes a line for the operator: the engine is away, or is back, or is set to keep less than one might think. */
  readonly tell?: (line: string) => void;
}

const HASH_BYTES = 16;

/** The hash before the first record. */
export function hashOfLog(id: string): Uint8Array {
  return createHash('sha256').update(id).digest().subarray(0, HASH_BYTES);
}

/** SHA-256, cut to 16 bytes, over the hash before, number, id and bytes. */
export function hashOf(record: Omit<JournalRecord, 'hash'>): Uint8Array {
  const head = Buffer.from(`${record.seq} ${record.id}\n`);
  return createHash('sha256').update(record.prev).update(head).update(record.bytes).digest().subarray(0, HASH_BYTES);
}

/** Throws for what an engine would take in one place and refuse in another. */
export function checkRecord(journal: Pick<Journal, 'maxBytes'>, id: string, bytes: Uint8Array): void {
  if (!/^[!-~]{1,64}$/.test(id)) throw new StoreError('refused', 'the id of a record is 1 to 64 printable characters');
  if (bytes.length > journal.maxBytes)
    throw new StoreError('refused', `a record of ${bytes.length} bytes: the log takes ${journal.maxBytes}`);
}

/** A name that is safe in the names of tables and subjects. Throws for another: misuse. */
export function checkedName(name = 'roomwire'): string {
  if (!/^[a-z][a-z0-9_]{0,31}$/.test(name))
    throw new TypeError(`the name of a log is 1 to 32 of a-z, 0-9 and _, a letter first, not '${name}'`);
  return name;
}
