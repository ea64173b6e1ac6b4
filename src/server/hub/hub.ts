/**
 * The order of a room server: entries queue up during a tick; at its end they are staged in order, committed as one
 * batch, and only then applied: logs grow, replies and cursors change in the entries' order, and each touched topic
 * goes out (fan-out.ts). One commit is in flight; later ticks coalesce behind it.
 */
import { RoomwireError } from '../../protocol/errors.js';
import type { Limits } from '../../protocol/limits.js';
import { isPromise } from '../../store/promise.js';
import { StoreError, type MaybePromise, type OpenedStore, type Operation, type Store } from '../../store/store.js';
import type { Transaction } from '../api.js';
import type { Clock } from '../time/clock.js';
import type { Counters } from '../watch/counters.js';
import type { Membership } from './subscriber.js';
import { Committer } from './committer.js';
import { DecodedDocuments } from './documents.js';
import { FanOut } from './fan-out.js';
import { EntryQueue, type Entry, type PublishEntry } from './queue.js';
import { Rings } from './ring.js';
import { Stage, Suspended, type StagedTopic } from './stage.js';
import { staging, withEffects, type Staged } from './staged.js';
import type { Topic } from './topic.js';
import { TopicTable } from './topics.js';
import { HubTransaction, synchronous, type Effect } from './transaction.js';

/** Entries of a batch that is long. */
const MANY = 16;
/** Ms that transactions of one batch may take together; the rest gets a batch, and a turn, of its own. */
const STAGE_MS = 8;
/** Ms after a refused commit until the store is asked again, if nothing else asks it. */
const ASK_MS = 1_000;
/** A commit under way for so long is none that is confirmed. */
const STUCK_MS = 3_000;

export interface HubOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly limits: Limits;
  /** Bytes of all rings together. */
  readonly ringBytes: number;
  /** Runs `fn` at the end of the tick. */
  readonly defer: (fn: () => void) => void;
  /** Runs `fn` after `ms`. */
  readonly after: (ms: number, fn: () => void) => void;
  readonly members: Membership;
  readonly counters: Counters;
  /** A bug: something threw that must not. */
  readonly failed: (error: unknown) => void;
  /** The store stopped answering (with why), or answers again (undefined). */
  readonly storeFailing: (error: unknown) => void;
  /** The store is no longer this server's: taken over, removed or replaced. The process is to end. */
  readonly deposed: (error: StoreError) => void;
  /** The stored events of a topic cannot be read from there. */
  readonly damaged: (topic: string, from: number) => void;
}

export class Hub {
  readonly #options: HubOptions;
  readonly fanOut: FanOut;
  readonly #counters: Counters;
  readonly #store: Store;
  readonly #rings: Rings;
  readonly #topics: TopicTable;
  readonly #committer: Committer;
  readonly #documents = new DecodedDocuments((ms, fn) => this.#options.after(ms, fn));
  readonly #queue = new EntryQueue();
  #scheduled = false;
  readonly #atEnd = (): void => this.#tick();
  /** A batch is being staged or committed. */
  #busy = false;
  #batch = 0;
  /** Of performance.now(). */
  #committingSince: number | undefined;
  #counter = 0;
  #incarnation = 0;
  #asking = false;
  #deposedBy: StoreError | undefined;
  readonly #idleWaiters: (() => void)[] = [];

  constructor(options: HubOptions) {
    this.#options = options;
    this.#counters = options.counters;
    const { store, limits, ringBytes, members, after, storeFailing } = options;
    this.#store = store;
    this.#rings = new Rings(ringBytes, Math.min(limits.historyBytes, ringBytes));
    const epochOf = (topic: string) => members.epochOf(topic) ?? this.fanOut.watcher?.epochOf(topic);
    this.#topics = new TopicTable({ store, rings: this.#rings, epochOf });
    this.fanOut = new FanOut({
      store,
      topics: this.#topics,
      limits,
      counters: options.counters,
      now: () => options.clock.now(),
      schedule: () => this.#schedule(),
      damaged: options.damaged,
      failed: options.failed,
    });
    this.#committer = new Committer({
      store,
      after,
      storeFailing,
      deposed: (error) => this.#deposed(error),
      now: () => options.clock.now(),
    });
  }

  /** What only the opened store knows. Nothing may be asked of the hub before. */
  open({ generation, meta }: OpenedStore): void {
    const { store, clock } = this.#options;
    // From the clock, not from 0: versions and tokens must grow for clients that outlive this store's memory.
    this.#counter = Math.max(meta.counter, clock.now() * 1024);
    this.#incarnation = meta.incarnation;
    this.#topics.generation = generation;
    store.onLost?.((error) => this.#deposed(error));
  }

  /** Once: it never becomes the store's server again. */
  #deposed(error: StoreError): void {
    if (this.#deposedBy !== undefined) return;
    this.#deposedBy = error;
    this.#options.deposed(error);
  }

  /** False while the store does not confirm commits. */
  get healthy(): boolean {
    return this.#deposedBy === undefined && this.#committer.healthy && (this.committingMs ?? 0) < STUCK_MS;
  }

  /** Store time, ms. */
  now(): number {
    return this.#options.clock.now();
  }

  /** The topic while it is in memory. */
  topic(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  topicNames(): IterableIterator<string> {
    return this.#topics.names();
  }

  get topicCount(): number {
    return this.#topics.size;
  }

  /** Ms that the commit under way takes already; null: none is. */
  get committingMs(): number | null {
    return this.#committingSince === undefined ? null : Math.round(performance.now() - this.#committingSince);
  }

  get ringBytes(): number {
    return this.#rings.bytes;
  }

  // ---- what comes in ------------------------------------------------------------------------

  publish(entry: PublishEntry): void {
    if (!this.#enqueue(entry)) entry.failed(new RoomwireError('too_many'));
  }

  transact<T>(work: (tx: Transaction) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.perform(work, resolve, reject);
    });
  }

  /** Like `transact`, but `done` runs in the block of the transaction's own effects, before the batch's events go out (rule 1). */
  perform<T>(work: (tx: HubTransaction) => T, done: (result: T) => void, failed: (error: unknown) => void): void {
    const { clock, members, limits } = this.#options;
    this.#enqueue({
      stage: (stage) => {
        const tx = new HubTransaction(stage, {
          now: clock.now(),
          members,
          maxTopics: limits.topics,
          fanOut: this.fanOut,
        });
        const result = synchronous(work(tx));
        tx.finish();
        tx.effects.push(() => done(result));
        return tx.effects;
      },
      failed,
    });
  }

  #enqueue(entry: Entry): boolean {
    const taken = this.#queue.push(entry);
    this.#schedule();
    return taken;
  }

  // ---- the tick ------------------------------------------------------------------------------

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.defer(this.#atEnd);
  }

  #tick(): void {
    this.#scheduled = false;
    try {
      // A long batch would hold up replies that have nothing to do with it.
      if (this.#queue.length > MANY) this.fanOut.flush();
      if (!this.#busy && this.#queue.length > 0) this.#runBatch();
      if (!this.#busy) this.fanOut.flushVolatile();
    } catch (error) {
      this.#options.failed(error);
    }
    this.fanOut.flush();
  }

  #runBatch(): void {
    const entries = this.#queue.take();
    // Another node is the hub: no transaction's code, with hooks and handlers, runs here any more.
    if (this.#deposedBy !== undefined && this.#committer.confirms) {
      for (const entry of entries) this.#refuse(entry, this.#deposedBy);
      return this.#finish();
    }
    this.#busy = true;
    const meta = { time: 0, counter: this.#counter, incarnation: this.#incarnation };
    const stage = new Stage(this.#store, this.#topics, meta, this.#documents);
    const staged: Staged[] = [];
    const work = this.#stageFrom(stage, entries, 0, staged);
    if (isPromise(work)) void work.then(() => this.#commit(stage, staged));
    else this.#commit(stage, staged);
  }

  /** Stages entries in order from `index` on, as far as time allows; a promise only when the store's answers are. */
  #stageFrom(stage: Stage, entries: readonly Entry[], index: number, staged: Staged[]): MaybePromise<void> {
    const until = entries.length > 1 ? performance.now() + STAGE_MS : Infinity;
    for (let i = index; i < entries.length; i++) {
      const entry = entries[i] as Entry;
      // Publishes are cheap, and bounded by their number.
      if (i > index && !('item' in entry) && performance.now() >= until) return this.#queue.putBack(entries.slice(i));
      try {
        staged.push(staging(stage, entry));
      } catch (error) {
        if (error instanceof Suspended) {
          return error.until.then(
            () => this.#stageFrom(stage, entries, i, staged),
            (failure: unknown) => {
              this.#refuse(entry, failure);
              return this.#stageFrom(stage, entries, i + 1, staged);
            },
          );
        }
        const refusal = (): void => this.#refuse(entry, error);
        // Rule 6: it rests on what was read, so it is told when that is confirmed.
        if (this.#committer.confirms) staged.push(withEffects(entry, [refusal]));
        else refusal();
      }
    }
    return undefined;
  }

  #commit(stage: Stage, staged: readonly Staged[]): void {
    const refused = (error: unknown): void => {
      this.#busy = false;
      this.#committingSince = undefined;
      this.#counters.commitsRefused++;
      for (const { entry } of staged) this.#refuse(entry, error);
      this.#askStoreLater();
      this.#finish();
    };
    let operations: readonly Operation[];
    try {
      operations = stage.seal(this.#options.limits);
    } catch (error) {
      return refused(error);
    }
    if (operations.length === 0 && !stage.metaChanged) {
      // Rule 6: what is read, tokens above all, is true only while no other server has taken over.
      if (!this.#committer.confirms) return this.#apply(stage, staged);
      this.#committingSince = performance.now();
      const confirmed = (): void => {
        this.#committingSince = undefined;
        this.#apply(stage, staged);
      };
      return this.#committer.confirm(confirmed, refused);
    }
    const batch = stage.batch(++this.#batch, operations, this.#options.clock.now());
    const since = (this.#committingSince = performance.now());
    const done = (): void => {
      this.#committingSince = undefined;
      this.#counters.commit.add(since);
      this.#apply(stage, staged);
      this.#askStoreLater();
    };
    this.#committer.commit(batch, done, refused);
  }

  /** A refused batch may have been the last for a while: without a question the server would seem unready for ever. */
  #askStoreLater(): void {
    if (this.#asking || this.#committer.healthy) return;
    this.#asking = true;
    this.#options.after(ASK_MS, () => {
      this.#asking = false;
      if (this.#committer.healthy) return;
      this.#enqueue({
        stage: (stage) => {
          stage.mustCommit = true;
          return [];
        },
        failed: () => undefined,
      });
    });
  }

  /** The commit is done: from here to the end it is one synchronous block. */
  #apply(stage: Stage, staged: readonly Staged[]): void {
    const since = performance.now();
    stage.committed();
    this.#counter = stage.counter;
    this.#incarnation = stage.incarnation;
    const now = this.#options.clock.now();
    const { topics } = stage;
    let grown = 0;
    this.#topics.during(() => {
      for (const { topic, chunks, items, dropped } of topics) {
        if (dropped) this.#topics.forget(topic);
        else this.#topics.keep(topic);
        if (items.length === 0) continue;
        grown++;
        if (dropped) topic.ring.chunks.push(...chunks);
        else this.#rings.append(topic.ring, chunks);
        topic.head += items.length;
        for (const chunk of chunks) {
          chunk.at = now;
          topic.logBytes += chunk.frame.length;
        }
      }
      stage.trimmed();
      for (const entry of staged) this.#applyEntry(entry);
      for (const entry of topics) if (entry.items.length > 0 || entry.dropped) this.fanOut.grown(entry, grown === 1);
      for (const { topic } of topics) this.#topics.settle(topic);
    });
    this.#busy = false;
    this.#finish();
    this.#counters.flush.add(since);
  }

  #applyEntry({ publish, topic, offset, effects }: Staged): void {
    if (publish === null) {
      for (const effect of effects as readonly Effect[]) this.#run(effect);
      return;
    }
    const target = (topic as StagedTopic).topic;
    this.#run(() => publish.done?.({ epoch: target.epoch, offset, matched: target.cursors.length }));
  }

  #run(effect: Effect): void {
    try {
      effect();
    } catch (error) {
      this.#options.failed(error);
    }
  }

  #finish(): void {
    if (this.#queue.length > 0 || this.fanOut.waits) this.#schedule();
    this.fanOut.flush();
    if (this.#queue.length > 0 || this.#idleWaiters.length === 0) return;
    for (const waiter of this.#idleWaiters.splice(0)) waiter();
  }

  #refuse(entry: Entry, error: unknown): void {
    let refused = error;
    if (!(error instanceof RoomwireError) && (error instanceof StoreError || 'item' in entry)) {
      if (!(error instanceof StoreError)) this.#options.failed(error);
      refused = new RoomwireError('store_unavailable', undefined, { cause: error });
    }
    this.#run(() => entry.failed(refused as RoomwireError));
  }

  /** Resolves when nothing is queued or being committed. */
  settled(): Promise<void> {
    if (!this.#busy && this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }
}
