/**
 * How often a session and its user may do something: calls, publishes, joins. Each is a token bucket
 * that holds two seconds' worth, kept as the one number of the generic cell rate algorithm (ITU-T
 * I.371): the time at which the bucket will be full again.
 */
import type { RoomwireError } from '../../protocol/errors.js';
import type { Limits } from '../../protocol/limits.js';
import { fits, topicPattern } from '../../protocol/pattern.js';
import { refusal } from '../wire/refusal.js';

/** What is counted. A volatile event is a publish; SUBSCRIBE and UNSUBSCRIBE are joins; `join:room` is a call. */
export type Rated = 'calls' | 'publishes' | 'joins';

/**
 * Narrower rates for one session, a second, by namespace: a call's name or `prefix*`, a topic pattern.
 * They hold beside the limits' own.
 */
export interface RateOptions {
  readonly calls?: Readonly<Record<string, number>>;
  readonly publishes?: Readonly<Record<string, number>>;
  readonly joins?: Readonly<Record<string, number>>;
}

/** Seconds' worth that may come at once. */
const BURST_SECONDS = 2;
const KINDS: readonly Rated[] = ['calls', 'publishes', 'joins'];
/** The bucket of strays, after those. */
const STRAYS = KINDS.length;
const NONE: readonly Namespace[] = [];
/** Names come from outside: what is remembered of them is bounded (rule 4). */
const REMEMBERED = 10_000;

/** The buckets of a session or user; it has none until it does something. */
export interface Spender {
  /** Ms of the monotonic clock, by bucket. */
  buckets: number[] | undefined;
}

interface Namespace {
  readonly bucket: number;
  readonly perSecond: number;
  matches(name: string): boolean;
}

/** Ms until one more may come; 0: now. `burst`: how many may come at once. */
export function waitFor(fullAt: number, now: number, perSecond: number, burst = burstOf(perSecond)): number {
  const wait = fullAt - now - (burst - 1) * (1_000 / perSecond);
  // Sums of thirds are not whole: a rounding is no wait.
  return wait > 1e-6 ? wait : 0;
}

/** At least one: a bucket that never holds a whole one, at a rate below a half, would let nothing through. */
function burstOf(perSecond: number): number {
  return Math.max(1, BURST_SECONDS * perSecond);
}

/** The new time at which the bucket is full, after one more. */
export function spend(fullAt: number, now: number, perSecond: number): number {
  return Math.max(fullAt, now) + 1_000 / perSecond;
}

export class Rates {
  /** A second, by kind; 0: as many as they like. */
  readonly #session: readonly number[];
  readonly #user: readonly number[];
  readonly #namespaces: Readonly<Record<Rated, readonly Namespace[]>>;
  readonly #found: Readonly<Record<Rated, Map<string, readonly Namespace[]>>> = {
    calls: new Map(),
    publishes: new Map(),
    joins: new Map(),
  };
  readonly #size: number;

  /** Throws a TypeError for a malformed pattern or rate. */
  constructor(limits: Limits, options: RateOptions = {}) {
    this.#session = [limits.callsPerSecond, limits.publishesPerSecond, limits.joinsPerSecond, limits.straysPerSecond];
    this.#user = [
      limits.userCallsPerSecond,
      limits.userPublishesPerSecond,
      limits.userJoinsPerSecond,
      limits.userStraysPerSecond,
    ];
    let bucket = STRAYS + 1;
    const namespaces = (kind: Rated): readonly Namespace[] =>
      Object.entries(options[kind] ?? {}).map(([pattern, perSecond]) => {
        if (!(perSecond > 0)) throw new TypeError(`rates.${kind}['${pattern}'] must be a number above 0`);
        return { bucket: bucket++, perSecond, matches: matcher(kind, pattern) };
      });
    this.#namespaces = { calls: namespaces('calls'), publishes: namespaces('publishes'), joins: namespaces('joins') };
    this.#size = bucket;
  }

  /** Counts one. Throws too_many with `retryAfterMs`, and counts nothing, when a bucket is empty. */
  take(kind: Rated, name: string, session: Spender, user: Spender, now: number): void {
    const index = KINDS.indexOf(kind);
    const perSession = this.#session[index] as number;
    const perUser = this.#user[index] as number;
    const namespaces = this.#namespaces[kind].length === 0 ? NONE : this.#namespacesOf(kind, name);
    if (perSession === 0 && perUser === 0 && namespaces.length === 0) return;
    const mine = (session.buckets ??= new Array<number>(this.#size).fill(0));
    const ours = (user.buckets ??= new Array<number>(STRAYS + 1).fill(0));
    let wait = perSession > 0 ? waitFor(mine[index] as number, now, perSession) : 0;
    if (perUser > 0) wait = Math.max(wait, waitFor(ours[index] as number, now, perUser));
    for (const { bucket, perSecond } of namespaces) {
      wait = Math.max(wait, waitFor(mine[bucket] as number, now, perSecond));
    }
    if (wait > 0) throw tooMany(Math.ceil(wait), `too many ${kind}`);
    if (perSession > 0) mine[index] = spend(mine[index] as number, now, perSession);
    if (perUser > 0) ours[index] = spend(ours[index] as number, now, perUser);
    for (const { bucket, perSecond } of namespaces) mine[bucket] = spend(mine[bucket] as number, now, perSecond);
  }

  /**
   * Counts `weight` strays: frames that were refused, or that nothing else counts. False: it is too many, and not
   * to be refused one by one, which costs as much as what is refused.
   */
  stray(weight: number, session: Spender, user: Spender, now: number): boolean {
    const mine = (session.buckets ??= new Array<number>(this.#size).fill(0));
    const ours = (user.buckets ??= new Array<number>(STRAYS + 1).fill(0));
    return this.#spendStrays(mine, this.#session, weight, now) && this.#spendStrays(ours, this.#user, weight, now);
  }

  #spendStrays(buckets: number[], rates: readonly number[], weight: number, now: number): boolean {
    const perSecond = rates[STRAYS] as number;
    if (perSecond === 0) return true;
    const fullAt = buckets[STRAYS] as number;
    if (waitFor(fullAt, now, perSecond) > 0) return false;
    buckets[STRAYS] = Math.max(fullAt, now) + (weight * 1_000) / perSecond;
    return true;
  }

  #namespacesOf(kind: Rated, name: string): readonly Namespace[] {
    const known = this.#found[kind];
    let found = known.get(name);
    if (found === undefined) {
      found = this.#namespaces[kind].filter((namespace) => namespace.matches(name));
      if (known.size >= REMEMBERED) known.clear();
      known.set(name, found);
    }
    return found;
  }
}

/** One rate for many keys, such as users or addresses. Keys come from outside: those idle the longest are forgotten (rule 4). */
export class KeyedRate {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #now: () => number;
  /** Ms of the clock at which the key's bucket is full. */
  readonly #fullAt = new Map<string, number>();

  /** `now`: ms that never go back. Throws a TypeError for a rate that is not above 0. */
  constructor(perSecond: number, now: () => number, burst = burstOf(perSecond)) {
    if (!(perSecond > 0)) throw new TypeError('a rate must be a number above 0');
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#now = now;
  }

  /** Counts one, or as much as `weight`. Throws too_many, and counts nothing, when it comes too early. */
  take(key: string, weight = 1): void {
    const now = this.#now();
    const fullAt = this.#fullAt.get(key) ?? 0;
    const wait = waitFor(fullAt, now, this.#perSecond, this.#burst);
    if (wait > 0) throw tooMany(Math.ceil(wait), 'too many requests');
    // The last to come is the last in the map, so that the oldest go first.
    this.#fullAt.delete(key);
    this.#fullAt.set(key, spend(fullAt, now, this.#perSecond / weight));
    if (this.#fullAt.size > REMEMBERED) this.#fullAt.delete(this.#fullAt.keys().next().value as string);
  }
}

/** What a client is told to wait for when too much of its own is under way: answers may come before. */
export const WAITING_MS = 100;

/** The refusal of what would be taken later: `details.retryAfterMs` says when. */
export function tooMany(retryAfterMs: number, message?: string, cause?: unknown): RoomwireError {
  return refusal('too_many', message, { details: { retryAfterMs }, cause });
}

function matcher(kind: Rated, pattern: string): (name: string) => boolean {
  if (kind === 'calls') return (name) => fits(pattern, name);
  const topics = topicPattern(pattern);
  return (name) => topics.match(name) !== undefined;
}
