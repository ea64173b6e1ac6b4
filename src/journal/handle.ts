/**
 * What the handles of all engines share: the end of the log as this node knows it, following by looking again and again,
 * and finding out what became of an append. An engine adds one record if what it follows is there and nothing else is,
 * reads pages, and says how far the log goes.
 */
import { StoreError, type MaybePromise } from '../store/store.js';
import { checkHeld, checkNext, lostAfter, outcome, replaced, truncatedAfter, type Point } from './end.js';
import {
  BrokenLog,
  checkRecord,
  hashOf,
  hashOfLog,
  type Announced,
  type Journal,
  type JournalRecord,
  type JournalSnapshot,
  type JournalState,
} from './journal.js';

/** What stands in the log from one number on. */
export interface Page {
  /** Hash of record `after`; undefined when it is not there. */
  readonly held: Uint8Array | undefined;
  /** What follows it, in order, as many as are good to read at once. The first is after + 1 unless that was truncated. */
  readonly records: readonly JournalRecord[];
}

/** `added`; `not`: something else stands there, or what it follows does not; `full`: no room. */
export type Added = 'added' | 'not' | 'full';

/** While the engine is away. */
const AWAY_MS = 250;

export abstract class Handle implements Journal {
  abstract readonly maxBytes: number;
  protected isClosed = false;
  protected readonly tell: (line: string) => void;
  readonly #pollMs: number | undefined;
  #log: string | undefined;
  #end: Point | undefined;
  #broken: BrokenLog | undefined;
  #isGone = false;
  /** Counts what made followers look: what came while one was looking makes it look again. */
  #wakes = 0;
  readonly #waiting = new Set<() => void>();

  /** `pollMs`: between two looks for new records; undefined: only `wake` makes it look. */
  protected constructor({ pollMs, tell }: { readonly pollMs?: number; readonly tell?: (line: string) => void } = {}) {
    this.#pollMs = pollMs;
    this.tell = tell ?? (() => undefined);
  }

  // ---- what an engine does; each rejects with a StoreError -----------------------------------------

  /** Makes the log if there is none, waits while the engine is away. */
  protected abstract connect(): Promise<void>;
  protected abstract state(): Promise<JournalState>;
  protected abstract page(after: number): Promise<Page>;
  /** Adds it if the newest record is the one before it, with the hash `record.prev`. Rejects with `unknown` too. */
  protected abstract add(record: JournalRecord): Promise<Added>;
  /** Resolves when what was read is as safe as what was appended. */
  protected abstract settle(): Promise<void>;
  abstract saveSnapshot(at: number, parts: AsyncIterable<Uint8Array>): Promise<void>;
  abstract loadSnapshot(): Promise<JournalSnapshot | undefined>;
  abstract truncate(before: number): Promise<void>;
  abstract announce(node: string, bytes: Uint8Array): Promise<void>;
  abstract announced(): Promise<readonly Announced[]>;
  protected abstract disconnect(): Promise<void>;

  // ---- what every handle does ----------------------------------------------------------------------

  async open(): Promise<JournalState> {
    await this.connect();
    for (;;) {
      if (this.isClosed) throw new StoreError('unusable', 'the log is closed');
      try {
        const state = await this.state();
        this.#log = state.id;
        return state;
      } catch (error) {
        if (!(error instanceof StoreError && error.kind === 'refused')) throw error;
        await this.pause(AWAY_MS);
      }
    }
  }

  async append(after: number, id: string, bytes: Uint8Array): Promise<JournalRecord> {
    this.check();
    checkRecord(this, id, bytes);
    const point = await this.#pointAt(after);
    let added: Added = 'not';
    // Without the hash of what it follows nothing can be added: that record is gone.
    if (point.hash.length > 0) {
      const record = { seq: after + 1, id, bytes, prev: point.hash };
      const whole = { ...record, hash: hashOf(record) };
      added = await this.add(whole);
      if (added === 'added') return this.#know(whole);
    }
    // Never taken for granted: what stands there now is read back, whatever the engine said.
    const page = await orUnknown(this.page(after));
    const next = page.records[0]?.seq === after + 1 ? page.records[0] : undefined;
    const head = page.records.at(-1)?.seq ?? (page.held === undefined ? (await orUnknown(this.state())).head : after);
    const held = after === 0 ? point.hash : page.held;
    const found = this.#noting(() => outcome(point, id, { head, held, next }));
    if (found !== undefined && next !== undefined) {
      await orUnknown(this.settle());
      return this.#know(next);
    }
    if (added === 'full') throw new StoreError('refused', 'the log is full: nothing is added until there is room');
    throw new StoreError('unknown', 'the log did not take the record: try again');
  }

  follow(
    after: number,
    each: (record: JournalRecord) => MaybePromise<void>,
    broken: (error: BrokenLog) => void,
  ): { stop(): void } {
    let isStopped = false;
    const isOver = (): boolean => isStopped || this.isClosed;
    let point: { readonly seq: number; readonly hash?: Uint8Array } =
      this.#end?.seq === after ? this.#end : { seq: after };
    const look = async (): Promise<number> => {
      this.check();
      const { held, records } = await this.page(point.seq);
      if (isOver()) return 0;
      if (held === undefined && records[0]?.seq !== point.seq + 1) await this.#explain(point.seq);
      if (held !== undefined && point.hash !== undefined) checkHeld(point as Point, held, point.seq);
      if (held !== undefined) point = { seq: point.seq, hash: held };
      for (const record of records) {
        if (isOver()) break;
        checkNext(point, record);
        point = record;
        this.#know(record);
        const waits = each(record);
        if (waits !== undefined) await waits;
      }
      return records.length;
    };
    const run = async (): Promise<void> => {
      while (!isOver()) {
        const wakes = this.#wakes;
        try {
          if ((await look()) === 0) await this.pause(this.#pollMs, wakes);
        } catch (error) {
          if (isOver()) return;
          if (error instanceof BrokenLog) return broken(this.#note(error));
          await this.pause(this.#pollMs === undefined ? undefined : AWAY_MS, wakes);
        }
      }
    };
    void run();
    return {
      stop: () => {
        isStopped = true;
        this.wake();
      },
    };
  }

  async answers(): Promise<{ readonly head: number }> {
    this.check();
    const known = this.#end?.seq ?? 0;
    const state = await this.state();
    this.#isGone = false;
    this.#judge(known, state);
    return { head: state.head };
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.wake();
    await this.disconnect();
  }

  // ---- for engines ---------------------------------------------------------------------------------

  /** The log's id. */
  protected get log(): string | undefined {
    return this.#log;
  }

  /** Throws unless it is open and of use. */
  protected check(): void {
    if (this.isClosed || this.#log === undefined) throw new StoreError('unusable', 'the log is not open');
    if (this.#broken !== undefined) throw this.#broken;
  }

  /**
   * For an engine that answers and has the log no more, which is told once. It may be put back; nothing takes its place while
   * nodes run, for that would forget all that they have.
   */
  protected gone(where: string): StoreError {
    const line = `the log is gone (${where}): nothing is written until it is put back. A node that is started makes a new one`;
    if (!this.#isGone) this.tell(line);
    this.#isGone = true;
    return new StoreError('refused', line);
  }

  /** Whoever follows looks now. */
  protected wake(): void {
    this.#wakes++;
    for (const look of this.#waiting) look();
  }

  /** For a new connection, before it is used: throws a BrokenLog if what this handle knows is no longer there. */
  protected async recognise(log: {
    page(after: number): Promise<Page>;
    state(): Promise<JournalState>;
  }): Promise<void> {
    const end = this.#end;
    if (end === undefined || this.#broken !== undefined) return;
    const { held } = await log.page(end.seq);
    if (held !== undefined) return this.#noting(() => checkHeld(end, held, end.seq));
    const { id, head } = await log.state();
    this.#judge(end.seq, { id, head });
  }

  // ---- the end, as it is known ---------------------------------------------------------------------

  #know(record: JournalRecord): JournalRecord {
    const { seq, hash } = record;
    if (seq > (this.#end?.seq ?? 0)) this.#end = { seq, hash };
    return record;
  }

  async #pointAt(seq: number): Promise<Point> {
    if (this.#end?.seq === seq) return this.#end;
    if (seq === 0) return { seq, hash: hashOfLog(this.#log as string) };
    const { held } = await orUnknown(this.page(seq));
    return { seq, hash: held ?? new Uint8Array(0) };
  }

  /** Why a record is not there, and what follows it neither: throws unless it is the end of a log that has nothing yet. */
  async #explain(seq: number): Promise<void> {
    const state = await this.state();
    this.#judge(seq, state);
    if (state.first > seq + 1) throw truncatedAfter(seq, state.first);
  }

  #judge(seq: number, { id, head }: { readonly id: string; readonly head: number }): void {
    if (id !== this.#log) throw this.#note(replaced(this.#log as string, id));
    if (head < seq) throw this.#note(lostAfter(head, seq));
  }

  #noting<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof BrokenLog) this.#note(error);
      throw error;
    }
  }

  /** A log that lost something is of no use to this handle ever again, whatever is written to it now. */
  #note(error: BrokenLog): BrokenLog {
    if (error.reason === 'truncated') return error;
    this.#broken ??= error;
    return this.#broken;
  }

  /** For so long, or until something may be new, or the handle is closed. */
  protected async pause(ms: number | undefined, wakes = this.#wakes): Promise<void> {
    if (wakes !== this.#wakes) return;
    await new Promise<void>((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(() => look(), ms);
      const look = (): void => {
        this.#waiting.delete(look);
        clearTimeout(timer);
        resolve();
      };
      this.#waiting.add(look);
    });
  }
}

/** What cannot be found out about an append. */
async function orUnknown<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof StoreError && error.kind !== 'refused') throw error;
    throw new StoreError('unknown', `the record may be in the log: ${(error as Error).message}`, error);
  }
}

/** Parts of a fit size. What the caller's parts throw is a refusal: the snapshot before still counts. */
export async function* checkedParts(
  journal: Pick<Journal, 'maxBytes'>,
  parts: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array> {
  try {
    for await (const part of parts) {
      checkRecord(journal, 'part', part);
      yield part;
    }
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw new StoreError('refused', `the snapshot ended early: ${(error as Error).message}`, error);
  }
}
