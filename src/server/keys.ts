/**
 * Idempotency keys: the first result of a keyed request is stored in the same transaction as its
 * effect and answers every repetition within `limits.keyTtlMs`. Used by keyed publishes and calls;
 * keyed-calls.ts does the same for handlers that take their time.
 */
import { createHash } from 'node:crypto';
import { encode } from '../protocol/codec.js';
import { RoomwireError } from '../protocol/errors.js';
import type { Transaction } from './api.js';

export interface KeyRecord {
  /** Of the request's content. */
  readonly hash: string;
  /** Store time, ms. */
  readonly until: number;
  /** Absent while a handler is still at it. */
  readonly result?: unknown;
}

/** Expired keys that one sweep removes. */
const SWEEP = 1_000;

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url');
}

/** A scope's name in the store: of one length, whatever the parts hold. */
export function keyId(scope: readonly string[]): string {
  return hashOf(encode(scope));
}

/** What is known of a key. Throws key_reused when it was used for something else. */
export function findKey(tx: Transaction, id: string, hash: string): KeyRecord | undefined {
  const known = tx.get<KeyRecord>('keys', id);
  if (known === undefined) return undefined;
  if (known.until <= tx.now) {
    // About to be used again: a sweep must not take the new record for the old one.
    tx.delete('keys-by-time', timeKey(known.until, id));
    return undefined;
  }
  if (known.hash !== hash) throw new RoomwireError('key_reused');
  return known;
}

/** For a key that `findKey` did not find. */
export function putKey(tx: Transaction, id: string, record: KeyRecord): void {
  tx.set('keys', id, record);
  tx.set('keys-by-time', timeKey(record.until, id), true);
}

export function dropKey(tx: Transaction, id: string, { until }: KeyRecord): void {
  tx.delete('keys', id);
  tx.delete('keys-by-time', timeKey(until, id));
}

function timeKey(until: number, id: string): string {
  return `${String(until).padStart(16, '0')}\0${id}`;
}

/** Runs `work` unless `scope` has a result already. `hash` identifies the request's content. */
export function once<T>(tx: Transaction, scope: readonly string[], hash: string, ttlMs: number, work: () => T): T {
  const id = keyId(scope);
  const known = findKey(tx, id, hash);
  if (known !== undefined) return known.result as T;
  const result = work();
  putKey(tx, id, { hash, until: tx.now + ttlMs, result: result ?? null });
  return result;
}

/** Removes expired keys; true when there may be more. */
export function sweepKeys(tx: Transaction): boolean {
  const rows = tx.list('keys-by-time', { limit: SWEEP });
  for (const [key] of rows) {
    const [time = '', id = ''] = key.split('\0');
    if (Number(time) > tx.now) return false;
    tx.delete('keys-by-time', key);
    tx.delete('keys', id);
  }
  return rows.length === SWEEP;
}
