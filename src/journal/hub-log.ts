/**
 * The hub's end of the log: a batch is appended, in parts where it is large, and only then applied to the store of this
 * node and acknowledged. Between batches a beat shows that the hub is there. Whatever another node wrote in its place
 * ends it, but for what any node may add: a claim, or a doubt of an earlier generation.
 */
import { StoreError, type Batch, type MaybePromise } from '../store/store.js';
import { Appender } from './appender.js';
import type { Won } from './term.js';
import { BrokenLog } from './journal.js';
import { type Lease } from './lease.js';
import { writeBatch, writeRecord } from './records.js';
import type { Position } from './replica.js';
import type { Settled } from './settings.js';
import { Snapshots } from './snapshots.js';
import { Fold, type View } from './view.js';
import { inTime } from './wait.js';

/** A stop waits so long for the log. */
const YIELD_MS = 5_000;

export interface HubLogOwner {
  /** It must not write on: the process is to end. */
  lost(error: StoreError): void;
  claimed(node: string): void;
}

export class HubLog {
  readonly #options: Settled;
  readonly #owner: HubLogOwner;
  readonly #won: Won;
  readonly #appender: Appender;
  readonly #lease: Lease;
  readonly #fold: Fold;
  readonly #snapshots: Snapshots;
  readonly #stopBeats: () => void;
  #position: Position;
  /** Store time less monotonic time. */
  #base: number;
  #lastBatch = 0;
  #batches = 0;
  #lost: StoreError | undefined;
  /** One append at a time: each waits for those before. */
  #queue: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #beat: Promise<void> | undefined;

  constructor(won: Won, options: Settled, now: number, owner: HubLogOwner) {
    const { time, leaseMs, run } = options;
    this.#options = options;
    this.#owner = owner;
    this.#won = won;
    this.#position = won.position;
    this.#appender = new Appender(won.journal, run);
    this.#fold = new Fold(won.position.view);
    this.#lease = won.lease;
    this.#base = now - time.monotonic();
    this.#snapshots = new Snapshots(won, options);
    const every = leaseMs / 3;
    this.#stopBeats = time.every(every / 2, () => {
      if (this.#waiting === 0 && this.#lease.age >= every) this.#beats().catch(() => undefined);
    });
  }

  get seq(): number {
    return this.#position.seq;
  }

  get view(): View {
    return this.#position.view;
  }

  get lastBeatMs(): number {
    return this.#lease.age;
  }

  #now(): number {
    return Math.floor(this.#base + this.#options.time.monotonic());
  }

  /** Rejects with `refused` while the log takes nothing, and with `unusable` when another is the hub. */
  confirm(): MaybePromise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    return this.#lease.holds ? undefined : this.#beats();
  }

  /** One that is under way is everybody's, unless it was sent before. */
  #beats(): Promise<void> {
    return (this.#beat ??= this.#inTurn(async () => {
      this.#beat = undefined;
      const acknowledged = this.#lease.sending();
      await this.#add(writeRecord({ kind: 'beat', term: this.view.term, time: this.#now() }), acknowledged);
    }));
  }

  commit(batch: Batch): Promise<void> {
    // Its time is of now, so what it proves is, too, however long it waits.
    const acknowledged = this.#lease.sending();
    return this.#inTurn(async () => {
      if (batch.id <= this.#lastBatch) return;
      this.#base = Math.max(this.#base, batch.meta.time - this.#options.time.monotonic());
      const name = `${this.#options.run}.${++this.#batches}`;
      for (const record of writeBatch(batch, name, this.#won.journal.maxBytes)) await this.#add(record, acknowledged);
      this.#position = { ...this.#position, meta: batch.meta };
      await this.#applied(batch);
      this.#lastBatch = batch.id;
    });
  }

  async #applied({ operations }: Batch): Promise<void> {
    try {
      await this.#won.replica.apply(operations, this.#position);
    } catch (error) {
      this.#lose(error as StoreError);
      // It is in the log, so it must not be refused; and nobody may be told either, for this node cannot say what it did.
      await new Promise(() => undefined);
    }
    this.#snapshots.maybe();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const done = this.#queue.then(async () => {
      try {
        if (this.#lost !== undefined) throw this.#lost;
        return await work();
      } finally {
        this.#waiting--;
      }
    });
    this.#queue = done.catch(() => undefined);
    return done;
  }

  /** Adds one record of ours. What others may add is passed over. */
  async #add(bytes: Uint8Array, acknowledged: () => void): Promise<void> {
    for (;;) {
      const outcome = await this.#appender
        .append(this.#position, bytes, () => this.#lost === undefined)
        .catch(async (error: unknown) => {
          if (error instanceof BrokenLog) await this.#broken(error);
          if (error instanceof StoreError && error.kind === 'unusable') this.#lose(error);
          throw error;
        });
      if (outcome.type === 'added') {
        acknowledged();
        this.#position = { ...this.#position, ...outcome.end };
        this.#snapshots.wrote(bytes.length);
        return;
      }
      const { record, end } = outcome;
      const isOurs = record.kind === 'doubt' && record.generation === this.view.generation;
      if ((record.kind !== 'claim' && record.kind !== 'doubt') || isOurs) {
        const error = new StoreError('unusable', takenBy(record));
        this.#lose(error);
        throw error;
      }
      this.#fold.add(record);
      this.#position = { ...this.#position, ...end, view: this.#fold.view };
      if (record.kind === 'claim') this.#owner.claimed(record.node);
    }
  }

  /** The log is not what this node wrote: whoever begins next is to know. */
  async #broken(error: BrokenLog): Promise<void> {
    this.#stopBeats();
    this.#options.tell(error.message);
    await this.#won.doubt(this.#position);
    this.#lose(error);
  }

  #lose(error: StoreError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#stopBeats();
    this.#owner.lost(error);
  }

  /** In order: nobody has to wait for this node's silence. */
  async close(): Promise<void> {
    this.#stopBeats();
    await this.#snapshots.close();
    if (this.#lost !== undefined) return;
    const { term } = this.view;
    try {
      const yielded = this.#inTurn(() =>
        this.#add(writeRecord({ kind: 'yield', term, time: this.#now() }), () => undefined),
      );
      if (!(await inTime(yielded, YIELD_MS))) throw new Error('the log does not answer');
      await this.#won.replica.apply([], this.#position);
    } catch (error) {
      this.#options.tell(`the log was not told that this node stops: ${(error as Error).message}`);
    }
  }
}

function takenBy(record: { readonly kind: string; readonly node?: string }): string {
  if (record.kind === 'begin') return `${record.node} is the hub now`;
  if (record.kind === 'doubt') return `${record.node} knew records that are no longer in the log`;
  return `another node wrote to the log (${record.kind})`;
}
