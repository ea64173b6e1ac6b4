/** Latencies as they come: the highest, and a fair choice of all of them when there are many. */
export class Latencies {
  readonly #values = new Float64Array(100_000);
  #seen = 0;
  max = 0;

  add(ms: number): void {
    const { length } = this.#values;
    const index = this.#seen < length ? this.#seen : Math.floor(Math.random() * (this.#seen + 1));
    this.#seen++;
    if (index < length) this.#values[index] = ms;
    if (ms > this.max) this.max = ms;
  }

  sorted(): Float64Array {
    return this.#values.slice(0, Math.min(this.#seen, this.#values.length)).sort();
  }
}
