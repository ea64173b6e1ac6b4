/** A value with listeners. Each `set` replaces the snapshot; listeners hear of each, in order. */
import { Emitter } from './emitter.js';
import type { Observable } from './types.js';

export class Observed<T> implements Observable<T> {
  #value: T;
  readonly #listeners: Emitter;
  /** What is yet to be told: a listener may set another value. */
  readonly #news: T[] = [];

  constructor(value: T, report: (error: unknown) => void) {
    this.#value = value;
    this.#listeners = new Emitter(report);
  }

  get(): T {
    return this.#value;
  }

  set(value: T): void {
    if (value === this.#value) return;
    this.#value = value;
    if (this.#news.push(value) > 1) return;
    for (; this.#news.length > 0; this.#news.shift()) this.#listeners.notify('', this.#news[0]);
  }

  /** A new snapshot, changed in these members. */
  merge(changes: Partial<T>): void {
    this.set({ ...this.#value, ...changes });
  }

  subscribe(listener: (value: T) => void): () => void {
    // With no second argument, as an event's handler has: the listener may be any function.
    return this.#listeners.on('', (value) => listener(value));
  }
}
