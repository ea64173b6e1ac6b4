/**
 * Idempotency keys: the first result of a keyed request is stored in the same transaction as its
 * effect and answers every repetition within `limits.keyTtlMs`. `KeyedCalls` does the same for handlers that take
 * their time.
 */
import { encode } from '../../protocol/codec.js';
import { RoomwireError } from '../../protocol/errors.js';
import type { Limits } from '../../protocol/limits.js';
import type { Value } from '../../protocol/frames.js';
import type { Session, Transaction } from '../api.js';
import { weigh } from '../gate/budget.js';
import { sha256Text } from '../gate/sha256.js';
import type { Hub } from '../hub/hub.js';
import { Finished, move, type Moves } from './finish.js';
import type { StoreReply } from './running-call.js';

export interface KeyRecord {
  /** Of the request's content. */
  readonly hash: string;
  /** Out of whose bound it is (`ownerOf`); empty: the server's own, which nothing but time bounds. */
  readonly owner: string;
  /** Store time, ms. */
  readonly until: number;
  /** Absent while a handler is still at it. */
  readonly result?: unknown;
  /** What is done anew for a session that repeats the call. */
  readonly moves?: Moves;
  /** As how many keys it counts; one in records of before. */
  readonly weight?: number;
}

/** A key that is used: what it is the key of, for which content, out of whose bound. */
export interface Claim {
  readonly scope: readonly string[];
  readonly hash: string;
  readonly owner: string;
}

/** Ms between two looks for expired keys. */
const SWEEP_MS = 10_000;
/** Expired keys that one sweep removes. */
const SWEEP = 1_000;
/** A result counts as one key more for each of these bytes of memory. */
const RESULT_BYTES = 1_024;

export function hashOf(bytes: Uint8Array): string {
  return sha256Text(bytes);
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
    count(tx, known.owner, -(known.weight ?? 1));
    return undefined;
  }
  if (known.hash !== hash) throw new RoomwireError('key_reused');
  return known;
}

/** For a key that `findKey` did not find. Throws limit_reached. */
export function putKey(tx: Transaction, id: string, record: KeyRecord, { keys, keyTtlMs }: KeyLimits): void {
  // However heavy its own result is: else a small bound would never let one through.
  const { used, weight } = write(tx, id, record, 0);
  if (used - weight < keys || record.owner === '') return;
  throw new RoomwireError('limit_reached', `you have ${keys} idempotency keys in use`, {
    details: { retryAfterMs: keyTtlMs },
  });
}

/** The result of a key that was put without one. What was done is done: it is kept also past the bound. */
export function fillKey(tx: Transaction, id: string, claim: KeyRecord, result: unknown): void {
  write(tx, id, { ...claim, result }, 1);
}

export function dropKey(tx: Transaction, id: string, { until, owner, weight = 1 }: KeyRecord): void {
  tx.delete('keys', id);
  tx.delete('keys-by-time', timeKey(until, id));
  count(tx, owner, -weight);
}

/** By time: whose it is, and as how many it counts, so that a sweep need not read the result. */
type TimeRow = readonly [owner: string, weight: number];

/** `before`: as how many it counted. `used`: how many its owner has then. */
function write(tx: Transaction, id: string, record: KeyRecord, before: number): { used: number; weight: number } {
  const { owner, until, result, moves } = record;
  // Encoded first, which refuses what is no plain data.
  tx.set('keys', id, record);
  const bytes = result === undefined ? 0 : weigh(result as Value) + (moves === undefined ? 0 : weigh({ ...moves }));
  const weight = 1 + Math.floor(bytes / RESULT_BYTES);
  if (weight > 1) tx.set('keys', id, { ...record, weight });
  tx.set('keys-by-time', timeKey(until, id), [owner, weight] satisfies TimeRow);
  return { used: count(tx, owner, weight - before), weight };
}

export type KeyLimits = Pick<Limits, 'keys' | 'keyTtlMs'>;

/** How many keys an owner has then. */
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

/** Runs `work` unless the key has a result already. */
export function onceByKey<T>(tx: Transaction, { scope, hash, owner }: Claim, limits: KeyLimits, work: () => T): T {
  const id = keyId(scope);
  const known = findKey(tx, id, hash);
  if (known !== undefined) return known.result as T;
  const result = work();
  putKey(tx, id, { hash, owner, until: tx.now + limits.keyTtlMs, result: result ?? null }, limits);
  return result;
}

/** Removes expired keys from now on. */
export function keepSweeping(hub: Hub, after: (ms: number, fn: () => void) => void, ms = SWEEP_MS): void {
  const again = (more: boolean): void => keepSweeping(hub, after, more ? 0 : SWEEP_MS);
  after(ms, () => hub.perform(sweepKeys, again, () => again(false)));
}

/** Removes expired keys; true when there may be more. */
function sweepKeys(tx: Transaction): boolean {
  // Earlier versions wrote the owner alone.
  const rows = tx.list<TimeRow | string>('keys-by-time', { limit: SWEEP });
  for (const [key, row] of rows) {
    const [time = '', id = ''] = key.split('\0');
    if (Number(time) > tx.now) return false;
    tx.delete('keys-by-time', key);
    tx.delete('keys', id);
    const [owner, weight] = typeof row === 'string' ? [row, 1] : row;
    count(tx, owner, -weight);
  }
  return rows.length === SWEEP;
}

/** The result of an atomic call with a key. */
export class KeyedReply implements StoreReply {
  readonly id: string;
  readonly hash: string;
  readonly #owner: string;
  readonly #limits: Limits;

  constructor({ scope, hash, owner }: Claim, limits: Limits) {
    this.id = keyId(scope);
    this.hash = hash;
    this.#owner = owner;
    this.#limits = limits;
  }

  put(tx: Transaction, result: unknown): void {
    const { hash } = this;
    const until = tx.now + this.#limits.keyTtlMs;
    putKey(tx, this.id, { hash, owner: this.#owner, until, result: result ?? null }, this.#limits);
  }
}

/**
 * Calls of handlers that are no single transaction: the key is claimed before the handler runs and its result stored
 * after. A repetition meanwhile waits for the same run; one after a crash in between learns `outcome_unknown`, for nobody
 * knows how far the handler came.
 */
export class KeyedCalls {
  readonly #hub: Hub;
  readonly #limits: Limits;
  /** Runs of this process by key. */
  readonly #running = new Map<string, Promise<Outcome>>();

  constructor(hub: Hub, limits: Limits) {
    this.#hub = hub;
    this.#limits = limits;
  }

  /** Handlers that run. */
  get size(): number {
    return this.#running.size;
  }

  run({ scope, hash, owner }: Claim, call: KeyedCall): void {
    const id = keyId(scope);
    const refused = (error: unknown): void => call.refused(error);
    this.#hub.perform(
      (tx): Found => {
        const known = findKey(tx, id, hash);
        if (known !== undefined) return { record: known, reply: isFilled(known) ? again(tx, call, known) : undefined };
        const record = { hash, owner, until: tx.now + this.#limits.keyTtlMs };
        putKey(tx, id, record, this.#limits);
        return { record, reply: undefined, isOurs: true };
      },
      ({ record, reply, isOurs }) => {
        if (reply !== undefined) return call.answered(reply);
        // In the block of the commit: whoever finds the claim finds the run.
        if (isOurs) this.#running.set(id, this.#run(id, record, call));
        const run = this.#running.get(id);
        if (run === undefined) return refused(new RoomwireError('outcome_unknown'));
        run.then((outcome) => {
          // The run has answered its own.
          if (isOurs) return;
          if (outcome.moves === undefined) return call.succeeded(outcome.result);
          this.#hub.perform(
            (tx) => again(tx, call, outcome),
            (late) => call.answered(late),
            refused,
          );
        }, refused);
      },
      refused,
    );
  }

  async #run(id: string, record: KeyRecord, call: KeyedCall): Promise<Outcome> {
    // A claim may have expired meanwhile, and the key be another call's.
    const isOurs = (tx: Transaction): boolean => tx.get<KeyRecord>('keys', id)?.until === record.until;
    const write = (work: (tx: Transaction) => void): Promise<unknown> =>
      this.#hub
        .transact((tx) => isOurs(tx) && work(tx))
        // Refused: the answer stands, and a repetition will learn that the outcome is not known.
        .catch(() => undefined);
    try {
      const result = (await call.handle()) ?? null;
      if (result instanceof Finished) {
        const { moves } = result;
        const kept = moves === undefined ? record : { ...record, moves };
        const fill = (tx: Transaction, given: unknown): void => {
          if (isOurs(tx)) fillKey(tx, id, kept, given);
        };
        return { result: await finish(this.#hub, result, call, fill), moves };
      }
      // Or it could be neither kept nor told, and its repetitions would never learn that it failed.
      encode(result, { name: 'reply', level: 1 });
      await write((tx) => fillKey(tx, id, record, result));
      call.succeeded(result);
      return { result, moves: undefined };
    } catch (error) {
      // It failed and says so: the same key may be tried again.
      await write((tx) => dropKey(tx, id, record));
      throw error;
    } finally {
      this.#running.delete(id);
    }
  }
}

/** A plain handler's call on its way to its one answer. */
export interface KeyedCall extends Ending {
  /** What the handler makes of it: a result, or a Finished. */
  handle(): Promise<unknown>;
  succeeded(result: unknown): void;
  refused(error: unknown): void;
}

/** Who is answered in the block of a transaction. */
export interface Ending {
  readonly session: Session;
  /** Throws for what cannot be sent. */
  replyOf(result: unknown): Uint8Array;
  answered(reply: Uint8Array): void;
}

/** What a run came to. */
interface Outcome {
  readonly result: unknown;
  readonly moves: Moves | undefined;
}

interface Found {
  readonly record: KeyRecord;
  /** There is an answer already. */
  readonly reply: Uint8Array | undefined;
  readonly isOurs?: boolean;
}

function isFilled(record: KeyRecord): record is KeyRecord & Outcome {
  return 'result' in record;
}

/** The first answer for a session that repeats the call: it is where the answer says that it is. */
function again(tx: Transaction, call: Ending, { result, moves }: Outcome): Uint8Array {
  if (moves !== undefined) move(tx, call.session, moves);
  return call.replyOf(result);
}

/** Resolves with the result. `keep`: in the same transaction. */
export function finish(
  hub: Hub,
  finished: Finished,
  call: Ending,
  keep?: (tx: Transaction, result: unknown) => void,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    hub.perform(
      (tx) => {
        const result = finished.run(tx, call.session);
        keep?.(tx, result);
        // In here, so that a reply that cannot be sent undoes what it tells of.
        return { result, reply: call.replyOf(result) };
      },
      ({ result, reply }) => {
        call.answered(reply);
        resolve(result);
      },
      reject,
    );
  });
}
