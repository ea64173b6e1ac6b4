/**
 * Documents as of the last commit, decoded. Those read lately stay decoded from batch to batch, within a bound: a room,
 * its holders and its members are read by every call in it. What is kept is shared by all who read it, and so is frozen
 * to the bottom. A batch's own writes are the stage's, until its commit is done.
 */
import { decodeScanned } from '../../protocol/codec.js';
import type { Value } from '../../protocol/frames.js';
import { lowerBound } from '../../store/key-order.js';
import { Lately } from './lately.js';

/** Rows of a list that is kept: a longer one is read from the store. */
export const KEPT_ROWS = 256;

/** Undefined: there is none. */
interface Document {
  readonly value: Value | undefined;
}

/** All rows whose keys begin with a prefix, in order. Never changed: a commit makes another. */
export interface Rows {
  readonly keys: readonly string[];
  readonly values: readonly Value[];
}

/** Ms after which what nobody reads is let go, and twice as many at most. */
const TURN_MS = 30_000;
/** What each takes beside its contents, and how much larger these are than their encoding. */
const ENTRY_BYTES = 150;
const ROW_BYTES = 24;
const DECODED = 4;

export class DecodedDocuments {
  readonly #documents = new Lately<Document>();
  /** By prefix, which ends with a NUL: so a key tells which lists it is in. */
  readonly #lists = new Lately<Rows>();

  readonly #after: (ms: number, fn: () => void) => void;
  #turning = false;

  constructor(after: (ms: number, fn: () => void) => void) {
    this.#after = after;
  }

  /** Rooms in which nothing happens are to take no more than their members do. */
  #keeps(): void {
    if (this.#turning) return;
    this.#turning = true;
    this.#after(TURN_MS, () => {
      this.#turning = false;
      const some = this.#documents.turn();
      if (this.#lists.turn() || some) this.#keeps();
    });
  }

  /** Undefined: it is not known, and to be read from the store. */
  known(table: string, key: string): Document | undefined {
    return this.#documents.get(table, key);
  }

  /** What the store has of it, shared and frozen; undefined: nothing. */
  decoded(table: string, key: string, bytes: Uint8Array | undefined): Value | undefined {
    const value = bytes === undefined ? undefined : decodeScanned(bytes, 0);
    if (value === undefined || freeze(value)) {
      this.#keeps();
      this.#documents.set(table, key, { value }, ENTRY_BYTES + key.length + (bytes?.length ?? 0) * DECODED);
    }
    return value;
  }

  knownRows(table: string, prefix: string): Rows | undefined {
    return this.#lists.get(table, prefix);
  }

  /** All that the store has of them. */
  decodedRows(table: string, prefix: string, stored: readonly (readonly [string, Uint8Array])[]): Rows {
    const values = stored.map(([key, bytes]) => this.known(table, key)?.value ?? decodeScanned(bytes, 0));
    const rows = { keys: stored.map(([key]) => key), values };
    // Where it holds bytes, it is read anew each time.
    if (prefix.endsWith('\0') && values.every(freeze)) {
      const bytes = stored.reduce((sum, [key, value]) => sum + key.length + value.length * DECODED, 0);
      this.#keepRows(table, prefix, rows, bytes);
    }
    return rows;
  }

  #keepRows(table: string, prefix: string, rows: Rows, bytes: number): void {
    this.#keeps();
    this.#lists.set(table, prefix, rows, ENTRY_BYTES + rows.keys.length * ROW_BYTES + bytes);
  }

  /** A commit has written it; null: deleted. What was read lately will be again, and stays decoded. */
  committed(table: string, key: string, bytes: Uint8Array | null): void {
    let value: Value | undefined;
    const before = this.#documents.get(table, key);
    if (before !== undefined) {
      this.#documents.delete(table, key);
      // A new one is mostly not asked for soon.
      if (before.value !== undefined) value = this.decoded(table, key, bytes ?? undefined);
    }
    if (!this.#lists.has(table)) return;
    for (let end = key.indexOf('\0'); end !== -1; end = key.indexOf('\0', end + 1)) {
      const prefix = key.slice(0, end + 1);
      const rows = this.#lists.get(table, prefix);
      if (rows === undefined) continue;
      this.#lists.delete(table, prefix);
      if (bytes !== null) value ??= decodeScanned(bytes, 0);
      if (value !== undefined && !freeze(value)) continue;
      const changed = changedRows(rows, key, value);
      // What its rows take is an estimate: they are as large as this one.
      const size = (bytes?.length ?? 0) * DECODED + key.length;
      if (changed.keys.length <= KEPT_ROWS) this.#keepRows(table, prefix, changed, changed.keys.length * size);
    }
  }
}

/** `value` undefined: without the row. */
function changedRows({ keys, values }: Rows, key: string, value: Value | undefined): Rows {
  const at = lowerBound(keys, key);
  const there = keys[at] === key ? 1 : 0;
  if (value === undefined) return { keys: keys.toSpliced(at, there), values: values.toSpliced(at, there) };
  if (there === 1) return { keys, values: values.with(at, value) };
  return { keys: keys.toSpliced(at, 0, key), values: values.toSpliced(at, 0, value) };
}

/** Freezes all of a decoded document. False where it holds bytes, which cannot be frozen and so not shared. */
export function freeze(value: Value): boolean {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return true;
  if (value instanceof Uint8Array) return false;
  // Last of all: what is frozen holds nothing that is not.
  if (!Object.values(value).every(freeze)) return false;
  Object.freeze(value);
  return true;
}
