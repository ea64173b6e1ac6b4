/**
 * What a batch has written to one table so far. `list` costs what it finds, however many others the
 * batch has written: ten thousand joins in one tick each look at their own room.
 */

export class StagedTable {
  /** null: deleted. */
  readonly #rows = new Map<string, Uint8Array | null>();
  /** The keys in order, once somebody has asked for a range. */
  #sorted: string[] | undefined;

  entries(): IterableIterator<[string, Uint8Array | null]> {
    return this.#rows.entries();
  }

  get(key: string): Uint8Array | null | undefined {
    return this.#rows.get(key);
  }

  set(key: string, value: Uint8Array | null): void {
    if (this.#sorted !== undefined && !this.#rows.has(key)) {
      this.#sorted.splice(lowerBound(this.#sorted, key), 0, key);
    }
    this.#rows.set(key, value);
  }

  /** As if it had never been written. */
  unset(key: string): void {
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

/** Index of the first key that is not before `key`. */
function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(sorted[middle] as string, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The order of the keys' UTF-8 bytes, as the stores have it. */
export function compareKeys(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates sort after all other units in UTF-8, but below U+E000–U+FFFF in UTF-16.
    const xs = (x & 0xf800) === 0xd800;
    const ys = (y & 0xf800) === 0xd800;
    return xs === ys ? x - y : xs ? 1 : -1;
  }
  return a.length - b.length;
}
