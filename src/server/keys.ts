/**
 * Idempotency keys: the first result of a keyed request is stored in the same transaction as its
 * effect and answers every repetition within `limits.keyTtlMs`. Used by keyed publishes and calls.
 */
import { createHash } from 'node:crypto';
import { RoomwireError } from '../protocol/errors.js';
import type { Transaction } from './api.js';

interface KeyRecord<T> {
  readonly hash: string;
  readonly result: T;
  readonly until: number;
}

/** Expired keys removed by each keyed request: more than it adds, so the table shrinks back by itself. */
const SWEEP = 3;

export function hashOf(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('base64url');
}

/**
 * Runs `work` unless `scope` has a result already. `hash` identifies the request's content; the
 * same scope with another hash is `key_reused`.
 */
export function once<T>(tx: Transaction, scope: string, hash: string, ttlMs: number, work: () => T): T {
  sweep(tx);
  const id = hashOf(scope);
  const known = tx.get<KeyRecord<T>>('keys', id);
  if (known !== undefined && known.until > tx.now) {
    if (known.hash !== hash) throw new RoomwireError('key_reused');
    return known.result;
  }
  const result = work();
  const until = tx.now + ttlMs;
  tx.set('keys', id, { hash, result: result ?? null, until });
  tx.set('keys-by-time', `${String(until).padStart(16, '0')}\0${id}`, true);
  return result;
}

function sweep(tx: Transaction): void {
  for (const [key] of tx.list('keys-by-time', { limit: SWEEP })) {
    const [time = '', id = ''] = key.split('\0');
    if (Number(time) > tx.now) return;
    tx.delete('keys-by-time', key);
    const record = tx.get<KeyRecord<unknown>>('keys', id);
    // A key used again after its time has a newer entry.
    if (record !== undefined && record.until <= tx.now) tx.delete('keys', id);
  }
}
