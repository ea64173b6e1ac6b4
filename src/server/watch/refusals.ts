/**
 * Every refusal with its reason, in the log at `info` and, where it is of interest to security, in the
 * audit trail. All ways lead here: frames, closes by the server, upgrades, HTTP requests and plugins.
 */
import type { Log } from '../api.js';
import type { Audit, AuditEntry, AuditEvent } from './audit.js';
import { Sampler } from './sampler.js';
import type { Timer } from '../time/wheel.js';

/** Lines a second; more is counted. */
const LINES_A_SECOND = 100;

/** `event` undefined: not one for the audit trail. */
export type Refusal = Omit<AuditEntry, 'event'> & { readonly event?: AuditEvent | undefined };

export class Refusals {
  readonly #audit: Audit;
  readonly #log: Log;
  readonly #lines: Sampler<'refused'>;

  constructor({
    audit,
    log,
    after,
  }: {
    readonly audit: Audit;
    readonly log: Log;
    readonly after: (ms: number, fn: () => void) => Timer;
  }) {
    this.#audit = audit;
    this.#log = log;
    const leftOut = (_: 'refused', count: number): void => log.info({ count }, 'refused more than is logged');
    this.#lines = new Sampler({ most: LINES_A_SECOND, after, leftOut });
  }

  add(refusal: Refusal): void {
    const { event, ...fields } = refusal;
    if (event !== undefined) this.#audit.add({ ...fields, event });
    // Who used a right was not refused.
    if (event === 'admin' || event === 'lock_forced') this.#log.info(fields, event);
    else if (this.#lines.takes('refused')) this.#log.info(fields, 'refused');
  }
}
