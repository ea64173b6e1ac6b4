/**
 * One call from its frame to its one answer: deadline, cancel, abort signal, the reply, and for an
 * atomic handler the answer that comes with a later transaction.
 */
import { EncodeError } from '../../protocol/codec.js';
import { RoomwireError } from '../../protocol/errors.js';
import type { CallOptions, Value } from '../../protocol/frames.js';
import type { Later, Log, Session, Transaction, User } from '../api.js';
import { weigh, type Share } from '../gate/budget.js';
import type { Outbox } from '../hub/outbox.js';
import type { CallCounts, Counters } from '../watch/counters.js';
import { tooMany, WAITING_MS } from '../gate/rates.js';
import { writeAck, writeNack } from '../wire/frames.js';
import type { Account, ServerSession } from '../sessions/session.js';
import type { Timer } from '../time/wheel.js';

/** Ms a call may take when the client names no deadline. */
export const DEFAULT_CALL_MS = 10_000;
/** What a call that waits takes of memory beside its input. */
const CALL_BYTES = 1_024;

/** A request of the client's that waits for its answer. */
export interface PendingRequest {
  /** It waits in a line, for something that others do. */
  readonly inLine?: boolean;
  cancel(reason: RoomwireError): void;
}

/** The connection that a call came over. */
export interface CallConnection {
  readonly open: boolean;
  /** The peer's IP address as text. */
  readonly address: string;
  readonly outbox: Pick<Outbox, 'push'>;
  readonly requests: {
    /** Throws duplicate_id and too_many. */
    begin(id: number, request: PendingRequest): void;
    finish(id: number): void;
  };
  refused(error: RoomwireError, target?: string): void;
}

/** Without its data: what waits in line for minutes must not hold that. */
export interface Incoming {
  readonly connection: CallConnection;
  readonly session: ServerSession;
  readonly id: number;
  readonly name: string;
  readonly options: CallOptions;
  /** Its key is the session's own: a repetition may come over the session's next connection. */
  readonly keptOver?: boolean;
}

/** What a plain handler is called with. */
export class HandlerContext {
  readonly #running: RunningCall;
  readonly input: unknown;
  readonly session: Session<User>;
  readonly key: string | undefined;
  readonly consulted: unknown;

  constructor(running: RunningCall, shared: readonly (readonly [name: string, value: unknown])[]) {
    this.#running = running;
    const { session, options } = running.call;
    this.input = running.input;
    this.session = session;
    this.key = options.key;
    this.consulted = running.consulted;
    // One after the other in the same order: spreading would cost more than all the rest of a call.
    for (const [name, value] of shared) (this as Record<string, unknown>)[name] = value;
  }

  get signal(): AbortSignal {
    return this.#running.signal;
  }
}

/**
 * One call from its frame to its one answer. The work may outlast the answer (the client cancelled, or left): what it
 * holds is counted against its user until both are over.
 */
export class RunningCall implements PendingRequest {
  readonly call: Incoming;
  /** As the contract checked it. Undefined once nobody needs it any more; whoever waits must not keep it elsewhere. */
  input: unknown;
  /** What the call's policy found out. */
  consulted: unknown;
  readonly #log: Log;
  readonly #counts: CallCounts;
  readonly #since = performance.now();
  readonly #timer: Timer;
  /** Bytes taken of the user's share. */
  #taken: number;
  #working = true;
  /** Made when the handler asks for its signal: most do not. */
  #abort: AbortController | undefined;
  #cancelled: RoomwireError | undefined;
  #later: LaterAnswer | undefined;
  #answered = false;
  /** What `keptOver` may be told before its transaction has found out what became of it, would not be true. */
  #stage: 'arrived' | 'staged' | 'decided' = 'arrived';

  /** Throws duplicate_id and too_many. */
  constructor(
    call: Incoming,
    input: unknown,
    {
      after,
      log,
      counters,
    }: {
      readonly after: (ms: number, fn: () => void) => Timer;
      readonly log: Log;
      readonly counters: Counters;
    },
  ) {
    this.call = call;
    this.input = input;
    this.#log = log;
    this.#counts = counters.call(call.name);
    this.#taken = CALL_BYTES + weigh(input as Value);
    const { connection, id, options } = call;
    connection.requests.begin(id, this);
    if (!this.#share.take(this.#taken)) {
      connection.requests.finish(id);
      throw tooMany(WAITING_MS, 'too much of yours is under way');
    }
    this.#timer = after(options.timeoutMs ?? DEFAULT_CALL_MS, () => this.cancel(new RoomwireError('deadline')));
  }

  get #share(): Share {
    return (this.call.session.account as Account).pending;
  }

  /** Who disconnects may still mean it, such as "leave" as a last word. */
  get unwanted(): boolean {
    return this.#cancelled !== undefined && this.#cancelled.name !== 'disconnected';
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#cancelled !== undefined) this.#abort.abort(this.#cancelled);
    }
    return this.#abort.signal;
  }

  get answered(): boolean {
    return this.#answered;
  }

  get inLine(): boolean {
    return this.#later !== undefined;
  }

  /** `ended`: nobody waits any more, answered or not. */
  later(store: StoreReply | undefined, ended?: () => void): LaterAnswer {
    return (this.#later ??= new LaterAnswer(this, store, ended));
  }

  /** It waits for the same answer as an earlier call with its key. */
  join(later: LaterAnswer): void {
    this.#later = later;
    later.join(this);
  }

  cancel(reason: RoomwireError): void {
    // One that is not wanted any more, and then disconnects, is not wanted again.
    if (!this.unwanted) this.#cancelled = reason;
    this.#abort?.abort(reason);
    if (!this.#outlives(reason)) this.failed(reason);
    // Of one that disconnected the call may still be done, until its deadline.
    if (this.unwanted) this.input = undefined;
  }

  /** Whether the answer is still to be found out: RW-CAL-7. */
  #outlives({ name }: RoomwireError): boolean {
    if (!this.call.keptOver) return false;
    if (name === 'disconnected') return true;
    return name === 'deadline' ? this.#stage === 'staged' : this.#stage !== 'decided';
  }

  staged(): void {
    this.#stage = 'staged';
  }

  /** Its transaction is committed, with a reply or with an answer to come later. */
  decided(reply: Uint8Array | undefined): void {
    this.#stage = 'decided';
    if (reply !== undefined) this.settle(reply);
    else if (this.#cancelled !== undefined && this.unwanted) this.failed(this.#cancelled);
  }

  /** Another call of the session waits for the same, and its own connection is gone. */
  superseded(): void {
    if (!this.#answered) this.#end(undefined, new RoomwireError('disconnected'));
  }

  /** Its handler is through, or will not be asked: what is left is the answer, if it comes later. */
  worked(): void {
    this.input = this.consulted = undefined;
    this.#working = false;
    this.#keep(this.#answered ? 0 : CALL_BYTES);
    if (this.#answered) this.#timer.cancel();
  }

  #keep(bytes: number): void {
    this.#share.give(this.#taken - bytes);
    this.#taken = bytes;
  }

  replyOf(result: unknown): Uint8Array {
    const { id, name } = this.call;
    return writeAck(id, result ?? null, name);
  }

  /** A result that cannot be sent is a failure. */
  succeeded(result: unknown): void {
    let reply: Uint8Array;
    try {
      reply = this.replyOf(result);
    } catch (error) {
      return this.failed(error);
    }
    this.settle(reply);
  }

  failed(error: unknown): void {
    if (this.#answered) return;
    const told = this.#errorOf(error);
    const { connection, id, name } = this.call;
    this.#end(writeNack(id, told), told);
    if (connection.open) connection.refused(told, name);
    this.#later?.left(true);
  }

  /** A handler's RoomwireError reaches the client; anything else is logged and told as handler_failed. */
  #errorOf(error: unknown): RoomwireError {
    if (error instanceof RoomwireError) return error;
    const what = error instanceof EncodeError ? 'the reply cannot be sent' : 'handler failed';
    const { name, session } = this.call;
    this.#log.error({ err: error, call: name, user: session.user.id }, what);
    return new RoomwireError('handler_failed');
  }

  /** False when it was answered already. */
  settle(reply: Uint8Array): boolean {
    if (this.#answered) return false;
    this.#end(reply, undefined);
    this.#later?.left(false);
    return true;
  }

  #end(reply: Uint8Array | undefined, error: RoomwireError | undefined): void {
    this.#answered = true;
    this.#counts.ended(this.#since, error);
    const { connection, id } = this.call;
    connection.requests.finish(id);
    if (!this.#working) this.#keep(0);
    // Still wanted, though nobody is there to be answered: until the deadline.
    if (!this.#working || error?.name !== 'disconnected') this.#timer.cancel();
    if (reply !== undefined && connection.open) connection.outbox.push(reply);
  }
}

/** Stores the reply of a keyed call in the transaction that has its effect. */
export interface StoreReply {
  put(tx: Transaction, result: unknown): void;
}

let lastLater = 0;

export class LaterAnswer implements Later {
  readonly id = ++lastLater;
  /** The call that waits, and its repetitions. */
  readonly #calls: Set<RunningCall>;
  readonly #store: StoreReply | undefined;
  readonly #ended: (() => void) | undefined;
  #gone: (() => void) | undefined;

  /** `ended`: nobody waits any more, answered or not. */
  constructor(running: RunningCall, store: StoreReply | undefined, ended: (() => void) | undefined) {
    this.#calls = new Set([running]);
    this.#store = store;
    this.#ended = ended;
  }

  get wanted(): boolean {
    return [...this.#calls].some(({ answered }) => !answered);
  }

  join(running: RunningCall): void {
    // The connection that comes after speaks for the session. Who was answered is held no longer: each has a connection.
    for (const call of this.#calls) {
      if (call !== running && !call.call.connection.open) call.superseded();
      if (call.answered) this.#calls.delete(call);
    }
    this.#calls.add(running);
  }

  answer(tx: Transaction, reply: unknown, unclaimed?: () => void): void {
    const replies = [...this.#calls].map((call) => [call, call.replyOf(reply)] as const);
    this.#store?.put(tx, reply);
    tx.afterCommit(() => {
      const claimed = replies.filter(([call, bytes]) => call.settle(bytes));
      if (claimed.length === 0) unclaimed?.();
    });
  }

  refuse(tx: Transaction, error: RoomwireError): void {
    tx.afterCommit(() => {
      for (const call of this.#calls) call.failed(error);
    });
  }

  onGone(fn: () => void): void {
    this.#gone = fn;
    // The connection may have gone before the handler's turn came.
    if (!this.wanted) this.left(true);
  }

  /** One of the calls was answered; `failed`: without a reply. */
  left(failed: boolean): void {
    if (this.wanted) return;
    this.#ended?.();
    const fn = this.#gone;
    this.#gone = undefined;
    if (failed) fn?.();
  }
}
