/** A set of whole numbers kept as the stretches it is made of: what is missing or failed is seldom alone. */

export class Ranges {
  /** From and to (exclusive) in turn, ascending; stretches neither overlap nor touch. */
  readonly #edges: number[] = [];

  /** How many numbers. */
  get size(): number {
    let size = 0;
    for (let i = 0; i < this.#edges.length; i += 2) size += this.#edge(i + 1) - this.#edge(i);
    return size;
  }

  /** How many stretches, which is what it costs in memory. */
  get pieces(): number {
    return this.#edges.length / 2;
  }

  has(number: number): boolean {
    const i = this.#firstEndingAfter(number);
    return i < this.#edges.length && this.#edge(i) <= number;
  }

  /** Adds `from` up to but not including `to`. */
  add(from: number, to: number): void {
    if (from >= to) return;
    // The first that ends at `from` or later may touch it.
    const first = this.#firstEndingAfter(from - 1);
    let last = first;
    while (last < this.#edges.length && this.#edge(last) <= to) last += 2;
    const merged =
      last === first ? [from, to] : [Math.min(from, this.#edge(first)), Math.max(to, this.#edge(last - 1))];
    this.#edges.splice(first, last - first, ...merged);
  }

  /** Says whether it was there. */
  delete(number: number): boolean {
    if (!this.has(number)) return false;
    const i = this.#firstEndingAfter(number);
    const [from, to] = [this.#edge(i), this.#edge(i + 1)];
    const rest: number[] = [];
    if (from < number) rest.push(from, number);
    if (number + 1 < to) rest.push(number + 1, to);
    this.#edges.splice(i, 2, ...rest);
    return true;
  }

  /** Those that are not in `other`. */
  without(other: Ranges): Ranges {
    const left = new Ranges();
    for (let i = 0; i < this.#edges.length; i += 2) {
      const to = this.#edge(i + 1);
      let from = this.#edge(i);
      for (let j = other.#firstEndingAfter(from); j < other.#edges.length && other.#edge(j) < to; j += 2) {
        left.add(from, other.#edge(j));
        from = other.#edge(j + 1);
      }
      left.add(from, to);
    }
    return left;
  }

  /** Where the first stretch begins that has `number` or lies after it. */
  #firstEndingAfter(number: number): number {
    let [low, high] = [0, this.pieces];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#edge(middle * 2 + 1) > number) high = middle;
      else low = middle + 1;
    }
    return low * 2;
  }

  #edge(i: number): number {
    return this.#edges[i] as number;
  }
}
