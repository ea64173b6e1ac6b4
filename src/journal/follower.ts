/**
 * A standby: it opens the store of this node and the log, brings the one up to the other, applies what the hub writes, and begins
 * a term of its own when the hub has yielded, or has been silent for long enough while the log was there to be asked.
 */
import { StoreError, type OpenOptions, type Store } from '../store/store.js';
import { Appender, type End } from './appender.js';
import { claim, doubt } from './claim.js';
import { BrokenLog, type Journal, type JournalRecord, type JournalState } from './journal.js';
import { FollowedTime, Lease, Silence } from './lease.js';
import { NewerRecord, readRecord, writeRecord, type Record } from './records.js';
import { NO_META, Replica, type Found, type Position } from './replica.js';
import type { Settled } from './settings.js';
import { Snapshots } from './snapshots.js';
import { newGeneration, startOf } from './start.js';
import type { Won } from './term.js';
import { Fold, NO_VIEW, type View } from './view.js';
import { AGAIN_MS, pause } from './wait.js';

/** Ms between two questions to the log whether it has anything new. */
const ASK_MS = 250;
/** Records that were read and wait for the store of this node, which may be slow, at most. */
const QUEUED = 256;
/** Others wait so long for the one who asked the hub to yield. */
const CLAIM_MS = 2_000;

export class Follower {
  readonly #options: Settled;
  readonly #openJournal: () => Journal;
  readonly #local: Store;
  readonly #replica: Replica;
  readonly #silence: Silence;
  readonly #followed: FollowedTime;
  readonly #hubs: ((view: View) => void)[] = [];
  #journal: Journal | undefined;
  #following: { stop(): void } | undefined;
  #stopAsking: () => void = () => undefined;
  #fold = new Fold(NO_VIEW);
  /** Of the record read last. */
  #end: End = { seq: 0, hash: new Uint8Array() };
  #log = '';
  #meta = NO_META;
  #head = 0;
  /** Records are applied one after the other. */
  #applying: Promise<void> = Promise.resolve();
  #queued = 0;
  /** Records from here on were written while this node listened. */
  #live = 0;
  #snapshots: Snapshots | undefined;
  #isBeginning = false;
  #isClosed = false;
  #claimedAt: number | undefined;
  #answered: number | undefined;
  /** Why this node could not begin: it tries again and again. */
  #toldWhy = '';
  problem: string | undefined;
  #won!: (won: Won) => void;
  #failed!: (error: unknown) => void;

  constructor(local: Store, openJournal: () => Journal, options: Settled) {
    this.#options = options;
    this.#openJournal = openJournal;
    this.#local = local;
    this.#replica = new Replica(local);
    this.#silence = new Silence(options.time);
    this.#followed = new FollowedTime(options.time);
  }

  get view(): View {
    return this.#fold.view;
  }

  get seq(): number {
    return this.#end.seq;
  }

  get head(): number {
    return Math.max(this.#head, this.#end.seq);
  }

  get lastBeatMs(): number | undefined {
    return this.#silence.age;
  }

  /** Ms since the log answered; undefined: not yet. */
  get logMs(): number | undefined {
    return this.#answered === undefined ? undefined : this.#options.time.monotonic() - this.#answered;
  }

  /** Undefined before `run`. */
  get journal(): Journal | undefined {
    return this.#journal;
  }

  onHub(told: (view: View) => void): void {
    this.#hubs.push(told);
    if (this.view.isHeld) told(this.view);
  }

  /** Resolves when this node has begun a term. Rejects with `unusable`: the process is to be started anew, or cannot take part. */
  async run(options: OpenOptions | undefined): Promise<Won> {
    const won = new Promise<Won>((resolve, reject) => {
      this.#won = resolve;
      this.#failed = reject;
    });
    // Whoever waits for it has it from here below.
    won.catch(() => undefined);
    const found = await this.#replica.open(options);
    this.#local.onLost?.((error) => this.#stuck(error));
    try {
      const journal = (this.#journal = this.#openJournal());
      const state = await journal.open();
      await this.#insist(() => this.#catchUp(journal, state, found));
    } catch (error) {
      if (!(error instanceof NewerRecord)) {
        this.#stop();
        throw error;
      }
      this.#stuck(error);
    }
    return won;
  }

  /** The engine may go away at any time: what it has not answered is asked again, from the start. */
  async #insist(work: () => Promise<void>): Promise<void> {
    for (let isTold = false; ; isTold = true) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof StoreError && error.kind === 'refused') || this.#isClosed) throw error;
        if (!isTold) this.#options.tell(`cannot read the log yet, trying on: ${error.message}`);
        await pause(AGAIN_MS);
      }
    }
  }

  async #catchUp(journal: Journal, state: JournalState, found: Found): Promise<void> {
    const replica = this.#replica;
    const from = { journal, state, found, replica, settled: this.#options, isWanted: () => !this.#isClosed };
    const { position, lost } = await startOf(from);
    this.#log = state.id;
    this.#fold = new Fold(position.view);
    this.#end = { seq: position.seq, hash: position.hash };
    this.#meta = position.meta;
    if (this.view.generation !== '') this.#checkSecret();
    if (this.view.isSeeded) await new Snapshots({ journal, replica, logBytes: 0 }, this.#options).takeFirst();
    this.#live = (await journal.answers()).head;
    if (this.#end.seq >= this.#live) this.#meetHub();
    this.#follow(journal);
    if (lost === undefined) return;
    this.#options.tell(
      'the log has lost or changed records that this node knew: the next term begins a new generation',
    );
    await this.doubt(lost);
  }

  // ---- what the hub writes -------------------------------------------------------------------------

  #follow(journal: Journal): void {
    if (this.#isClosed) return;
    this.#snapshots ??= new Snapshots({ journal, replica: this.#replica, logBytes: 0 }, this.#options);
    this.#following = journal.follow(
      this.#end.seq,
      (record) => {
        this.#queued++;
        this.#head = Math.max(this.#head, record.seq);
        this.#applying = this.#applying
          .then(() => this.#take(record))
          .catch((error: unknown) => this.#stuck(error))
          .finally(() => this.#queued--);
        return this.#queued < QUEUED ? undefined : this.#applying;
      },
      (error) => void this.#broken(error),
    );
    this.#stopAsking();
    let isAsking = false;
    this.#stopAsking = this.#options.time.every(ASK_MS, () => {
      if (isAsking) return;
      isAsking = true;
      void this.#ask(journal).finally(() => (isAsking = false));
    });
  }

  async #take(record: JournalRecord): Promise<void> {
    if (this.problem !== undefined || this.#isClosed) return;
    if (Buffer.compare(record.prev, this.#end.hash) !== 0) {
      throw new BrokenLog('rewritten', `record ${record.seq} of the log does not follow what this node has applied`);
    }
    const read = readRecord(record.bytes);
    const before = this.view;
    const change = this.#fold.add(read);
    this.#end = { seq: record.seq, hash: record.hash };
    this.#snapshots?.wrote(record.bytes.length);
    if (change.type === 'batch') {
      this.#meta = change.meta;
      await this.#replica.apply(change.operations, this.position);
      this.#snapshots?.maybe();
    } else if (change.type === 'forget') {
      await this.#replica.forget(this.position);
    }
    this.#heard(read, record.seq > this.#live);
    // Hubs that came and went before this node listened are nobody's any more.
    if (record.seq === this.#live || (record.seq > this.#live && this.view.term !== before.term)) this.#meetHub();
    if (read.kind === 'genesis') this.#checkSecret();
  }

  get position(): Position {
    return { ...this.#end, log: this.#log, view: this.view, meta: this.#meta };
  }

  #heard(record: Record, isLive: boolean): void {
    // What any node may add says nothing of the hub.
    if (record.kind === 'claim' || record.kind === 'doubt') {
      this.#claimedAt = this.#options.time.monotonic();
      return;
    }
    this.#silence.heard();
    if (!isLive) return;
    if (record.kind === 'batch') this.#followed.heard(record.meta.time);
    else if ('time' in record) this.#followed.heard(record.time);
  }

  /** As it is now, whatever said so: its `begin` may be in a snapshot, or in what this node had applied when it was started. */
  #meetHub(): void {
    const { view } = this;
    if (!view.isHeld) return;
    if (view.node !== this.#options.node && view.digest !== this.#options.digest()) {
      this.#options.tell(
        `the contract, policy or limits of this node are not those of ${view.node}, which is the hub: give all nodes the same`,
      );
    }
    for (const told of this.#hubs) told(view);
  }

  #checkSecret(): void {
    if (this.view.check === this.#options.check) return;
    throw new StoreError(
      'unusable',
      'the cluster secret of this node is not that of the log: it is of another cluster',
    );
  }

  /** This node cannot go on with the log as it is. */
  #stuck(error: unknown): void {
    if (this.problem !== undefined || this.#isClosed) return;
    if (error instanceof BrokenLog) return void this.#broken(error);
    this.problem = (error as Error).message;
    if (error instanceof NewerRecord) return this.#options.tell(`this node stays a standby: ${this.problem}`);
    this.#stop();
    this.#failed(error);
  }

  async #broken(error: BrokenLog): Promise<void> {
    if (this.#isClosed) return;
    this.#stop();
    if (error.reason !== 'truncated') await this.doubt(this.position);
    this.#failed(error);
  }

  // ---- who is the hub ------------------------------------------------------------------------------

  async #ask(journal: Journal): Promise<void> {
    try {
      const { head } = await journal.answers();
      this.#answered = this.#options.time.monotonic();
      this.#head = Math.max(this.#head, head);
      if (head > this.#end.seq || this.#queued > 0) return this.#silence.unknown();
      this.#silence.answered(2 * ASK_MS);
    } catch {
      return this.#silence.unknown();
    }
    if (this.#mayBegin) await this.#begin(journal);
  }

  get #mayBegin(): boolean {
    const { problem } = this;
    return problem === undefined && !this.#isBeginning && !this.#isClosed && this.#isDue;
  }

  get #isDue(): boolean {
    const { view } = this;
    if (view.generation === '') return false;
    const { node, leaseMs, time } = this.#options;
    if (!view.isHeld) {
      const isOthers = view.claimant !== '' && view.claimant !== node;
      return !isOthers || time.monotonic() - (this.#claimedAt ?? -Infinity) > CLAIM_MS;
    }
    return this.#silence.ms >= (leaseMs * 4) / 3;
  }

  async #begin(journal: Journal): Promise<void> {
    this.#isBeginning = true;
    // From here on nothing is applied: a record that comes meanwhile makes the append fail.
    this.#following?.stop();
    await this.#applying;
    if (!this.#isDue) {
      this.#isBeginning = false;
      return this.#follow(journal);
    }
    const { view } = this;
    const { node, link, time, digest, run } = this.#options;
    const lease = new Lease(time, this.#options.leaseMs);
    const acknowledged = lease.sending();
    const now = this.#followed.now ?? Math.max(this.#meta.time, time.wall());
    const generation = view.isDoubted ? newGeneration() : view.generation;
    const record: Record = { kind: 'begin', term: view.term + 1, node, link, generation, digest: digest(), time: now };
    try {
      const appender = new Appender(journal, `${run}.b${this.#end.seq}`);
      const outcome = await appender.append(this.#end, writeRecord(record), () => !this.#isClosed);
      if (outcome.type === 'added') {
        const change = this.#fold.add(record);
        this.#end = outcome.end;
        if (change.type === 'forget') await this.#replica.forget(this.position);
        acknowledged();
        this.#stopAsking();
        for (const told of this.#hubs) told(this.view);
        return this.#won({
          ...{ journal, lease, replica: this.#replica, position: this.position, now: this.#followed.now },
          logBytes: this.#snapshots?.bytes ?? 0,
          doubt: (position) => this.doubt(position),
        });
      }
    } catch (error) {
      if (error instanceof BrokenLog) return void this.#broken(error);
      const why = `cannot become the hub: ${(error as Error).message}`;
      if (why !== this.#toldWhy) this.#options.tell(why);
      this.#toldWhy = why;
    }
    this.#isBeginning = false;
    this.#silence.unknown();
    this.#follow(journal);
  }

  /** Asks the hub to yield. */
  async claim(): Promise<void> {
    const { term } = this.view;
    const isMeant = (): boolean => !this.#isClosed && !this.#isBeginning && this.view.term === term && this.view.isHeld;
    if (this.#journal !== undefined)
      await claim({ journal: this.#journal, settled: this.#options, end: () => this.#end, isMeant });
  }

  doubt({ view }: Position): Promise<void> {
    return doubt({ openJournal: this.#openJournal, settled: this.#options, generation: view.generation });
  }

  #stop(): void {
    this.#isClosed = true;
    this.#stopAsking();
    this.#following?.stop();
  }

  async close(): Promise<void> {
    const wasClosed = this.#isClosed;
    this.#stop();
    await this.#snapshots?.close();
    await this.#applying;
    if (!wasClosed && !this.#isBeginning && this.#end.seq > 0 && this.problem === undefined) {
      await this.#replica.apply([], this.position).catch(() => undefined);
    }
    await this.#journal?.close();
    this.#failed(new StoreError('unusable', 'the node was closed before it became the hub'));
  }
}
