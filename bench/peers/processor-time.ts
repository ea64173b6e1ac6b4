/** The processor time that another process has taken, exact to the nanosecond, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/** Of all its threads, microseconds. */
export function processorTime(pid: number | string): number {
  let nanoseconds = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  }
  return nanoseconds / 1000;
}
