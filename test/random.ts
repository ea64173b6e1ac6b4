/** Seeded randomness for tests: a failure names its seed, and SEED=… runs it again. */
export interface Random {
  readonly seed: number;
  /** From 0 up to 1, as Math.random. */
  next(): number;
  /** An integer from 0 up to, not including, `below`. */
  below(below: number): number;
  /** True with the given probability. */
  chance(probability: number): boolean;
}

/** The seed in SEED, else a new one. */
export function environmentSeed(): number {
  const { SEED } = process.env;
  return SEED === undefined || SEED === '' ? Math.floor(Math.random() * 2 ** 31) : Number(SEED);
}

/** Mulberry32: small, fast, good enough to shuffle a test. */
export function random(seed = environmentSeed()): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    seed,
    next,
    below: (below) => Math.floor(next() * below),
    chance: (probability) => next() < probability,
  };
}
