/**
 * One call from its frame to its one answer: deadline, cancel, abort signal, the reply, and for an
 * atomic handler the answer that comes with a later transaction. Used by calls.ts.
 */
import { EncodeError } from '../protocol/codec.js';
import { RoomwireError } from '../protocol/errors.js';
import type { CallOptions, Value } from '../protocol/frames.js';
import type { Later, Log, Session, Transaction, User } from './api.js';
import type { Connection, PendingRequest } from './connection.js';
import type { CallCounts, Counters } from './counters.js';
import { ackFrame, nackFrame } from './reply.js';
import type { ServerSession } from './session.js';
import type { Timer } from './wheel.js';

/** Ms a call may take when the client names no deadline. */
export const DEFAULT_CALL_MS = 10_000;

export interface Incoming {
  readonly connection: Connection;
  readonly session: ServerSession;
  readonly id: number;
  readonly name: string;
  readonly data: Value;
  readonly options: CallOptions;
}

/** What a plain handler is called with. */
export class HandlerContext {
  readonly #running: RunningCall;
  readonly input: unknown;
  readonly session: Session<User>;
  readonly key: string | undefined;

  constructor(running: RunningCall, input: unknown, shared: readonly (readonly [name: string, value: unknown])[]) {
    this.#running = running;
    const { session, options } = running.call;
    this.input = input;
    this.session = session;
    this.key = options.key;
    // One after the other in the same order: spreading would cost more than all the rest of a call.
    for (const [name, value] of shared) (this as Record<string, unknown>)[name] = value;
  }

  get signal(): AbortSignal {
    return this.#running.signal;
  }
}

/** One call from its frame to its one answer. */
export class RunningCall implements PendingRequest {
  readonly call: Incoming;
  readonly #log: Log;
  readonly #counts: CallCounts;
  readonly #since = performance.now();
  readonly #timer: Timer;
  /** Made when the handler asks for its signal: most do not. */
  #abort: AbortController | undefined;
  #cancelled: RoomwireError | undefined;
  #later: LaterAnswer | undefined;
  #answered = false;
  onSettled: (() => void) | undefined;

  /** Throws duplicate_id and too_many. */
  constructor(
    call: Incoming,
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
    this.#log = log;
    this.#counts = counters.call(call.name);
    call.connection.begin(call.id, this);
    this.#timer = after(call.options.timeoutMs ?? DEFAULT_CALL_MS, () => this.cancel(new RoomwireError('deadline')));
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

  later(store: (tx: Transaction, result: unknown) => void): Later {
    return (this.#later ??= new LaterAnswer(this, store));
  }

  cancel(reason: RoomwireError): void {
    this.#cancelled = reason;
    this.#abort?.abort(reason);
    this.failed(reason);
  }

  replyOf(result: unknown): Uint8Array {
    const { id, name } = this.call;
    return ackFrame(id, result ?? null, name);
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
    this.#end(nackFrame(id, told), told);
    if (connection.open) connection.refused(told, name);
    this.#later?.gone();
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
    return true;
  }

  #end(reply: Uint8Array, error: RoomwireError | undefined): void {
    this.#answered = true;
    this.#counts.ended(this.#since, error);
    this.#timer.cancel();
    const { connection, id } = this.call;
    connection.finish(id);
    this.onSettled?.();
    if (connection.open) connection.outbox.push(reply);
  }
}

let lastLater = 0;

export class LaterAnswer implements Later {
  readonly id = ++lastLater;
  readonly #running: RunningCall;
  readonly #store: (tx: Transaction, result: unknown) => void;
  #gone: (() => void) | undefined;

  constructor(running: RunningCall, store: (tx: Transaction, result: unknown) => void) {
    this.#running = running;
    this.#store = store;
  }

  get wanted(): boolean {
    return !this.#running.answered;
  }

  answer(tx: Transaction, reply: unknown, unclaimed?: () => void): void {
    const bytes = this.#running.replyOf(reply);
    this.#store(tx, reply);
    tx.afterCommit(() => {
      if (!this.#running.settle(bytes)) unclaimed?.();
    });
  }

  refuse(tx: Transaction, error: RoomwireError): void {
    tx.afterCommit(() => this.#running.failed(error));
  }

  onGone(fn: () => void): void {
    this.#gone = fn;
    // The connection may have gone before the handler's turn came.
    if (!this.wanted) this.gone();
  }

  gone(): void {
    const fn = this.#gone;
    this.#gone = undefined;
    fn?.();
  }
}
