/**
 * The audit trail: who was refused, kicked, or used an administrator's right; from where, and what.
 * Everything that watches hears every entry (metrics count them); the trail that is written is
 * sampled when flooded, and says what it left out.
 */
import { errors, type CloseName } from '../../protocol/codes.js';
import type { RoomwireError } from '../../protocol/errors.js';
import { Sampler } from './sampler.js';
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

/** Lines a second of one event; more is counted. */
const LINES_A_SECOND = 50;

export interface AuditOptions {
  readonly wall: () => number;
  readonly after: (ms: number, fn: () => void) => Timer;
  /** Writes the trail. */
  readonly write?: ((line: AuditLine) => void) | undefined;
  readonly failed: (error: unknown) => void;
}

export class Audit {
  readonly #options: AuditOptions;
  readonly #watchers: ((entry: AuditEntry) => void)[] = [];
  readonly #lines: Sampler<AuditEvent>;

  constructor(options: AuditOptions) {
    this.#options = options;
    const { after } = options;
    const leftOut = (of: AuditEvent, count: number): void => this.#write({ event: 'sampled', of, count });
    this.#lines = new Sampler({ most: LINES_A_SECOND, after, leftOut });
  }

  /** `watcher` hears every entry. */
  watch(watcher: (entry: AuditEntry) => void): void {
    this.#watchers.push(watcher);
  }

  /** Never throws. */
  add(entry: AuditEntry): void {
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
