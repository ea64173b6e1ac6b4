/**
 * Lets through so many lines a second of each kind, so that whoever provokes them cannot fill a disk;
 * what it left out is counted and told when the second is over.
 */
import type { Timer } from '../time/wheel.js';

export interface SamplerOptions<K> {
  /** Lines a second of one kind. */
  readonly most: number;
  readonly after: (ms: number, fn: () => void) => Timer;
  readonly leftOut: (kind: K, count: number) => void;
}

export class Sampler<K> {
  readonly #options: SamplerOptions<K>;
  /** In the second that runs. */
  readonly #seen = new Map<K, number>();
  #counting = false;

  constructor(options: SamplerOptions<K>) {
    this.#options = options;
  }

  /** Whether this one is to be written. Kinds are the program's own: they are few, and each second begins anew. */
  takes(kind: K): boolean {
    const { most, after } = this.#options;
    const count = (this.#seen.get(kind) ?? 0) + 1;
    this.#seen.set(kind, count);
    if (!this.#counting) {
      this.#counting = true;
      after(1_000, () => this.#nextSecond());
    }
    return count <= most;
  }

  #nextSecond(): void {
    const { most, leftOut } = this.#options;
    const seen = [...this.#seen];
    this.#counting = false;
    this.#seen.clear();
    for (const [kind, count] of seen) if (count > most) leftOut(kind, count - most);
  }
}
