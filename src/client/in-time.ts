/** What the application or the network may never answer has an end all the same. */
import { RoomwireError } from '../protocol/errors.js';
import type { Timers } from './types.js';

/** Rejects with `deadline` after `ms`. */
export function inTime<T>(timers: Timers, ms: number, what: string, run: () => T | Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new RoomwireError('deadline', `${what} took more than ${ms / 1_000} s`));
    const timer = timers.setTimeout(late, ms);
    const end = (): void => timers.clearTimeout(timer);
    const done = new Promise<T>((settle) => settle(run()));
    done.then(resolve, reject);
    done.then(end, end);
  });
}
