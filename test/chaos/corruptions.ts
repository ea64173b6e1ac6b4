/**
 * The test of the checker: ways to spoil the history of a good run, each at a place that a seed picks, and the rule by
 * which it must be found. What is spoilt is what was really recorded, so that a checker which finds nothing in it would
 * have found this.
 */
import type { Test } from 'tap';
import { random } from '../random.js';
import { beliefCorruptions } from './belief-corruptions.js';
import { check } from './checker.js';
import { deliveryCorruptions } from './delivery-corruptions.js';
import type { History } from './history.js';
import { lockCorruptions } from './lock-corruptions.js';
import { Spoilt, type Corruption } from './spoilt.js';

export const corruptions = {
  delivery: deliveryCorruptions,
  locks: lockCorruptions,
  beliefs: beliefCorruptions,
} as const;

const SEEDS = 2;

/** Each kind is made at some places in `history`, which was found good, and must be found by its rule. */
export function findsAll(t: Test, history: History, kinds: readonly Corruption[], seed: number): void {
  let made = 0;
  for (const { what, rule, spoil } of kinds) {
    for (let i = 0; i < SEEDS; i++) {
      const spoilt = new Spoilt(history, random(seed + made++));
      spoil(spoilt);
      const { broken, complaints } = check(spoilt.entries);
      if (!broken.has(rule)) t.fail(`SEED=${seed}: "${what}" does not break "${rule}"`, { complaints });
    }
  }
  t.pass(`${made} corruptions of ${history.length} entries`);
}
