/** The program's log, made safe: it is called where nothing may throw (rule 8), and for what clients may provoke without end. */
import type { Timer } from '../time/wheel.js';

/** Structured log lines; pino fits. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Errors with one message a second: each may hold a stack trace. More is counted. */
const ERRORS_A_SECOND = 20;

/** `fn` where what it throws could only do harm. */
export function quietly<A extends unknown[]>(fn: (...args: A) => void): (...args: A) => void {
  return (...args) => {
    try {
      fn(...args);
    } catch {
      // Nobody is left to tell.
    }
  };
}

/** A log that never throws (a line is lost, not the server) and in which nobody can fill a disk with errors. */
export function safe(log: Log, after: (ms: number, fn: () => void) => Timer): Log {
  const level = (name: keyof Log): Log['info'] => quietly((fields, message) => log[name](fields, message));
  const error = level('error');
  const errors = new Sampler<string>({
    most: ERRORS_A_SECOND,
    after,
    leftOut: (message, count) => error({ count }, `more than is logged: ${message}`),
  });
  return {
    debug: level('debug'),
    info: level('info'),
    warn: level('warn'),
    error: (fields, message) => {
      if (errors.takes(message)) error(fields, message);
    },
  };
}

export interface SamplerOptions<K> {
  /** Lines a second of one kind. */
  readonly most: number;
  readonly after: (ms: number, fn: () => void) => Timer;
  readonly leftOut: (kind: K, count: number) => void;
}

/**
 * Lets through so many lines a second of each kind, so that whoever provokes them cannot fill a disk;
 * what it left out is counted and told when the second is over.
 */
export class Sampler<K> {
  readonly #options: SamplerOptions<K>;
  /** In the second that runs. */
  readonly #seen = new Map<K, number>();
  #counting = false;

  constructor(options: SamplerOptions<K>) {
    this.#options = options;
  }

  /** Whether this one is to be written. Kinds are the program's own: they are few, and each second begins anew. */
  takes(kind: K): boolean {
    const { most, after } = this.#options;
    const count = (this.#seen.get(kind) ?? 0) + 1;
    this.#seen.set(kind, count);
    if (!this.#counting) {
      this.#counting = true;
      after(1_000, () => this.#nextSecond());
    }
    return count <= most;
  }

  #nextSecond(): void {
    const { most, leftOut } = this.#options;
    const seen = [...this.#seen];
    this.#counting = false;
    this.#seen.clear();
    for (const [kind, count] of seen) if (count > most) leftOut(kind, count - most);
  }
}
