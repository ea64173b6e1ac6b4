/**
 * The end of the log as one handle knows it: the newest record that it read or wrote, with its hash. Every engine holds
 * what it reads next against it, so that a log that was cut, rewritten or made anew is told, whichever engine has it.
 */
import { StoreError } from '../store/store.js';
import { BrokenLog, hashOf, type JournalRecord } from './journal.js';

export interface Point {
  readonly seq: number;
  /** Empty for a number whose record was truncated before this handle saw it. */
  readonly hash: Uint8Array;
}

export function sameHash(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Throws a BrokenLog unless `record` is the one that follows `point`. Without a hash only the number counts. */
export function checkNext(point: { readonly seq: number; readonly hash?: Uint8Array }, record: JournalRecord): void {
  const { seq } = record;
  if (seq !== point.seq + 1) throw truncatedAfter(point.seq, seq);
  const fits = point.hash === undefined || sameHash(record.prev, point.hash);
  if (!fits) throw rewritten(seq, 'it does not follow the record before');
  if (!sameHash(hashOf(record), record.hash)) throw rewritten(seq, 'its bytes are not what was written');
}

/** Throws a BrokenLog unless what stands at the point's number has the point's hash. */
export function checkHeld(point: Point, found: Uint8Array | undefined, head: number): void {
  if (found !== undefined && sameHash(found, point.hash)) return;
  if (found !== undefined) throw rewritten(point.seq, 'it is not the one that stood there');
  if (head < point.seq) throw lostAfter(head, point.seq);
}

export function truncatedAfter(after: number, first: number): BrokenLog {
  return new BrokenLog('truncated', `the log begins at ${first}: what follows ${after} is in the snapshot only`);
}

export function lostAfter(head: number, known: number): BrokenLog {
  return new BrokenLog('lost', `the log lost its end: it has ${head} records, and had ${known}`);
}

export function rewritten(seq: number, how: string): BrokenLog {
  return new BrokenLog('rewritten', `record ${seq} of the log was changed: ${how}`);
}

export function replaced(was: string, is: string): BrokenLog {
  return new BrokenLog('replaced', `the log was made anew: it was ${was}, and is ${is}`);
}

/** What stands in the log around an append that the engine did not take. */
export interface Standing {
  readonly head: number;
  /** Hash of record `after`, if it can be read. */
  readonly held: Uint8Array | undefined;
  /** Record after + 1, if it is there. */
  readonly next: { readonly id: string; readonly prev: Uint8Array } | undefined;
}

/** The number of an append that is in the log already; undefined when it may still be tried; throws when it never will be. */
export function outcome(point: Point, id: string, { head, held, next }: Standing): number | undefined {
  const { seq, hash } = point;
  if (next !== undefined && (hash.length === 0 || sameHash(next.prev, hash))) {
    if (next.id === id) return seq + 1;
    throw new StoreError('unusable', `another writer has record ${seq + 1} of the log`);
  }
  checkHeld(point, held, head);
  if (head < seq) throw lostAfter(head, seq);
  if (head === seq) return undefined;
  throw next === undefined ? truncatedAfter(seq, head) : rewritten(seq + 1, 'it does not follow the record before');
}
