/** Requests of one kind: as many at a time, and as often, as WELCOME says that the server takes. */
import { BURST_MS } from './bounds.js';

/** Sent and not answered; several lanes may count together. */
export interface Flight {
  flying: number;
  most: number;
}

export class Lane {
  declare readonly flight: Flight;
  /** Made and not sent. */
  waiting = 0;
  #stepMs = 0;
  /** When a burst may leave again (the generic cell rate algorithm, as on the server). */
  #fullAt = 0;

  constructor(flight: Flight) {
    this.flight = flight;
  }

  /** A second, of this session and of all of its user's; 0 and undefined: no limit. */
  rate(...perSecond: readonly (number | undefined)[]): void {
    this.#stepMs = 1_000 / Math.min(...perSecond.map((rate) => rate || Infinity));
  }

  /** Ms until one more may leave; Infinity: when an answer has come. */
  wait(now: number): number {
    if (this.flight.flying >= this.flight.most) return Infinity;
    return this.#fullAt - now - Math.max(0, BURST_MS - this.#stepMs);
  }

  spend(now: number): void {
    this.#fullAt = Math.max(this.#fullAt, now) + this.#stepMs;
  }
}
