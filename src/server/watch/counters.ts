/**
 * What the server counts on its way: plain integers that hub, outboxes, connections and calls add to,
 * and that `stats()` shows. On the path of a delivery nothing is added but per topic and tick.
 */
import { closeName, errorName } from '../../protocol/codes.js';
import type { RoomwireError } from '../../protocol/errors.js';

/** Upper bounds of the buckets, seconds. */
const BOUNDS = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

/** How long something took, as a histogram. */
export class Timing {
  readonly bounds: readonly number[] = BOUNDS;
  /** By bucket, not cumulated; the last one has what is above all bounds. */
  readonly counts: number[] = new Array<number>(BOUNDS.length + 1).fill(0);
  /** Seconds in all. */
  sum = 0;

  /** `since`: of performance.now(). */
  add(since: number): void {
    const seconds = (performance.now() - since) / 1_000;
    let bucket = 0;
    while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] as number)) bucket++;
    (this.counts[bucket] as number)++;
    this.sum += seconds;
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }
}

/** What became of the calls of one name. */
export class CallCounts {
  /** By `ok` or the error's name; `other` for codes of the application's own. */
  readonly results = new Map<string, number>();
  readonly duration = new Timing();

  refused(error: RoomwireError): void {
    this.#add(errorName(error.code) ?? 'other');
  }

  /** `error` undefined: it was acknowledged. */
  ended(since: number, error: RoomwireError | undefined): void {
    this.duration.add(since);
    this.#add(error === undefined ? 'ok' : (errorName(error.code) ?? 'other'));
  }

  #add(result: string): void {
    this.results.set(result, (this.results.get(result) ?? 0) + 1);
  }
}

/** Close codes of RFC 6455 that peers send; any other that is not ours counts as `other`. */
const STANDARD = new Set([1000, 1001, 1002, 1005, 1006, 1007, 1009, 1011]);

export class Counters {
  /** Connections that were welcomed. */
  connected = 0;
  /** Connections that ended, by the close code's name, a standard code's number or `other`. */
  readonly disconnected = new Map<string, number>();
  messagesIn = 0;
  framesIn = 0;
  bytesIn = 0;
  /** Events appended to topics. */
  events = 0;
  /** Those, times the subscribers that were in the topic. */
  deliveries = 0;
  /** The bytes of these deliveries. */
  deliveryBytes = 0;
  /** Bytes of replies and notices. */
  replyBytes = 0;
  /** Bytes sent from the history to clients that resumed, or were slow. */
  catchUpBytes = 0;
  /** RESETs told: clients too slow for the history. */
  resets = 0;
  /** Bytes sent to those who follow topics over HTTP. */
  liveBytes = 0;
  /** Commits the store refused. */
  commitsRefused = 0;
  /** From a commit's begin to its end, retries included. */
  readonly commit = new Timing();
  /** What follows a commit: replies and one frame a topic, until the sockets have them. */
  readonly flush = new Timing();
  readonly #calls = new Map<string, CallCounts>();
  readonly #unknownCalls = new CallCounts();

  constructor(calls: readonly string[]) {
    for (const name of calls) this.#calls.set(name, new CallCounts());
  }

  /** By call of the contract; those it does not have count together under ''. */
  get calls(): ReadonlyMap<string, CallCounts> {
    return new Map([...this.#calls, ['', this.#unknownCalls]]);
  }

  /** Names come from outside: only the contract's are remembered (rule 4). */
  call(name: string): CallCounts {
    return this.#calls.get(name) ?? this.#unknownCalls;
  }

  closed(code: number): void {
    const name = closeName(code) ?? (STANDARD.has(code) ? String(code) : 'other');
    this.disconnected.set(name, (this.disconnected.get(name) ?? 0) + 1);
  }
}
