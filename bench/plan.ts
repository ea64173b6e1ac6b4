/**
 * How long a run is going to take. The works first go through without measuring (contest.ts) and
 * lay down their turns with the seconds that each takes on an ordinary machine; what has been
 * measured then tells how much faster or slower this one is.
 */
export class Plan {
  #all = 0;
  #done = 0;
  #began: number | undefined;

  add(turns: number, seconds: number): void {
    this.#all += turns * (seconds + START_SECONDS);
  }

  get minutes(): number {
    return this.#all / 60;
  }

  begin(): void {
    this.#began = performance.now();
  }

  /** A turn that was to take so long is over. */
  did(seconds: number): void {
    this.#done += seconds + START_SECONDS;
  }

  /** As it has gone so far. */
  get minutesLeft(): number {
    const pace = this.#done === 0 ? 1 : this.#elapsed / this.#done;
    return (Math.max(0, this.#all - this.#done) * pace) / 60;
  }

  /** So far behind that only one round of each is measured from here on: a run has an end. */
  get overdue(): boolean {
    return this.#elapsed > LATE.times * this.#all + LATE.seconds;
  }

  get #elapsed(): number {
    return this.#began === undefined ? 0 : (performance.now() - this.#began) / 1000;
  }
}

/** A server's start, rest and end. */
const START_SECONDS = 0.6;
const LATE = { times: 2, seconds: 120 };
