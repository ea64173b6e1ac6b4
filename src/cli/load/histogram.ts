/**
 * Percentiles of times in bounded memory: counts in buckets that widen with the time (64 to each doubling).
 * A percentile is off by at most 0.8 % or half a microsecond, whichever is more. The largest time is exact;
 * beyond 71 minutes percentiles say 71 minutes.
 */

/** Buckets to a doubling, as a power of two. */
const STEP_BITS = 6;
const STEPS = 1 << STEP_BITS;
/** Microseconds are counted as 32-bit numbers. */
const TOP = 2 ** 32 - 1;

export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export class Histogram {
  readonly #buckets = new Float64Array((32 - STEP_BITS + 1) * STEPS);
  #count = 0;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  add(ms: number): void {
    const bucket = bucketOf(Math.min(TOP, Math.max(0, ms * 1000)));
    this.#buckets[bucket] = (this.#buckets[bucket] as number) + 1;
    this.#count++;
    if (ms > this.#max) this.#max = ms;
  }

  /** In ms; null before the first time. */
  percentiles(): Percentiles | null {
    if (this.#count === 0) return null;
    return { p50: this.#at(0.5), p90: this.#at(0.9), p99: this.#at(0.99), max: this.#max };
  }

  #at(share: number): number {
    let left = Math.ceil(share * this.#count);
    const bucket = this.#buckets.findIndex((count) => (left -= count) <= 0);
    return Math.min(this.#max, middleOf(bucket) / 1000);
  }
}

/** Up to 128 µs a bucket is a microsecond; above, the top bits of the number say which one it is. */
function bucketOf(micros: number): number {
  const whole = micros >>> 0;
  if (whole < STEPS) return whole;
  const shift = 31 - Math.clz32(whole) - STEP_BITS;
  return shift * STEPS + (whole >>> shift);
}

function middleOf(bucket: number): number {
  if (bucket < STEPS) return bucket + 0.5;
  const shift = (bucket >> STEP_BITS) - 1;
  return (bucket - shift * STEPS + 0.5) * 2 ** shift;
}
