/** A value with listeners. Each `set` replaces the snapshot; listeners run at once and in order. */
import type { Observable } from './types.js';

export class Observed<T> implements Observable<T> {
  #value: T;
  #listeners: readonly ((value: T) => void)[] = [];
  readonly #report: (error: unknown) => void;

  constructor(value: T, report: (error: unknown) => void) {
    this.#value = value;
    this.#report = report;
  }

  get(): T {
    return this.#value;
  }

  set(value: T): void {
    if (value === this.#value) return;
    this.#value = value;
    for (const listener of this.#listeners) {
      try {
        listener(value);
      } catch (error) {
        this.#report(error);
      }
    }
  }

  /** A new snapshot, changed in these members. */
  merge(changes: Partial<T>): void {
    this.set({ ...this.#value, ...changes });
  }

  subscribe(listener: (value: T) => void): () => void {
    // Wrapped, so that the same function subscribed twice is removed once.
    const own = (value: T): void => listener(value);
    this.#listeners = [...this.#listeners, own];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== own);
    };
  }
}
