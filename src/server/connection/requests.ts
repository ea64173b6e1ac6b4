/**
 * What is under way on one connection, in both directions: the client's calls, the frames that wait for a policy or the
 * store, the order of publishes among those, and our calls to the client. Most connections are idle most of the time, so
 * each table exists only while something is in it. All of it ends with the connection (rule 5).
 */
import { RoomwireError } from '../../protocol/errors.js';
import type { Value } from '../../protocol/frames.js';
import type { Limits } from '../../protocol/limits.js';
import type { MaybePromise } from '../../store/store.js';
import type { PendingRequest } from '../calls/running-call.js';
import type { Share } from '../gate/budget.js';
import { tooMany, WAITING_MS } from '../gate/rates.js';
import type { Outbox } from '../hub/outbox.js';
import type { Timer } from '../time/wheel.js';
import { nextId, writeCall } from '../wire/frames.js';
import { refusal } from '../wire/refusal.js';
import { Deferred, type Work } from './deferred.js';

/** A call of ours that waits for the client's answer. */
interface PendingCall {
  readonly resolve: (data: Value) => void;
  readonly reject: (error: RoomwireError) => void;
  readonly timer: Timer;
}

export interface RequestsOwner {
  readonly limits: Limits;
  /** The server is closing: it takes no new work. */
  isDraining(): boolean;
  after(ms: number, fn: () => void): Timer;
}

/** What a frame waits for before its work is done, and of whose share its `bytes` are taken meanwhile. */
export interface Wait {
  readonly verdict: MaybePromise<boolean>;
  /** The turn of the one before it. */
  readonly earlier?: Promise<void> | undefined;
  readonly share: Share;
  readonly bytes: number;
}

export class Requests {
  readonly #owner: RequestsOwner;
  readonly #outbox: Outbox;
  /** The client's call that is alone, which is the usual case and needs no table. */
  #onlyId = 0;
  #only: PendingRequest | undefined;
  /** The client's calls by id, where there are more. */
  #calls: Map<number, PendingRequest> | undefined;
  /** Frames that wait for a policy or the store. */
  #waiting = 0;
  /** What waits for a policy: nobody is there for it once the connection is gone. */
  #deferred: Set<Deferred> | undefined;
  /** Publishes that must not overtake one that waits for its policy, by topic. */
  #publishing: Map<string, Promise<void>> | undefined;
  /** Our calls by id. */
  #ours: Map<number, PendingCall> | undefined;
  #nextId = 1;

  constructor(owner: RequestsOwner, outbox: Outbox) {
    this.#owner = owner;
    this.#outbox = outbox;
  }

  /** Whether something of the client's is being worked on and is still to be answered. */
  get underWay(): boolean {
    if (this.#waiting > 0) return true;
    for (const call of this.#calls?.values() ?? []) if (call.inLine !== true) return true;
    return this.#only !== undefined && this.#only.inLine !== true;
  }

  /** Throws draining: what comes now would not be answered any more. */
  accepts(): void {
    if (this.#owner.isDraining()) throw refusal('draining');
  }

  // ---- the client's calls --------------------------------------------------------------------------

  /** Throws duplicate_id and too_many. */
  begin(id: number, call: PendingRequest): void {
    if (this.#only === undefined && this.#calls === undefined) {
      this.#onlyId = id;
      this.#only = call;
      return;
    }
    const calls = this.#calls ?? new Map<number, PendingRequest>();
    if (this.#only !== undefined ? id === this.#onlyId : calls.has(id)) throw refusal('duplicate_id');
    const count = calls.size + (this.#only === undefined ? 0 : 1);
    if (count >= this.#owner.limits.pendingCalls) throw tooMany(WAITING_MS);
    this.#calls = calls;
    if (this.#only !== undefined) calls.set(this.#onlyId, this.#only);
    this.#only = undefined;
    calls.set(id, call);
  }

  finish(id: number): void {
    if (this.#only !== undefined) {
      if (id === this.#onlyId) this.#only = undefined;
      return;
    }
    this.#calls?.delete(id);
    if (this.#calls?.size === 0) this.#calls = undefined;
  }

  /** Does nothing when no call has this id (RW-CAL-10). */
  cancel(id: number): void {
    const call = this.#only !== undefined && id === this.#onlyId ? this.#only : this.#calls?.get(id);
    call?.cancel(refusal('cancelled'));
  }

  // ---- frames that wait ----------------------------------------------------------------------------

  /** Counts a frame that waits for a policy or the store. Throws draining and too_many (rule 4); `settled` takes it back. */
  waits(): void {
    this.accepts();
    if (this.#waiting >= this.#owner.limits.pendingFrames) throw tooMany(WAITING_MS);
    this.#waiting++;
  }

  settled(): void {
    this.#waiting--;
  }

  /**
   * Does `work` once the policy has answered and it is its turn, also when the one before it was refused (RW-PUB-2).
   * Resolves then, and never rejects. Throws too_many.
   */
  defer({ verdict, earlier, share, bytes }: Wait, work: Work): Promise<void> {
    const deferred = Deferred.of(share, bytes, work);
    if (deferred === undefined) throw tooMany(WAITING_MS, 'too much of yours waits');
    return this.#decided(deferred, verdict, earlier);
  }

  /** Apart from `defer`, so that what is waited for holds the Deferred alone, not its data. */
  #decided(deferred: Deferred, verdict: MaybePromise<boolean>, earlier: Promise<void> | undefined): Promise<void> {
    (this.#deferred ??= new Set()).add(deferred);
    return Promise.allSettled([verdict, earlier]).then(([answer]) => {
      this.#deferred?.delete(deferred);
      if (this.#deferred?.size === 0) this.#deferred = undefined;
      deferred.decide(answer);
    });
  }

  /** The publish to this topic that waits for its policy, if any. */
  publishing(topic: string): Promise<void> | undefined {
    return this.#publishing?.get(topic);
  }

  /** `turn` resolves, and never rejects, when it is the next one's turn. */
  publishes(topic: string, turn: Promise<void>): void {
    const publishing = (this.#publishing ??= new Map<string, Promise<void>>());
    publishing.set(topic, turn);
    void turn.then(() => {
      if (publishing.get(topic) === turn) publishing.delete(topic);
      if (publishing.size === 0 && this.#publishing === publishing) this.#publishing = undefined;
    });
  }

  // ---- our calls to the client ---------------------------------------------------------------------

  /** Rejects with deadline, too_many, disconnected or the client's own error. */
  call(name: string, data: unknown, timeoutMs: number): Promise<Value> {
    return new Promise((resolve, reject) => {
      const calls = (this.#ours ??= new Map<number, PendingCall>());
      if (calls.size >= this.#owner.limits.pendingCalls) return reject(new RoomwireError('too_many'));
      const id = this.#nextId;
      this.#nextId = nextId(id);
      const frame = writeCall(id, { name, data, timeoutMs });
      const timer = this.#owner.after(timeoutMs, () => this.answered(id, new RoomwireError('deadline')));
      calls.set(id, { resolve, reject, timer });
      this.#outbox.push(frame);
    });
  }

  /** Whether one of our calls waits for this answer. */
  awaits(id: number): boolean {
    return this.#ours?.has(id) === true;
  }

  /** The answer to one of our calls; an id that we do not wait for is a late answer and means nothing. */
  answered(id: number, answer: Value | RoomwireError): void {
    const call = this.#ours?.get(id);
    if (call === undefined) return;
    this.#ours?.delete(id);
    if (this.#ours?.size === 0) this.#ours = undefined;
    call.timer.cancel();
    if (answer instanceof RoomwireError) call.reject(answer);
    else call.resolve(answer);
  }

  /** The connection is gone: everything that waits learns at once that no answer will come (rule 5). */
  abandon(): void {
    // Made for somebody only: it takes longer than all the rest of a close.
    if (this.#ours === undefined && this.#calls === undefined && this.#only === undefined && !this.#deferred) return;
    const gone = new RoomwireError('disconnected');
    for (const id of [...(this.#ours?.keys() ?? [])]) this.answered(id, gone);
    for (const call of [...(this.#calls?.values() ?? [])]) call.cancel(gone);
    this.#calls = undefined;
    this.#only?.cancel(gone);
    this.#only = undefined;
    for (const deferred of this.#deferred ?? []) deferred.drop();
    this.#deferred = undefined;
  }
}
