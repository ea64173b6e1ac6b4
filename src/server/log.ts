/** The program's log, made safe: it is called where nothing may throw (rule 8). */
import type { Log } from './api.js';

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** A log that never throws: a line is lost, not the server. */
export function quietly(log: Log): Log {
  const guard =
    (level: keyof Log) =>
    (fields: object, message: string): void => {
      try {
        log[level](fields, message);
      } catch {
        // Nobody is left to tell.
      }
    };
  return { debug: guard('debug'), info: guard('info'), warn: guard('warn'), error: guard('error') };
}
