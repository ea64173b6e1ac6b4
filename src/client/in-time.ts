/** What the application or the network may never answer has an end all the same. */
import { RoomwireError } from '../protocol/errors.js';
import { ANSWER_MS } from './bounds.js';
import type { Clock } from './clock.js';

/** Rejects with `deadline` after ANSWER_MS. */
export async function inTime<T>(clock: Clock, what: string, run: () => T | Promise<T>): Promise<T> {
  const alarm = clock.alarm();
  const late = (_: unknown, reject: (error: RoomwireError) => void): void =>
    alarm(ANSWER_MS, () => reject(new RoomwireError('deadline', `${what}: no answer`)));
  // Where `run` throws there is nothing to wait for.
  return Promise.race([run(), new Promise<never>(late)]).finally(() => alarm());
}
