/**
 * The clock that leases are counted by: it never goes back, and goes on while the machine sleeps. Some
 * systems stop the monotonic clock meanwhile, which shows when the wall clock is ahead of it; but a wall
 * clock may be set, too. So that is a suspicion, which pulse.ts settles by asking the server.
 */
import { SLEEP_MS } from './bounds.js';
import type { Timers } from './types.js';

export interface Clock extends Timers {
  /** Ms by which the wall clock ran ahead since `slept`; 0 when that is nothing to suspect. */
  ahead(): number;
  /** So many ms went by unseen. */
  slept(ms: number): void;
}

export function clockOf(timers: Timers): Clock {
  let slept = 0;
  const lead = (): number => (timers.wall ? timers.wall() - timers.now() : 0);
  let known = lead();
  return {
    setTimeout: (run, ms) => timers.setTimeout(run, ms),
    clearTimeout: (handle) => timers.clearTimeout(handle),
    now: () => timers.now() + slept,
    ahead() {
      const ahead = lead() - known;
      if (ahead > SLEEP_MS) return ahead;
      // Set back, or drifting.
      known += ahead;
      return 0;
    },
    slept(ms) {
      slept += ms;
      known = lead();
    },
  };
}
