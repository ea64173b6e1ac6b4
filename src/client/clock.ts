/**
 * The clock that leases are counted by: it never goes back, and goes on while the machine sleeps. Some
 * systems stop the monotonic clock meanwhile, which shows when the wall clock is ahead of it; but a wall
 * clock may be set, too. So that is a suspicion, which pulse.ts settles by asking the server.
 */
import { MAX_TIMEOUT_MS, SLEEP_MS } from './bounds.js';
import type { Timers } from './types.js';

/** One timer. Each call ends what the one before it waits for, and waits itself if there is something to run. */
export type Alarm = (ms?: number, run?: () => void) => void;

export interface Clock {
  now(): number;
  alarm(): Alarm;
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
    now: () => timers.now() + slept,
    alarm() {
      let timer: unknown;
      return (ms = 0, run) => {
        timers.clearTimeout(timer);
        timer = run && timers.setTimeout(run, Math.min(ms, MAX_TIMEOUT_MS));
      };
    },
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
