/**
 * Time as the store counts it: `max(persisted high-water, wall clock at boot) + monotonic since`.
 * Leases, versions and expiry use it, so a wall clock that jumps moves nothing (rule 6). The
 * high-water mark is written with every commit. Tests inject a TimeSource that they drive.
 */

import { StoreError, type StoreMeta } from '../../store/store.js';

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
  #base = 0;
  #last = 0;

  constructor(source: TimeSource) {
    this.#source = source;
  }

  /** `highWater`: the largest time the store remembers, ms. `now`: what it is, where the store has followed it. */
  start(highWater: number, now = this.#source.wall()): void {
    this.#base = Math.max(highWater, now) - this.#source.monotonic();
  }

  /** Whole ms since the Unix epoch; never goes back. */
  now(): number {
    this.#last = Math.max(this.#last, Math.floor(this.#base + this.#source.monotonic()));
    return this.#last;
  }
}

const YEAR_MS = 366 * 86_400_000;
/** No server of ours ran before: a store with an earlier time had a machine without a clock. */
const FIRST_MS = Date.UTC(2026, 0);
/** A new store has no time to compare with. */
const LAST_NEW_MS = Date.UTC(2100, 0);
/** Versions and tokens are ms × 1024 and more: a year after it, in 2248, they leave the whole numbers. */
const LAST_MS = Math.floor(2 ** 53 / 1024) - YEAR_MS;

/**
 * Throws `unusable` when this boot would carry the store's time, which never goes back, into a future
 * that a wrong clock made up. `trusted`: somebody has looked at the clock.
 */
export function requireSaneTime(wall: number, { time, counter }: StoreMeta, trusted: boolean): void {
  if (time >= LAST_MS || counter >= LAST_MS * 1024) {
    throw new StoreError(
      'unusable',
      `the store's time has reached ${day(time)}, and its versions and tokens are used up: a clock was wrong. ` +
        'Restore a backup from before, or begin with an empty store',
    );
  }
  if (!(wall < LAST_MS)) {
    throw new StoreError('unusable', `this machine's clock says ${day(wall)}: set it right`);
  }
  const last = time < FIRST_MS ? LAST_NEW_MS : time + YEAR_MS;
  if (trusted || wall <= last) return;
  const known = time < FIRST_MS ? 'the store is new' : `the store was last written on ${day(time)}`;
  throw new StoreError(
    'unusable',
    `this machine's clock says ${day(wall)}, and ${known}: what it writes could never be earlier again. Set the clock ` +
      'right, or, when it is right, start once with --trust-clock (ROOMWIRE_TRUST_CLOCK=true, trustClock)',
  );
}

function day(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString().slice(0, 10);
}
