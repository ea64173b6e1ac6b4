/**
 * What an orderly stop waits for before it says goodbye: calls whose handler runs, keyed ones also when
 * nobody waits for them any more (their result is kept), publishes that a policy is asked about, and
 * HTTP requests. Bounded, by the true clock: a stop must come to its end. Whoever only waits in a line is sent away.
 */
import type { Parts } from './parts.js';

/** Ms between two looks; a stop is no place to be faster. */
const LOOK_MS = 10;

/** Resolves when nothing is under way, or after `ms`. */
export async function answered({ entrance, calls, connections }: Parts, ms: number): Promise<void> {
  const until = performance.now() + ms;
  const isBusy = (): boolean => entrance.answering > 0 || calls.keyedUnderWay > 0 || connections.underWay;
  while (isBusy() && performance.now() < until) await pause(LOOK_MS);
}

/** Resolves when nothing waits for the store any more, or after `ms`. */
export function settled({ hub }: Parts, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    void hub.settled().then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
