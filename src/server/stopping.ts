/**
 * What an orderly stop waits for before it says goodbye: calls whose handler runs, keyed ones also when
 * nobody waits for them any more (their result is kept), publishes that a policy is asked about, and
 * HTTP requests. Bounded; whoever only waits in a line is sent away.
 */
import type { Connection } from './connection/connection.js';
import type { CallTable } from './calls/table.js';

/** Ms between two looks; a stop is no place to be faster. */
const LOOK_MS = 10;

export interface UnderWay {
  readonly connections: Iterable<Connection>;
  readonly calls: CallTable;
  /** HTTP requests that are being answered. */
  readonly requests: () => number;
}

/** Resolves when nothing is under way, or after `ms`. */
export async function answered({ connections, calls, requests }: UnderWay, ms: number): Promise<void> {
  const until = performance.now() + ms;
  const isBusy = (): boolean => {
    if (requests() > 0 || calls.keyedUnderWay > 0) return true;
    for (const connection of connections) if (connection.underWay) return true;
    return false;
  };
  while (isBusy() && performance.now() < until) await pause(LOOK_MS);
}

/** Of the true clock: a stop must come to its end. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
