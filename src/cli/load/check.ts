/**
 * Whether every subscriber saw what was published: each once and in its publisher's order. An event is lost when its
 * publish was acknowledged and a subscriber, in the topic all that time, never saw it. Nothing here knows a clock or a
 * connection, and memory grows with what goes wrong alone.
 */
import { Ranges } from './ranges.js';

/** Gaps of failed publishes kept, and of what all subscribers together miss. Past it a run should end: it proved enough. */
const MAX_PIECES = 1_000_000;
/** Before a subscriber's gaps are held against the failed publishes, which leave gaps too. */
const PRUNE_FROM = 64;

/**
 * What was published. A number says who published it: with 3 publishers, publisher 1 has 1, 4, 7, … Only what one
 * publisher sends has an order to keep.
 */
export class Sent {
  readonly publishers: number;
  /** Gaps to keep are too many. */
  full = false;
  readonly #next: number[];
  readonly #failed: Ranges[];
  #pieces = 0;

  constructor(publishers: number) {
    this.publishers = publishers;
    this.#next = new Array<number>(publishers).fill(0);
    this.#failed = Array.from({ length: publishers }, () => new Ranges());
  }

  /** The number of a publisher's next event. */
  take(publisher: number): number {
    const index = this.count(publisher);
    this.#next[publisher] = index + 1;
    return index * this.publishers + publisher;
  }

  count(publisher: number): number {
    return this.#next[publisher] as number;
  }

  /** It was not acknowledged, so nobody has to see it. */
  fail(number: number): void {
    const failed = this.failed(number % this.publishers);
    const index = Math.floor(number / this.publishers);
    failed.add(index, index + 1);
    if (failed.pieces > MAX_PIECES / this.publishers) this.full = true;
  }

  failed(publisher: number): Ranges {
    return this.#failed[publisher] as Ranges;
  }

  /** Counts what the subscribers keep. */
  keep(pieces: number): void {
    this.#pieces += pieces;
    if (this.#pieces > MAX_PIECES) this.full = true;
  }
}

/** One publisher's events as one subscriber sees them. */
interface Lane {
  /** The index after the highest one seen. */
  next: number;
  /** A gap before the next event was told by a RESET. */
  told: boolean;
  missing: Ranges | undefined;
  /** Those of `missing` that a RESET told. */
  toldMissing: Ranges | undefined;
  pruneAt: number;
}

export class Arrivals {
  duplicates = 0;
  outOfOrder = 0;
  readonly #sent: Sent;
  readonly #lanes: Lane[];
  #ended = false;

  constructor(sent: Sent) {
    this.#sent = sent;
    this.#lanes = Array.from({ length: sent.publishers }, () => ({
      next: 0,
      told: false,
      missing: undefined,
      toldMissing: undefined,
      pruneAt: PRUNE_FROM,
    }));
  }

  /** Each delivery comes here; the first comparison is all that a good one costs. */
  saw(number: number): void {
    const publisher = number % this.#sent.publishers;
    const lane = this.#lanes[publisher] as Lane;
    const index = (number - publisher) / this.#sent.publishers;
    if (index === lane.next && !lane.told) lane.next++;
    else if (index >= lane.next) this.#skipped(lane, publisher, index);
    else if (lane.missing?.delete(index) || this.#sent.failed(publisher).has(index)) {
      this.outOfOrder++;
      lane.toldMissing?.delete(index);
    } else this.duplicates++;
  }

  /** A RESET: what is missing before the next event of each publisher was told. */
  reset(): void {
    for (const lane of this.#lanes) lane.told = true;
  }

  /** It is in the topic no more: what it has not seen up to now, nobody promised. */
  end(): void {
    this.#ended = true;
  }

  /** Whether nothing more is to come. After a RESET at the very end this cannot be known. */
  get complete(): boolean {
    const { untold, unseen } = this.lost();
    return untold + unseen === 0;
  }

  /** `told`: a RESET said that there were some. `unseen`: those of both that come after all it has seen. */
  lost(): { readonly told: number; readonly untold: number; readonly unseen: number } {
    let [told, untold, atEnd] = [0, 0, 0];
    this.#lanes.forEach((lane, publisher) => {
      const sent = this.#ended ? lane.next : this.#sent.count(publisher);
      if (lane.missing === undefined && lane.next >= sent) return;
      const failed = this.#sent.failed(publisher);
      const tail = new Ranges();
      tail.add(lane.next, sent);
      const unseen = tail.without(failed).size;
      const missing = lane.missing?.without(failed).size ?? 0;
      const toldMissing = lane.toldMissing?.without(failed).size ?? 0;
      atEnd += unseen;
      told += toldMissing + (lane.told ? unseen : 0);
      untold += missing - toldMissing + (lane.told ? 0 : unseen);
    });
    return { told, untold, unseen: atEnd };
  }

  #skipped(lane: Lane, publisher: number, index: number): void {
    if (index > lane.next) {
      (lane.missing ??= new Ranges()).add(lane.next, index);
      if (lane.told) (lane.toldMissing ??= new Ranges()).add(lane.next, index);
      if (lane.missing.pieces >= lane.pruneAt) this.#prune(lane, publisher);
    }
    lane.told = false;
    lane.next = index + 1;
  }

  /** Publishes that failed leave a gap with every subscriber; once they are known to have failed it can go. */
  #prune(lane: Lane, publisher: number): void {
    const failed = this.#sent.failed(publisher);
    const before = lane.pruneAt;
    lane.missing = lane.missing?.without(failed);
    lane.toldMissing = lane.toldMissing?.without(failed);
    lane.pruneAt = Math.max(PRUNE_FROM, 2 * (lane.missing?.pieces ?? 0));
    this.#sent.keep(lane.pruneAt - before);
  }
}
