/**
 * Idempotency keys: the first result of a keyed request is stored in the same transaction as its
 * effect and answers every repetition within `limits.keyTtlMs`. Used by keyed publishes and calls;
 * keyed-calls.ts does the same for handlers that take their time.
 */
import { createHash } from 'node:crypto';
import { encode } from '../protocol/codec.js';
import { RoomwireError } from '../protocol/errors.js';
import type { Limits } from '../protocol/limits.js';
import type { Transaction } from './api.js';

export interface KeyRecord {
  /** Of the request's content. */
  readonly hash: string;
  /** The user's id; empty: the server's own, which nothing but time bounds. */
  readonly owner: string;
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

/** Of data in which the order of members means nothing, such as JSON. Throws EncodeError. */
export function hashOfData(value: unknown): string {
  return hashOf(encode(inOrder(value)));
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, inOrder(member)]));
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
    count(tx, known.owner, -1);
    return undefined;
  }
  if (known.hash !== hash) throw new RoomwireError('key_reused');
  return known;
}

/** For a key that `findKey` did not find. Throws limit_reached. */
export function putKey(tx: Transaction, id: string, record: KeyRecord, { keys, keyTtlMs }: KeyLimits): void {
  if (count(tx, record.owner, 1) > keys) {
    throw new RoomwireError('limit_reached', `you have ${keys} idempotency keys in use`, {
      details: { retryAfterMs: keyTtlMs },
    });
  }
  tx.set('keys', id, record);
  tx.set('keys-by-time', timeKey(record.until, id), record.owner);
}

export function dropKey(tx: Transaction, id: string, { until, owner }: KeyRecord): void {
  tx.delete('keys', id);
  tx.delete('keys-by-time', timeKey(until, id));
  count(tx, owner, -1);
}

export type KeyLimits = Pick<Limits, 'keys' | 'keyTtlMs'>;

/** How many keys a user has then. */
function count(tx: Transaction, owner: string, change: number): number {
  if (owner === '') return 0;
  const most = (tx.get<number>('key-counts', owner) ?? 0) + change;
  if (most > 0) tx.set('key-counts', owner, most);
  else tx.delete('key-counts', owner);
  return most;
}

function timeKey(until: number, id: string): string {
  return `${String(until).padStart(16, '0')}\0${id}`;
}

/** Runs `work` unless `scope`, whose second part is the owner, has a result already. `hash` identifies the request's content. */
export function once<T>(tx: Transaction, scope: readonly string[], hash: string, limits: KeyLimits, work: () => T): T {
  const id = keyId(scope);
  const known = findKey(tx, id, hash);
  if (known !== undefined) return known.result as T;
  const result = work();
  const owner = scope[1] as string;
  putKey(tx, id, { hash, owner, until: tx.now + limits.keyTtlMs, result: result ?? null }, limits);
  return result;
}

/** Removes expired keys; true when there may be more. */
export function sweepKeys(tx: Transaction): boolean {
  const rows = tx.list<string>('keys-by-time', { limit: SWEEP });
  for (const [key, owner] of rows) {
    const [time = '', id = ''] = key.split('\0');
    if (Number(time) > tx.now) return false;
    tx.delete('keys-by-time', key);
    tx.delete('keys', id);
    count(tx, owner, -1);
  }
  return rows.length === SWEEP;
}
