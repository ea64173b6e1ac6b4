/**
 * Time as the store counts it: `max(persisted high-water, wall clock at boot) + monotonic since`.
 * Leases, versions and expiry use it, so a wall clock that jumps moves nothing (rule 6). The
 * high-water mark is written with every commit. Tests inject a TimeSource that they drive.
 */

/** Where time and ticks come from. */
export interface TimeSource {
  /** Ms since the Unix epoch; may jump. */
  wall(): number;
  /** Ms since any point; never jumps. */
  monotonic(): number;
  /** Calls `fn` about every `ms` until the returned function is called. */
  every(ms: number, fn: () => void): () => void;
  /** Calls `fn` once all input that waits now was handed over. */
  afterInput(fn: () => void): void;
}

export const systemTime: TimeSource = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  every(ms, fn) {
    const timer = setInterval(fn, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
  // The first comes after one look at the sockets, the second after what that look brought was answered.
  afterInput: (fn) => void setImmediate(() => setImmediate(fn)),
};

export class Clock {
  readonly #source: TimeSource;
  readonly #base: number;
  #last = 0;

  /** `highWater`: the largest time the store remembers, ms. */
  constructor(source: TimeSource, highWater: number) {
    this.#source = source;
    this.#base = Math.max(highWater, source.wall()) - source.monotonic();
  }

  /** Whole ms since the Unix epoch; never goes back. */
  now(): number {
    this.#last = Math.max(this.#last, Math.floor(this.#base + this.#source.monotonic()));
    return this.#last;
  }
}
