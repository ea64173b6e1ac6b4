/**
 * The log in memory, for tests: one engine, and a handle for each node of this process that races for it. Everything an
 * engine far away may do to its callers happens here on demand: see Fault, `cut`, `loseEnd` and `rewriteEnd`.
 */
import { randomUUID } from 'node:crypto';
import { StoreError } from '../store/store.js';
import { checkHeld, checkNext, outcome, replaced, truncatedAfter, lostAfter, type Point } from './end.js';
import {
  BrokenLog,
  checkRecord,
  hashOf,
  hashOfLog,
  type Journal,
  type JournalRecord,
  type JournalSnapshot,
  type JournalState,
} from './journal.js';

/** What becomes of one append. */
export type Fault =
  /** Not added, and the caller is told. */
  | 'refused'
  /** Not added, and nobody is told. */
  | 'lost-request'
  /** Added, and nobody is told. */
  | 'lost-reply'
  /** Arrives twice. */
  | 'twice'
  /** Nobody is told, and it arrives with `deliver`: after others, maybe. */
  | 'late';

export interface MemoryEngineOptions {
  readonly maxBytes?: number;
  /** More records are refused until some are truncated. */
  readonly maxRecords?: number;
  /** Awaited by every request: a real engine's round trip. */
  readonly delay?: () => Promise<void>;
  /** The fault of the next append, when none is queued. */
  readonly fault?: () => Fault | undefined;
}

export class MemoryEngine {
  readonly maxBytes: number;
  readonly #options: MemoryEngineOptions;
  readonly #faults: Fault[] = [];
  readonly #late: (() => void)[] = [];
  readonly #watchers = new Set<() => void>();
  #id = randomUUID() as string;
  #first = 1;
  #records: JournalRecord[] = [];
  #away = false;
  snapshot: { readonly at: number; readonly parts: readonly Uint8Array[] } | undefined;

  constructor(options: MemoryEngineOptions = {}) {
    this.#options = options;
    this.maxBytes = options.maxBytes ?? 1_048_576;
  }

  /** A handle of one more node. */
  journal(): MemoryJournal {
    return new MemoryJournal(this);
  }

  // ---- what goes wrong ----------------------------------------------------------------------------

  /** The next appends, whoever makes them, meet these, one each. */
  fail(...faults: readonly Fault[]): void {
    this.#faults.push(...faults);
  }

  /** Late appends arrive now. */
  deliver(): void {
    for (const arrive of this.#late.splice(0)) arrive();
  }

  /** Whether it is away from everybody. */
  set away(away: boolean) {
    this.#away = away;
    this.#changed();
  }

  get away(): boolean {
    return this.#away;
  }

  /** Forgets the newest records, as a standby does that was promoted before it had them. */
  loseEnd(count: number): void {
    this.#records.splice(Math.max(0, this.#records.length - count), count);
    this.#changed();
  }

  /** Puts others in place of the newest records, as a log does that forked. */
  rewriteEnd(count: number): void {
    for (const { bytes } of this.#records.splice(Math.max(0, this.#records.length - count), count))
      this.#add(`other-${randomUUID()}`, bytes);
    this.#changed();
  }

  /** Another log, empty, in place of this one. */
  replace(): void {
    this.#id = randomUUID();
    this.#records = [];
    this.#first = 1;
    this.snapshot = undefined;
    this.#changed();
  }

  // ---- for its handles ----------------------------------------------------------------------------

  get state(): JournalState {
    return { id: this.#id, first: this.#first, head: this.#first - 1 + this.#records.length };
  }

  record(seq: number): JournalRecord | undefined {
    return this.#records[seq - this.#first];
  }

  nextFault(): Fault | undefined {
    return this.#faults.shift() ?? this.#options.fault?.();
  }

  arriveLate(arrive: () => void): void {
    this.#late.push(arrive);
  }

  async delay(): Promise<void> {
    await this.#options.delay?.();
  }

  append(point: Point, id: string, bytes: Uint8Array): number {
    const { head } = this.state;
    const done = outcome(point, id, {
      head,
      held: point.seq === 0 ? hashOfLog(this.#id) : this.record(point.seq)?.hash,
      next: this.record(point.seq + 1),
    });
    if (done !== undefined) return done;
    if (this.#records.length >= (this.#options.maxRecords ?? Infinity))
      throw new StoreError('refused', 'the log is full');
    this.#add(id, bytes);
    this.#changed();
    return head + 1;
  }

  truncate(before: number): void {
    const { head } = this.state;
    const first = Math.max(this.#first, Math.min(before, head));
    this.#records.splice(0, first - this.#first);
    this.#first = first;
  }

  /** Calls `changed` whenever there may be something new to read. */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  #add(id: string, bytes: Uint8Array): void {
    const { head } = this.state;
    const record = { seq: head + 1, id, bytes, prev: this.record(head)?.hash ?? hashOfLog(this.#id) };
    this.#records.push({ ...record, hash: hashOf(record) });
  }

  #changed(): void {
    for (const changed of this.#watchers) changed();
  }
}

export class MemoryJournal implements Journal {
  readonly maxBytes: number;
  readonly #engine: MemoryEngine;
  #log: string | undefined;
  #end: Point | undefined;
  #broken: BrokenLog | undefined;
  #isClosed = false;
  #isCut = false;
  #waiting: (() => void) | undefined;

  constructor(engine: MemoryEngine) {
    this.#engine = engine;
    this.maxBytes = engine.maxBytes;
  }

  /** Whether the network between this node and the engine is cut. */
  set cut(cut: boolean) {
    this.#isCut = cut;
    this.#waiting?.();
  }

  async open(): Promise<JournalState> {
    await this.#engine.delay();
    if (this.#isAway) {
      await new Promise<void>((resolve) => {
        const stop = this.#engine.watch(() => this.#waiting?.());
        this.#waiting = () => {
          if (this.#isAway && !this.#isClosed) return;
          this.#waiting = undefined;
          stop();
          resolve();
        };
      });
    }
    if (this.#isClosed) throw new StoreError('unusable', 'the log is closed');
    const { state } = this.#engine;
    this.#log = state.id;
    this.#end = this.#pointAt(state.head);
    return state;
  }

  async append(after: number, id: string, bytes: Uint8Array): Promise<number> {
    this.#check();
    checkRecord(this, id, bytes);
    const copy = bytes.slice();
    const fault = this.#engine.nextFault();
    const lost = new StoreError('unknown', 'no answer: the record may be in the log');
    if (fault === 'refused') throw new StoreError('refused', 'the log refuses it');
    await this.#engine.delay();
    if (this.#isAway || fault === 'lost-request') throw lost;
    return this.#noting(() => {
      this.#check();
      const point = this.#pointAt(after);
      if (fault === 'late') {
        this.#engine.arriveLate(() => {
          try {
            this.#engine.append(point, id, copy);
          } catch {
            // Nobody waits for its answer any more.
          }
        });
        throw lost;
      }
      const seq = this.#engine.append(point, id, copy);
      if (fault === 'twice') this.#engine.append(point, id, copy);
      if (fault === 'lost-reply') throw lost;
      const { hash } = this.#engine.record(seq) as JournalRecord;
      if (seq > (this.#end?.seq ?? 0)) this.#end = { seq, hash };
      return seq;
    });
  }

  follow(after: number, each: (record: JournalRecord) => void, broken: (error: BrokenLog) => void): { stop(): void } {
    let point: { seq: number; hash?: Uint8Array } = { seq: after };
    let isReading = false;
    let isStopped = false;
    const read = async (): Promise<void> => {
      if (isReading) return;
      isReading = true;
      try {
        for (;;) {
          await new Promise((resolve) => setImmediate(resolve));
          await this.#engine.delay();
          if (isStopped || this.#isAway) break;
          this.#noting(() => this.#check());
          const { head, first } = this.#engine.state;
          if (head < point.seq) throw this.#break(lostAfter(head, point.seq));
          const held = this.#engine.record(point.seq)?.hash;
          if (point.hash !== undefined && held !== undefined) this.#noting(() => checkHeld(point as Point, held, head));
          const record = this.#engine.record(point.seq + 1);
          if (record === undefined && point.seq + 1 < first) throw truncatedAfter(point.seq, first);
          if (record === undefined) break;
          this.#noting(() => checkNext(point, record));
          point = record;
          if (record.seq > (this.#end?.seq ?? 0)) this.#end = record;
          each(record);
        }
      } catch (error) {
        if (!isStopped && !this.#isClosed) broken(error as BrokenLog);
        stop();
      } finally {
        isReading = false;
      }
    };
    const unwatch = this.#engine.watch(() => void read());
    const stop = (): void => {
      isStopped = true;
      this.#waiting = undefined;
      unwatch();
    };
    this.#waiting = () => void read();
    void read();
    return { stop };
  }

  async answers(): Promise<{ readonly head: number }> {
    await this.#request();
    return { head: this.#engine.state.head };
  }

  async saveSnapshot(at: number, parts: AsyncIterable<Uint8Array>): Promise<void> {
    const kept: Uint8Array[] = [];
    await this.#request();
    for await (const part of refusing(parts)) {
      checkRecord(this, 'part', part);
      kept.push(part.slice());
      await this.#request();
    }
    if (at < (this.#engine.snapshot?.at ?? 0)) throw new StoreError('refused', 'a later snapshot is there');
    this.#engine.snapshot = { at, parts: kept };
  }

  async loadSnapshot(): Promise<JournalSnapshot | undefined> {
    await this.#request();
    const { snapshot } = this.#engine;
    if (snapshot === undefined) return undefined;
    const request = (): Promise<void> => this.#request();
    async function* parts(): AsyncIterable<Uint8Array> {
      for (const part of snapshot?.parts ?? []) {
        await request();
        yield part.slice();
      }
    }
    return { at: snapshot.at, parts: parts() };
  }

  async truncate(before: number): Promise<void> {
    await this.#request();
    this.#engine.truncate(before);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#waiting?.();
    return Promise.resolve();
  }

  get #isAway(): boolean {
    return this.#isCut || this.#engine.away;
  }

  async #request(): Promise<void> {
    this.#check();
    await this.#engine.delay();
    if (this.#isAway) throw new StoreError('refused', 'the log does not answer');
    this.#noting(() => this.#check());
  }

  #check(): void {
    if (this.#isClosed || this.#log === undefined) throw new StoreError('unusable', 'the log is not open');
    if (this.#broken !== undefined) throw this.#broken;
    const { id } = this.#engine.state;
    if (id !== this.#log && !this.#isAway) throw this.#break(replaced(this.#log, id));
  }

  /** The hash that this handle knows at a number, else the engine's. */
  #pointAt(seq: number): Point {
    if (this.#end?.seq === seq) return this.#end;
    const hash = seq === 0 ? hashOfLog(this.#engine.state.id) : this.#engine.record(seq)?.hash;
    return { seq, hash: hash ?? new Uint8Array(0) };
  }

  #noting<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof BrokenLog && error.reason !== 'truncated') this.#break(error);
      throw error;
    }
  }

  #break(error: BrokenLog): BrokenLog {
    this.#broken ??= error;
    return this.#broken;
  }
}

/** What the caller's parts throw is a refusal: the snapshot before still counts. */
export async function* refusing(parts: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield* parts;
  } catch (error) {
    throw new StoreError('refused', `the snapshot ended early: ${(error as Error).message}`, error);
  }
}
