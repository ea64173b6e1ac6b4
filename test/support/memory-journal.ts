/**
 * The log in memory, for tests: one engine, and a handle for each node of this process that races for it. Everything an
 * engine far away may do to its callers happens here on demand: see Fault, `cut`, `loseEnd` and `rewriteEnd`.
 */
import { randomUUID } from 'node:crypto';
import { StoreError } from '../../src/store/store.js';
import { sameHash } from '../../src/journal/end.js';
import { Handle, checkedParts, type Added, type Page } from '../../src/journal/handle.js';
import {
  hashOf,
  hashOfLog,
  type Announced,
  type JournalRecord,
  type JournalSnapshot,
  type JournalState,
} from '../../src/journal/journal.js';

/** What becomes of one append. */
export type Fault =
  /** Not added, and the caller is told. */
  | 'refused'
  /** Not added, and never will be: the caller lacks a right. */
  | 'denied'
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
  readonly nodes = new Map<string, { readonly bytes: Uint8Array; readonly at: number }>();

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

  /** Puts others in place of the newest records, which say the same. */
  rewriteEnd(count: number): void {
    this.fork(
      count,
      this.#records.slice(-count).map(({ bytes }) => bytes),
    );
  }

  /** As a log does that forked so many records ago, and went on with these. */
  fork(ago: number, others: readonly Uint8Array[]): void {
    this.#records.splice(Math.max(0, this.#records.length - ago), ago);
    for (const bytes of others) {
      const { head } = this.state;
      const prev = this.#record(head)?.hash ?? hashOfLog(this.#id);
      const record = { seq: head + 1, id: `other-${head + 1}`, bytes, prev };
      this.#records.push({ ...record, hash: hashOf(record) });
    }
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

  nextFault(): Fault | undefined {
    return this.#faults.shift() ?? this.#options.fault?.();
  }

  arriveLate(arrive: () => void): void {
    this.#late.push(arrive);
  }

  async delay(): Promise<void> {
    await this.#options.delay?.();
  }

  page(after: number): Page {
    const from = Math.max(0, after + 1 - this.#first);
    const held = after === 0 ? undefined : this.#record(after)?.hash;
    return { held, records: this.#records.slice(from, from + 64) };
  }

  add(record: JournalRecord): Added {
    const { head } = this.state;
    const last = this.#record(head)?.hash ?? hashOfLog(this.#id);
    if (record.seq !== head + 1 || !sameHash(last, record.prev)) return 'not';
    if (this.#records.length >= (this.#options.maxRecords ?? Infinity)) return 'full';
    this.#records.push(record);
    this.#changed();
    return 'added';
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

  #record(seq: number): JournalRecord | undefined {
    return this.#records[seq - this.#first];
  }

  #changed(): void {
    for (const changed of this.#watchers) changed();
  }
}

export class MemoryJournal extends Handle {
  readonly maxBytes: number;
  readonly #engine: MemoryEngine;
  readonly #unwatch: () => void;
  #isCut = false;
  #back: (() => void) | undefined;

  constructor(engine: MemoryEngine) {
    super();
    this.#engine = engine;
    this.maxBytes = engine.maxBytes;
    this.#unwatch = engine.watch(() => this.#changed());
  }

  /** Whether the network between this node and the engine is cut. */
  set cut(cut: boolean) {
    this.#isCut = cut;
    this.#changed();
  }

  async truncate(before: number): Promise<void> {
    await this.#request();
    this.#engine.truncate(before);
  }

  async saveSnapshot(at: number, parts: AsyncIterable<Uint8Array>): Promise<void> {
    const kept: Uint8Array[] = [];
    await this.#request();
    for await (const part of checkedParts(this, parts)) {
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

  async announce(node: string, bytes: Uint8Array): Promise<void> {
    await this.#request();
    this.#engine.nodes.set(node, { bytes, at: performance.now() });
  }

  async announced(): Promise<readonly Announced[]> {
    await this.#request();
    return [...this.#engine.nodes].map(([node, { bytes, at }]) => ({ node, bytes, ageMs: performance.now() - at }));
  }

  protected async connect(): Promise<void> {
    await this.#engine.delay();
    while (this.#isAway && !this.isClosed) await new Promise<void>((resolve) => (this.#back = resolve));
  }

  protected disconnect(): Promise<void> {
    this.#unwatch();
    this.#back?.();
    return Promise.resolve();
  }

  protected async state(): Promise<JournalState> {
    await this.#answer();
    return this.#engine.state;
  }

  protected async page(after: number): Promise<Page> {
    await this.#answer();
    return this.#engine.page(after);
  }

  protected async add(record: JournalRecord): Promise<Added> {
    const kept = { ...record, bytes: record.bytes.slice() };
    const fault = this.#engine.nextFault();
    if (fault === 'refused') throw new StoreError('refused', 'the log refuses it');
    if (fault === 'denied') throw new StoreError('unusable', 'the log refuses records: permission denied');
    await this.#engine.delay();
    const lost = new StoreError('unknown', 'no answer: the record may be in the log');
    if (this.#isAway || fault === 'lost-request') throw lost;
    if (fault === 'late') {
      this.#engine.arriveLate(() => this.#engine.add(kept));
      throw lost;
    }
    const added = this.#engine.add(kept);
    if (fault === 'twice') this.#engine.add(kept);
    if (fault === 'lost-reply') throw lost;
    return added;
  }

  protected settle(): Promise<void> {
    return Promise.resolve();
  }

  get #isAway(): boolean {
    return this.#isCut || this.#engine.away;
  }

  async #request(): Promise<void> {
    this.check();
    await this.#answer();
    this.check();
  }

  /** A turn of the loop at least: nobody may rely on an answer at once. */
  async #answer(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    await this.#engine.delay();
    if (this.#isAway) throw new StoreError('refused', 'the log does not answer');
  }

  #changed(): void {
    this.#back?.();
    this.wake();
  }
}
