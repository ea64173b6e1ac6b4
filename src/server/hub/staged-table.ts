/**
 * What a batch has written to one table so far. `list` costs what it finds, however many others the
 * batch has written: ten thousand joins in one tick each look at their own room.
 */
import { decodeScanned } from '../../protocol/codec.js';
import type { Value } from '../../protocol/frames.js';
import { compareKeys, lowerBound } from '../../store/key-order.js';
import { freeze } from './documents.js';

export class StagedTable {
  /** null: deleted. */
  readonly #rows = new Map<string, Uint8Array | null>();
  /** Of these, those that were read: shared and frozen. */
  readonly #read = new Map<string, Value>();
  /** The keys in order, once somebody has asked for a range. */
  #sorted: string[] | undefined;

  entries(): IterableIterator<[string, Uint8Array | null]> {
    return this.#rows.entries();
  }

  get(key: string): Uint8Array | null | undefined {
    return this.#rows.get(key);
  }

  /** What was written, which is there; shared and frozen. */
  read(key: string, written: Uint8Array): Value {
    const known = this.#read.get(key);
    if (known !== undefined) return known;
    const value = decodeScanned(written, 0);
    if (freeze(value)) this.#read.set(key, value);
    return value;
  }

  set(key: string, value: Uint8Array | null): void {
    this.#read.delete(key);
    if (this.#sorted !== undefined && !this.#rows.has(key)) {
      this.#sorted.splice(lowerBound(this.#sorted, key), 0, key);
    }
    this.#rows.set(key, value);
  }

  /** As if it had never been written. */
  unset(key: string): void {
    this.#read.delete(key);
    if (this.#rows.delete(key)) this.#sorted?.splice(lowerBound(this.#sorted, key), 1);
  }

  /** Rows whose key starts with `prefix` and comes after `after`, in order. */
  range(prefix: string, after: string): [string, Uint8Array | null][] {
    const sorted = (this.#sorted ??= [...this.#rows.keys()].sort(compareKeys));
    const rows: [string, Uint8Array | null][] = [];
    for (let i = lowerBound(sorted, prefix); i < sorted.length; i++) {
      const key = sorted[i] as string;
      if (!key.startsWith(prefix)) break;
      if (compareKeys(key, after) > 0) rows.push([key, this.#rows.get(key) as Uint8Array | null]);
    }
    return rows;
  }
}
