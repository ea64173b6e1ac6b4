/** The program's log, made safe: it is called where nothing may throw (rule 8), and for what clients may provoke without end. */
import type { Log } from '../api.js';
import { Sampler } from './sampler.js';
import type { Timer } from '../time/wheel.js';

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Errors with one message a second: each may hold a stack trace. More is counted. */
const ERRORS_A_SECOND = 20;

/** A log that never throws (a line is lost, not the server) and in which nobody can fill a disk with errors. */
export function quietly(log: Log, after: (ms: number, fn: () => void) => Timer): Log {
  const guard =
    (level: keyof Log) =>
    (fields: object, message: string): void => {
      try {
        log[level](fields, message);
      } catch {
        // Nobody is left to tell.
      }
    };
  const error = guard('error');
  const errors = new Sampler<string>({
    most: ERRORS_A_SECOND,
    after,
    leftOut: (message, count) => error({ count }, `more than is logged: ${message}`),
  });
  return {
    debug: guard('debug'),
    info: guard('info'),
    warn: guard('warn'),
    error: (fields, message) => {
      if (errors.takes(message)) error(fields, message);
    },
  };
}
