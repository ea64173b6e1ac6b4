/** A log for programs that bring none: each event is one line on stderr, whatever it holds. */
import type { Log } from './log.js';

function write(fields: object, message: string): void {
  process.stderr.write(`${message.replace(/\s*\n\s*/g, ' ')} ${JSON.stringify(fields, plain)}\n`);
}

/** What JSON would lose or refuse. A stack's line ends are escaped, as all of a string's. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Error ? (value.stack ?? value.message) : value;
}

/** For `log` of createServer: all but `debug`, as the message and its fields in JSON. Pino is another. */
export const lineLog: Log = { debug() {}, info: write, warn: write, error: write };
