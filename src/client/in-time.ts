/** What the application or the network may never answer has an end all the same. */
import { RoomwireError } from '../protocol/errors.js';
import { ANSWER_MS } from './bounds.js';
import type { Clock } from './clock.js';

/** Rejects with `deadline` after ANSWER_MS. */
export async function inTime<T>(clock: Clock, what: string, run: () => T | Promise<T>): Promise<T> {
  const alarm = clock.alarm();
  const late = new Promise<never>((_, reject) => {
    const end = (): void => reject(new RoomwireError('deadline', `${what}: no answer`));
    alarm(ANSWER_MS, end);
  });
  try {
    return await Promise.race([late, run()]);
  } finally {
    alarm();
  }
}
