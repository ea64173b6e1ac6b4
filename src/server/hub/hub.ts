/**
 * The life of a message: entries queue up during a tick; at its end they are staged in order,
 * committed as one batch, and only then applied: logs grow, replies and cursors change in the
 * entries' order, and each touched topic goes out as one frame, the same bytes for every
 * subscriber. One commit is in flight; later ticks coalesce behind it.
 */
import { RoomwireError } from '../../protocol/errors.js';
import type { Limits } from '../../protocol/limits.js';
import { isPromise } from '../../store/promise.js';
import { StoreError, type MaybePromise, type OpenedStore, type Operation, type Store } from '../../store/store.js';
import type { Published, Transaction } from '../api.js';
import type { Clock } from '../clock.js';
import type { Outbox, OutboxOwner } from '../outbox.js';
import type { ServerSession } from '../session.js';
import { Rings } from './ring.js';
import { Stage, Suspended, type StagedTopic } from './stage.js';
import { Topic, type Cursor } from './topic.js';
import { HubTransaction, type Effect } from './transaction.js';

export interface PublishEntry {
  readonly topic: string;
  readonly item: Uint8Array;
  /** Called after the commit, before the topic's frame goes out (rule 2). */
  readonly done: ((published: Published) => void) | null;
  readonly failed: (error: RoomwireError) => void;
}

interface TransactionEntry {
  /** Stages the work and returns the effects of its success. Throws what `failed` is to be told. */
  stage(stage: Stage): readonly Effect[];
  failed(error: unknown): void;
}

/** A staged entry: what to do when the commit is done, or when it failed. */
interface Staged {
  readonly effects: readonly Effect[] | null;
  readonly publish: PublishEntry | null;
  readonly topic: StagedTopic | null;
  readonly offset: number;
  readonly entry: TransactionEntry | null;
}

/** A batch takes at most this much; the rest waits for the next tick, so that a flood never stops the loop. */
const BATCH_ENTRIES = 16_384;
const BATCH_BYTES = 16 * 1024 * 1024;
/** Topics without subscribers that stay in memory. */
const IDLE_TOPICS = 10_000;
/** Ms between retries of a commit whose outcome is unknown. */
const RETRY_MS = 50;
const MAX_RETRY_MS = 2_000;

export interface HubOptions {
  readonly store: Store;
  readonly opened: OpenedStore;
  readonly clock: Clock;
  readonly limits: Limits;
  /** Bytes of all rings together. */
  readonly ringBytes: number;
  /** Runs `fn` at the end of the tick. */
  readonly defer: (fn: () => void) => void;
  /** Runs `fn` after `ms`. */
  readonly after: (ms: number, fn: () => void) => void;
  readonly sessionsIn: (topic: string) => readonly ServerSession[];
  readonly failed: (error: unknown) => void;
  readonly overflowed: (outbox: Outbox) => void;
}

export class Hub implements OutboxOwner {
  readonly #options: HubOptions;
  readonly #store: Store;
  readonly #rings: Rings;
  readonly #topics = new Map<string, Topic>();
  /** Topics that nobody is in, the longest idle first. */
  readonly #idle = new Set<Topic>();
  #queue: (PublishEntry | TransactionEntry)[] = [];
  #dirtyOutboxes: Outbox[] = [];
  /** Topics with new volatile values. */
  #dirtyVolatile = new Set<Topic>();
  #scheduled = false;
  /** A batch is being staged or committed. */
  #busy = false;
  #batch = 0;
  #counter: number;
  #incarnation: number;
  #storeFailing = false;
  #idleWaiters: (() => void)[] = [];
  /** RESETs told, for diagnosis. */
  resets = 0;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#store = options.store;
    const { meta } = options.opened;
    // From the clock, not from 0: versions and tokens must grow for clients that outlive this store's memory.
    this.#counter = Math.max(meta.counter, options.clock.now() * 1024);
    this.#incarnation = meta.incarnation;
    this.#rings = new Rings(options.ringBytes, Math.min(options.limits.historyBytes, options.ringBytes));
  }

  /** False while the store does not confirm commits. */
  get healthy(): boolean {
    return !this.#storeFailing;
  }

  get topicCount(): number {
    return this.#topics.size;
  }

  // ---- what comes in ------------------------------------------------------------------------

  publish(entry: PublishEntry): void {
    this.#queue.push(entry);
    this.#schedule();
  }

  transact<T>(work: (tx: Transaction) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.perform(work as (tx: HubTransaction) => T, resolve, reject);
    });
  }

  /** Like `transact`, but `done` runs in the block of the transaction's own effects, before the batch's events go out (rule 1). */
  perform<T>(work: (tx: HubTransaction) => T, done: (result: T) => void, failed: (error: unknown) => void): void {
    this.#queue.push({
      stage: (stage) => {
        const tx = new HubTransaction(stage, this.#options.clock.now(), this.#options.sessionsIn);
        const result = work(tx);
        tx.effects.push(() => done(result));
        return tx.effects;
      },
      failed,
    });
    this.#schedule();
  }

  /** Sets a volatile slot. Throws limit_reached. Only while the topic is in memory, that is, somebody is there. */
  volatile(name: string, key: string, frame: Uint8Array, from: string | null): void {
    const topic = this.#topics.get(name);
    if (topic === undefined || topic.cursors.length === 0) return;
    if (!topic.volatile.set(key, frame, from, this.#options.limits.slots)) {
      throw new RoomwireError('limit_reached', `topic has its ${this.#options.limits.slots} volatile slots`);
    }
    this.#dirtyVolatile.add(topic);
    this.#schedule();
  }

  forgetVolatile(session: ServerSession): void {
    for (const name of session.topics) this.#topics.get(name)?.volatile.forget(session.sid);
  }

  /** A connection is gone: its cursors leave their topics. */
  detach(outbox: Outbox): void {
    outbox.close();
    for (const cursor of outbox.cursors.values()) {
      cursor.topic.remove(cursor);
      this.#settle(cursor.topic);
    }
    outbox.cursors.clear();
  }

  // ---- OutboxOwner ---------------------------------------------------------------------------

  read(topic: string, from: number, maxBytes: number) {
    return this.#store.read(topic, from, maxBytes);
  }

  again(outbox: Outbox): void {
    outbox.dirty = true;
    this.#dirtyOutboxes.push(outbox);
    this.#schedule();
  }

  overflowed(outbox: Outbox): void {
    this.#options.overflowed(outbox);
  }

  reset(_cursor: Cursor): void {
    this.resets++;
  }

  // ---- the tick ------------------------------------------------------------------------------

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.defer(() => this.#tick());
  }

  #tick(): void {
    this.#scheduled = false;
    try {
      if (!this.#busy && this.#queue.length > 0) this.#runBatch();
      if (!this.#busy) this.#flushVolatile();
      this.#flushOutboxes();
    } catch (error) {
      this.#options.failed(error);
    }
  }

  #runBatch(): void {
    this.#busy = true;
    const entries = this.#takeEntries();
    const stage = new Stage(this.#store, this, {
      time: 0,
      counter: this.#counter,
      incarnation: this.#incarnation,
    });
    const staged: Staged[] = [];
    const work = this.#stageFrom(stage, entries, 0, staged);
    if (isPromise(work)) void work.then(() => this.#commit(stage, staged));
    else this.#commit(stage, staged);
  }

  #takeEntries(): (PublishEntry | TransactionEntry)[] {
    const queue = this.#queue;
    let count = 0;
    let bytes = 0;
    while (count < queue.length && count < BATCH_ENTRIES && bytes < BATCH_BYTES) {
      const entry = queue[count++] as PublishEntry | TransactionEntry;
      if ('item' in entry) bytes += entry.item.length;
    }
    if (count === queue.length) this.#queue = [];
    else {
      this.#queue = queue.slice(count);
      queue.length = count;
    }
    return queue;
  }

  /** Stages entries in order from `index` on; a promise only when the store's answers are. */
  #stageFrom(
    stage: Stage,
    entries: readonly (PublishEntry | TransactionEntry)[],
    index: number,
    staged: Staged[],
  ): MaybePromise<void> {
    for (let i = index; i < entries.length; i++) {
      const entry = entries[i] as PublishEntry | TransactionEntry;
      try {
        staged.push('item' in entry ? stagePublish(stage, entry) : stageTransaction(stage, entry));
      } catch (error) {
        if (error instanceof Suspended) {
          return error.until.then(
            () => this.#stageFrom(stage, entries, i, staged),
            (failure: unknown) => {
              this.#refuse([entry], failure);
              return this.#stageFrom(stage, entries, i + 1, staged);
            },
          );
        }
        this.#refuse([entry], error);
      }
    }
    return undefined;
  }

  #commit(stage: Stage, staged: readonly Staged[]): void {
    const operations = stage.seal(this.#options.limits);
    if (operations.length === 0 && !stage.metaChanged) {
      this.#apply(stage, staged);
      return;
    }
    const batch = stage.batch(++this.#batch, operations as Operation[], this.#options.clock.now());
    this.#attemptCommit(stage, staged, () => this.#store.commit(batch), RETRY_MS);
  }

  #attemptCommit(stage: Stage, staged: readonly Staged[], commit: () => MaybePromise<void>, retryMs: number): void {
    const failed = (error: unknown): void => {
      this.#storeFailing = true;
      if (error instanceof StoreError && error.kind === 'unknown') {
        // The same batch is repeated before any later one: nothing may be told that may not have happened.
        this.#options.after(retryMs, () =>
          this.#attemptCommit(stage, staged, commit, Math.min(retryMs * 2, MAX_RETRY_MS)),
        );
        return;
      }
      this.#busy = false;
      this.#refuse(
        staged.map((entry) => (entry.publish ?? entry.entry) as PublishEntry | TransactionEntry),
        error,
      );
      this.#finish();
    };
    let result: MaybePromise<void>;
    try {
      result = commit();
    } catch (error) {
      failed(error);
      return;
    }
    if (isPromise(result)) result.then(() => this.#apply(stage, staged), failed);
    else this.#apply(stage, staged);
  }

  /** The commit is done: from here to the end it is one synchronous block. */
  #apply(stage: Stage, staged: readonly Staged[]): void {
    this.#storeFailing = false;
    this.#counter = stage.counter;
    this.#incarnation = stage.incarnation;
    const dirty: Topic[] = [];
    const firsts: number[] = [];
    const frames: StagedTopic[] = [];
    for (const entry of stage.topics) {
      const { topic, chunks, items } = entry;
      if (entry.dropped) this.#forget(topic);
      else this.#topics.set(topic.name, topic);
      if (items.length === 0) continue;
      if (entry.dropped) topic.ring.chunks.push(...chunks);
      else this.#rings.append(topic.ring, chunks);
      dirty.push(topic);
      firsts.push(topic.head + 1);
      frames.push(entry);
      topic.head += items.length;
      for (const chunk of chunks) topic.logBytes += chunk.frame.length;
    }
    this.#trimmed(stage);
    for (const entry of staged) this.#applyEntry(entry);
    for (let i = 0; i < dirty.length; i++) {
      this.#fanOut(dirty[i] as Topic, firsts[i] as number, frames[i] as StagedTopic, dirty.length === 1);
    }
    for (const { topic } of stage.topics) if (!topic.dropped) this.#settle(topic);
    this.#busy = false;
    this.#finish();
  }

  #applyEntry({ publish, topic, offset, effects }: Staged): void {
    try {
      if (publish !== null) {
        const target = (topic as StagedTopic).topic;
        publish.done?.({ epoch: target.epoch, offset, matched: target.cursors.length });
      } else {
        for (const effect of effects as readonly Effect[]) this.#run(effect);
      }
    } catch (error) {
      this.#options.failed(error);
    }
  }

  #run(effect: Effect): void {
    try {
      effect();
    } catch (error) {
      this.#options.failed(error);
    }
  }

  /** One frame, the same bytes for everyone; whoever is not exactly here catches up from the ring. */
  #fanOut(topic: Topic, first: number, { chunks }: StagedTopic, alone: boolean): void {
    const { cursors } = topic;
    const frame = chunks.length === 1 ? chunks[0]?.frame : undefined;
    const next = topic.head + 1;
    for (let i = 0; i < cursors.length; i++) {
      const cursor = cursors[i] as Cursor;
      const { outbox } = cursor;
      if (alone && frame !== undefined && cursor.next === first && outbox.clear) outbox.sendLive(cursor, frame, next);
      else outbox.lag();
    }
  }

  #finish(): void {
    if (this.#queue.length > 0 || this.#dirtyVolatile.size > 0) this.#schedule();
    this.#flushOutboxes();
    if (this.#queue.length === 0) for (const waiter of this.#idleWaiters.splice(0)) waiter();
  }

  #flushVolatile(): void {
    for (const topic of this.#dirtyVolatile) {
      for (const cursor of topic.cursors) cursor.outbox.lag();
    }
    this.#dirtyVolatile.clear();
  }

  #flushOutboxes(): void {
    const outboxes = this.#dirtyOutboxes;
    if (outboxes.length === 0) return;
    // Those that ask again while being written (a spent budget) get the next tick.
    this.#dirtyOutboxes = [];
    for (const outbox of outboxes) outbox.write();
  }

  #refuse(entries: readonly (PublishEntry | TransactionEntry)[], error: unknown): void {
    const refused =
      error instanceof StoreError ? new RoomwireError('store_unavailable', undefined, { cause: error }) : error;
    if (error instanceof StoreError) this.#options.failed(error);
    for (const entry of entries) {
      try {
        if ('item' in entry) {
          entry.failed(
            refused instanceof RoomwireError
              ? refused
              : new RoomwireError('store_unavailable', undefined, { cause: refused }),
          );
        } else entry.failed(refused);
      } catch (failure) {
        this.#options.failed(failure);
      }
    }
  }

  // ---- topics in memory ----------------------------------------------------------------------

  load(name: string, incarnation: number): MaybePromise<Topic> {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    const record = this.#store.topic(name);
    if (isPromise(record)) return record.then((arrived) => this.#loaded(name, arrived, incarnation));
    return this.#loaded(name, record, incarnation);
  }

  create(name: string, incarnation: number): Topic {
    return new Topic(name, `${this.#options.opened.generation}.${incarnation}`, 0, 1, 0);
  }

  #loaded(name: string, record: Awaited<ReturnType<Store['topic']>>, incarnation: number): Topic {
    return record === undefined
      ? this.create(name, incarnation)
      : new Topic(name, record.epoch, record.head, record.tail, 0);
  }

  /** Forgets topics nobody needs: at once when never written, else when too many others are idle too. */
  #settle(topic: Topic): void {
    this.#idle.delete(topic);
    if (!topic.idle || topic.dropped) return;
    if (topic.head === 0) {
      if (this.#topics.get(topic.name) === topic) this.#topics.delete(topic.name);
      return;
    }
    this.#idle.add(topic);
    if (this.#idle.size > IDLE_TOPICS) {
      for (const coldest of this.#idle) {
        this.#idle.delete(coldest);
        this.#forget(coldest);
        break;
      }
    }
  }

  #forget(topic: Topic): void {
    this.#idle.delete(topic);
    if (!topic.dropped && topic.cursors.length === 0) this.#rings.clear(topic.ring);
    if (this.#topics.get(topic.name) === topic) this.#topics.delete(topic.name);
  }

  #trimmed(stage: Stage): void {
    for (const { topic, before } of stage.trims) {
      // An estimate will do: it decides when to trim next, and the store's record is exact after a restart.
      topic.logBytes *= (topic.head - before + 1) / (topic.head - topic.tail + 1);
      topic.tail = before;
    }
  }

  /** Resolves when nothing is queued or being committed. */
  settled(): Promise<void> {
    if (!this.#busy && this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }
}

function stagePublish(stage: Stage, publish: PublishEntry): Staged {
  const topic = stage.append(publish.topic, publish.item);
  return { publish, topic, offset: topic.topic.head + topic.items.length, effects: null, entry: null };
}

function stageTransaction(stage: Stage, entry: TransactionEntry): Staged {
  return { entry, effects: stage.attempt(() => entry.stage(stage)), publish: null, topic: null, offset: 0 };
}
