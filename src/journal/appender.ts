/**
 * One append at a time at the end of the log, until its outcome is known. An unknown outcome is repeated with the same id; where
 * another record stands in its place, that one is read before anything else is tried: the expectation is never moved on
 * without having seen what it moves over.
 */
import { StoreError } from '../store/store.js';
import { BrokenLog, type Journal, type JournalRecord } from './journal.js';
import { readRecord, type Record } from './records.js';
import { pause } from './wait.js';

/** Ms until an append without an answer is repeated. */
const RETRY_MS = [20, 1_000] as const;

export interface End {
  readonly seq: number;
  readonly hash: Uint8Array;
}

export type Outcome =
  | { readonly type: 'added'; readonly end: End }
  /** Another's record stands there. */
  | { readonly type: 'taken'; readonly record: Record; readonly end: End };

export class Appender {
  readonly journal: Journal;
  readonly #run: string;
  #count = 0;

  constructor(journal: Journal, run: string) {
    this.journal = journal;
    this.#run = run;
  }

  /** Rejects with `refused`, `unusable`, or a BrokenLog. `isWanted`: whether it is still to be tried. */
  async append({ seq, hash }: End, bytes: Uint8Array, isWanted: () => boolean = () => true): Promise<Outcome> {
    const id = `${this.#run}.${++this.#count}`;
    for (let retryMs: number = RETRY_MS[0]; ; retryMs = Math.min(2 * retryMs, RETRY_MS[1])) {
      try {
        return { type: 'added', end: endAt(await this.journal.append(seq, id, bytes), hash) };
      } catch (error) {
        if (!(error instanceof StoreError) || error instanceof BrokenLog || error.kind === 'refused') throw error;
        if (error.kind === 'unusable') return await this.#look({ seq, hash }, id, { error, isWanted });
        if (!isWanted()) throw error;
        await pause(retryMs);
      }
    }
  }

  async #look(
    after: End,
    id: string,
    { error, isWanted }: { readonly error: StoreError; readonly isWanted: () => boolean },
  ): Promise<Outcome> {
    // What the engine refuses for good, as for want of rights, is followed by nobody's record: it must not be waited for.
    if ((await this.#head(isWanted)) <= after.seq) throw error;
    const record = await firstAfter(this.journal, after.seq).catch((broken: unknown) => {
      throw broken instanceof BrokenLog && broken.reason === 'truncated' ? error : broken;
    });
    const end = endAt(record, after.hash);
    return record.id === id ? { type: 'added', end } : { type: 'taken', record: readRecord(record.bytes), end };
  }

  /** As soon as the log says so. */
  async #head(isWanted: () => boolean): Promise<number> {
    for (let retryMs: number = RETRY_MS[0]; ; retryMs = Math.min(2 * retryMs, RETRY_MS[1])) {
      try {
        return (await this.journal.answers()).head;
      } catch (error) {
        if (!(error instanceof StoreError && error.kind === 'refused') || !isWanted()) throw error;
        await pause(retryMs);
      }
    }
  }
}

/** Throws a BrokenLog where what the record follows is not what this node wrote. */
function endAt({ seq, prev, hash }: JournalRecord, expected: Uint8Array): End {
  if (Buffer.compare(prev, expected) === 0) return { seq, hash };
  throw new BrokenLog('rewritten', `record ${seq} of the log does not follow what this node wrote`);
}

/** The next record, whenever it comes. Rejects when the log is broken. */
export function firstAfter(journal: Journal, seq: number): Promise<JournalRecord> {
  return new Promise((resolve, reject) => {
    let isDone = false;
    const following = journal.follow(
      seq,
      (record) => {
        if (isDone) return;
        isDone = true;
        resolve(record);
        queueMicrotask(() => following.stop());
      },
      reject,
    );
  });
}
