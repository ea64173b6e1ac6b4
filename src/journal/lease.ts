/**
 * Time between nodes whose clocks need not agree: how long a hub may answer reads without asking the log, when a standby
 * takes over, and what the time of the store is at a standby. All of it counts monotonic time.
 */

export interface Time {
  /** Ms since the Unix epoch; may jump. */
  wall(): number;
  /** Ms since any point; never jumps. */
  monotonic(): number;
  /** Calls `fn` about every `ms` until the returned function is called. */
  every(ms: number, fn: () => void): () => void;
}

/** Both clocks, less so much, went equally: the process, or its machine, was not stopped. */
const DRIFT_MS = 200;

/** The hub's: nobody takes over before a standby has waited longer than this since the record that was sent then. */
export class Lease {
  readonly #time: Time;
  readonly #ms: number;
  #sent = -Infinity;
  #sentWall = 0;

  constructor(time: Time, ms: number) {
    this.#time = time;
    this.#ms = ms;
  }

  /** To be called as an append is sent for the first time; what it returns, once it is acknowledged. */
  sending(): () => void {
    const sent = this.#time.monotonic();
    const wall = this.#time.wall();
    return () => {
      this.#sent = sent;
      this.#sentWall = wall;
    };
  }

  /** Whether reads may be answered. */
  get holds(): boolean {
    const passed = this.#time.monotonic() - this.#sent;
    return passed < this.#ms && Math.abs(this.#time.wall() - this.#sentWall - passed) <= DRIFT_MS;
  }

  /** Ms since the last append that was acknowledged was sent. */
  get age(): number {
    return this.#time.monotonic() - this.#sent;
  }
}

/** A standby's: how long the hub has written nothing, as far as the log was there to be asked. */
export class Silence {
  readonly #time: Time;
  #counted = 0;
  #since: number | undefined;
  #heard: number | undefined;

  constructor(time: Time) {
    this.#time = time;
  }

  /** A record of the hub's has come. */
  heard(): void {
    this.#heard = this.#time.monotonic();
    this.#counted = 0;
    this.#since = undefined;
  }

  /** The log has answered that there is nothing new: the time since it did so before counts, up to `most` ms. */
  answered(most: number): void {
    const now = this.#time.monotonic();
    if (this.#since !== undefined) this.#counted += Math.min(now - this.#since, most);
    this.#since = now;
  }

  /** It did not answer, or has something that has not come yet. */
  unknown(): void {
    this.#since = undefined;
  }

  get ms(): number {
    return this.#counted;
  }

  /** Ms since the hub wrote; undefined: it never did while this node listened. */
  get age(): number | undefined {
    return this.#heard === undefined ? undefined : this.#time.monotonic() - this.#heard;
  }
}

/** Store time as a standby follows it: never ahead of the hub's, and not behind what it told when it takes over. */
export class FollowedTime {
  readonly #time: Time;
  #base = -Infinity;

  constructor(time: Time) {
    this.#time = time;
  }

  /** A record written at this time has just come. */
  heard(time: number): void {
    this.#base = Math.max(this.#base, time - this.#time.monotonic());
  }

  /** Undefined: no record came while this node listened. */
  get now(): number | undefined {
    return this.#base === -Infinity ? undefined : Math.ceil(this.#base + this.#time.monotonic());
  }
}
