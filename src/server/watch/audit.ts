/**
 * Who was refused, kicked, or used an administrator's right; from where, and why. All ways lead here: frames, closes by
 * the server, upgrades, HTTP requests and plugins. Everything goes to the log at `info`, and what is of interest to
 * security to the audit trail. What watches hears every entry of the trail (metrics count them); what is written is
 * sampled when flooded, and says what it left out.
 */
import { errors, type CloseName } from '../../protocol/codes.js';
import type { RoomwireError } from '../../protocol/errors.js';
import { Sampler, type Log } from './log.js';
import type { Timer } from '../time/wheel.js';

export type AuditEvent =
  /** A connection or request without valid credentials. */
  | 'login_refused'
  /** Somebody known may not do this. */
  | 'denied'
  /** A limit was hit; `code` and `reason` say which. */
  | 'limit'
  | 'kicked'
  /** A write with an API key. */
  | 'admin'
  | 'lock_forced'
  /** A frame or request that breaks the protocol. */
  | 'protocol_breach'
  /** Entries that were left out of the trail since the last line: `of` and `count`. */
  | 'sampled';

export interface AuditEntry {
  readonly event: AuditEvent;
  readonly user?: string | undefined;
  readonly sid?: string | undefined;
  /** The peer's, or what a trusted proxy forwarded. */
  readonly address?: string | undefined;
  /** What it was about: a topic, a call, `POST /api/publish`, a limit. */
  readonly target?: string | undefined;
  readonly code?: string | undefined;
  readonly reason?: string | undefined;
  readonly of?: AuditEvent | undefined;
  readonly count?: number | undefined;
}

export interface AuditLine extends AuditEntry {
  /** ISO 8601. */
  readonly time: string;
}

/** What a refused request says to the trail; undefined: nothing worth a line. */
export function eventOfError({ code }: RoomwireError): AuditEvent | undefined {
  switch (code) {
    case errors.forbidden:
    case errors.not_member:
      return 'denied';
    case errors.too_many:
    case errors.limit_reached:
    case errors.too_large:
      return 'limit';
    case errors.unauthenticated:
    case errors.token_expired:
      return 'login_refused';
    case errors.unknown_op:
      return 'protocol_breach';
    default:
      return undefined;
  }
}

/** What the close of a connection by the server says to the trail. */
export function eventOfClose(name: CloseName): AuditEvent | undefined {
  switch (name) {
    case 'unauthenticated':
    case 'token_expired':
    case 'forbidden':
      return 'login_refused';
    case 'bad_frame':
    case 'text_frame':
    case 'bad_subprotocol':
    case 'hello_expected':
    case 'hello_timeout':
      return 'protocol_breach';
    case 'message_too_large':
    case 'overloaded':
    case 'too_slow':
      return 'limit';
    case 'kicked':
      return 'kicked';
    default:
      return undefined;
  }
}

/** What happened, for the log; `event` undefined: not for the trail. */
export type Incident = Omit<AuditEntry, 'event'> & { readonly event?: AuditEvent | undefined };

/** Lines of the trail a second of one event; more is counted. */
const LINES_A_SECOND = 50;
/** Lines of the log a second. */
const LOG_LINES_A_SECOND = 100;

export interface AuditOptions {
  readonly wall: () => number;
  readonly after: (ms: number, fn: () => void) => Timer;
  /** Writes the trail. */
  readonly write?: ((line: AuditLine) => void) | undefined;
  readonly log: Log;
  readonly failed: (error: unknown) => void;
}

export class Audit {
  readonly #options: AuditOptions;
  readonly #watchers: ((entry: AuditEntry) => void)[] = [];
  readonly #lines: Sampler<AuditEvent>;
  readonly #logLines: Sampler<'refused'>;

  constructor(options: AuditOptions) {
    this.#options = options;
    const { after, log } = options;
    const leftOut = (of: AuditEvent, count: number): void => this.#write({ event: 'sampled', of, count });
    this.#lines = new Sampler({ most: LINES_A_SECOND, after, leftOut });
    const notLogged = (_: 'refused', count: number): void => log.info({ count }, 'refused more than is logged');
    this.#logLines = new Sampler({ most: LOG_LINES_A_SECOND, after, leftOut: notLogged });
  }

  /** `watcher` hears every entry of the trail. */
  watch(watcher: (entry: AuditEntry) => void): void {
    this.#watchers.push(watcher);
  }

  /** Never throws. */
  add({ event, ...fields }: Incident): void {
    if (event !== undefined) this.#record({ ...fields, event });
    // A right that was used is no refusal.
    if (event === 'admin' || event === 'lock_forced') this.#options.log.info(fields, event);
    else if (this.#logLines.takes('refused')) this.#options.log.info(fields, 'refused');
  }

  #record(entry: AuditEntry): void {
    try {
      for (const watcher of this.#watchers) watcher(entry);
      if (this.#options.write !== undefined && this.#lines.takes(entry.event)) this.#write(entry);
    } catch (error) {
      this.#options.failed(error);
    }
  }

  #write(entry: AuditEntry): void {
    const { write, wall, failed } = this.#options;
    try {
      write?.({ time: new Date(wall()).toISOString(), ...entry });
    } catch (error) {
      failed(error);
    }
  }
}
