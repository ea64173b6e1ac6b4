/**
 * Calls from clients: the table of handlers, the check of the input against the contract, deadline
 * and cancel, and the reply. An atomic handler runs inside a transaction and its reply leaves in the
 * same block as its effects; a plain one may be asynchronous.
 */
import { encode, EncodeError } from '../protocol/codec.js';
import type { Contract } from '../protocol/contract.js';
import { RoomwireError } from '../protocol/errors.js';
import type { CallOptions, Value } from '../protocol/frames.js';
import type { Limits } from '../protocol/limits.js';
import type { AtomicHandler, CallContext, Later, Log, Session, Transaction, User } from './api.js';
import type { Connection, PendingRequest } from './connection.js';
import type { Hub } from './hub/hub.js';
import { KeyedCalls } from './keyed-calls.js';
import { findKey, hashOf, keyId, putKey } from './keys.js';
import { ackFrame, nackFrame } from './reply.js';
import { synchronous } from './hub/transaction.js';
import { checked } from '../protocol/validate.js';
import type { ServerSession } from './session.js';
import type { Timer } from './wheel.js';

/** Ms a call may take when the client names no deadline. */
export const DEFAULT_CALL_MS = 10_000;

export type PlainHandler = (context: CallContext<never, User> & Record<string, unknown>) => unknown;
export type TransactionHandler = AtomicHandler<never, User>;

interface Incoming {
  readonly connection: Connection;
  readonly session: ServerSession;
  readonly id: number;
  readonly name: string;
  readonly data: Value;
  readonly options: CallOptions;
}

export interface CallTableOptions {
  readonly contract: Contract;
  readonly hub: Hub;
  readonly limits: Limits;
  readonly log: Log;
  /** What every handler's context has beside its own call. */
  readonly context: readonly (readonly [name: string, value: unknown])[];
  readonly after: (ms: number, fn: () => void) => Timer;
}

export class CallTable {
  readonly #options: CallTableOptions;
  readonly #keyed: KeyedCalls;
  readonly #plain = new Map<string, PlainHandler>();
  readonly #atomic = new Map<string, TransactionHandler>();

  constructor(options: CallTableOptions) {
    this.#options = options;
    this.#keyed = new KeyedCalls(options.hub, options.limits.keyTtlMs);
  }

  /** Throws when the name is taken or not in the contract: a mistake of the programmer's. */
  add(name: string, handler: PlainHandler): void {
    this.#claim(name);
    this.#plain.set(name, handler);
  }

  addAtomic(name: string, handler: TransactionHandler): void {
    this.#claim(name);
    this.#atomic.set(name, handler);
  }

  #claim(name: string): void {
    if (this.#plain.has(name) || this.#atomic.has(name))
      throw new TypeError(`the call '${name}' has a handler already`);
    if (!Object.hasOwn(this.#options.contract.calls, name)) {
      throw new TypeError(`the contract has no call '${name}': add it to defineContract({ calls })`);
    }
  }

  run(call: Incoming): void {
    const { name } = call;
    const atomic = this.#atomic.get(name);
    const plain = this.#plain.get(name);
    if (atomic === undefined && plain === undefined) throw new RoomwireError('unknown_call', `no call '${name}'`);
    const schema = this.#options.contract.calls[name]?.input;
    const input = schema === undefined ? call.data : checked(schema, call.data);

    const running = new RunningCall(call, this.#options);
    if (atomic !== undefined) return this.#runAtomic(atomic, input, running);
    let result: unknown;
    try {
      result = this.#runPlain(plain as PlainHandler, input, running);
    } catch (error) {
      return running.failed(error);
    }
    if (!isThenable(result)) return running.succeeded(result);
    result.then(
      (arrived) => running.succeeded(arrived),
      (error: unknown) => running.failed(error),
    );
  }

  #runAtomic(handler: TransactionHandler, input: unknown, running: RunningCall): void {
    const { session, data, options } = running.call;
    const { key } = options;
    const { hub, limits } = this.#options;
    hub.perform(
      (tx) => {
        // The session may have ended between the frame and its turn (rule 1).
        if (tx.ended(session)) throw new RoomwireError('disconnected');
        // Cancelled or too late: the client was told so, and nothing must happen any more.
        if (running.unwanted) throw new RoomwireError('cancelled');
        const keyed =
          key === undefined ? undefined : { id: keyId(scopeOf(running.call, key)), hash: hashOf(encode(data)) };
        const known = keyed === undefined ? undefined : findKey(tx, keyed.id, keyed.hash);
        if (known !== undefined) return running.replyOf(known.result);
        // The result of a keyed call is stored in the transaction that has its effect.
        const store = (at: Transaction, result: unknown): void => {
          if (keyed === undefined) return;
          putKey(at, keyed.id, { hash: keyed.hash, until: at.now + limits.keyTtlMs, result: result ?? null });
        };
        const later = (): Later => running.later(store);
        const result = synchronous(handler(tx, { input: input as never, session, later }));
        if (result instanceof LaterAnswer) return undefined;
        store(tx, result);
        // In here, so that a reply that cannot be sent undoes what it tells of.
        return running.replyOf(result);
      },
      (reply) => {
        if (reply !== undefined) running.settle(reply);
      },
      (error) => running.failed(error),
    );
  }

  #runPlain(handler: PlainHandler, input: unknown, running: RunningCall): unknown {
    const { call } = running;
    const { key } = call.options;
    const context = new HandlerContext(running, input, this.#options.context);
    const run = (): unknown => handler(context as unknown as Parameters<PlainHandler>[0]);
    return key === undefined
      ? run()
      : this.#keyed.run(scopeOf(call, key), hashOf(encode(call.data)), async () => run());
  }
}

/** What a plain handler is called with. */
class HandlerContext {
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
class RunningCall implements PendingRequest {
  readonly call: Incoming;
  readonly #log: Log;
  readonly #timer: Timer;
  /** Made when the handler asks for its signal: most do not. */
  #abort: AbortController | undefined;
  #cancelled: RoomwireError | undefined;
  #later: LaterAnswer | undefined;
  #answered = false;

  /** Throws duplicate_id and too_many. */
  constructor(call: Incoming, { after, log }: CallTableOptions) {
    this.call = call;
    this.#log = log;
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
    this.settle(nackFrame(this.call.id, this.#errorOf(error)));
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
    this.#answered = true;
    this.#timer.cancel();
    const { connection, id } = this.call;
    connection.finish(id);
    if (connection.open) connection.outbox.push(reply);
    return true;
  }
}

let lastLater = 0;

class LaterAnswer implements Later {
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
  }

  gone(): void {
    const fn = this.#gone;
    this.#gone = undefined;
    fn?.();
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

/** A key belongs to the user and the call: after a reconnect the same user's session may be another. */
function scopeOf({ session, name }: Incoming, key: string): readonly string[] {
  return ['call', session.user.id, name, key];
}
