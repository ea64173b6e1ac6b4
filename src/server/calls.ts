/**
 * Calls from clients: the table of handlers, the check of the input against the contract, deadline
 * and cancel, and the reply. An atomic handler runs inside a transaction and its reply leaves in the
 * same block as its effects; a plain one may be asynchronous.
 */
import { encode, EncodeError } from '../protocol/codec.js';
import type { Contract } from '../protocol/contract.js';
import { RoomwireError } from '../protocol/errors.js';
import { Op, type CallOptions, type Value } from '../protocol/frames.js';
import type { Limits } from '../protocol/limits.js';
import type { CallContext, Log, Session, Transaction, User } from './api.js';
import type { Connection } from './connection.js';
import type { Hub } from './hub/hub.js';
import { hashOf, once } from './keys.js';
import { checked } from '../protocol/validate.js';
import type { ServerSession } from './session.js';
import type { Timer } from './wheel.js';

/** Ms a call may take when the client names no deadline. */
export const DEFAULT_CALL_MS = 10_000;

export type PlainHandler = (context: CallContext<never, User> & Record<string, unknown>) => unknown;
export type TransactionHandler = (
  tx: Transaction,
  context: { readonly input: never; readonly session: Session<User> },
) => unknown;

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
  readonly context: () => object;
  readonly after: (ms: number, fn: () => void) => Timer;
}

export class CallTable {
  readonly #options: CallTableOptions;
  readonly #plain = new Map<string, PlainHandler>();
  readonly #atomic = new Map<string, TransactionHandler>();

  constructor(options: CallTableOptions) {
    this.#options = options;
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
    const { connection, id, name } = call;
    const atomic = this.#atomic.get(name);
    const plain = this.#plain.get(name);
    if (atomic === undefined && plain === undefined) throw new RoomwireError('unknown_call', `no call '${name}'`);
    const schema = this.#options.contract.calls[name]?.input;
    const input = schema === undefined ? call.data : checked(schema, call.data);

    let answered = false;
    const abort = new AbortController();
    const settle = (reply: Uint8Array): void => {
      if (answered) return;
      answered = true;
      timer.cancel();
      connection.requests.delete(id);
      if (connection.open) connection.outbox.push(reply);
    };
    const done = (result: unknown): void => {
      let reply: Uint8Array;
      try {
        reply = encode([Op.ACK, id, result ?? null], { name });
      } catch (error) {
        return failed(error);
      }
      settle(reply);
    };
    const failed = (error: unknown): void => {
      if (answered) return;
      const { code, message, details } = this.#errorOf(error, call);
      settle(encode(details === undefined ? [Op.NACK, id, code, message] : [Op.NACK, id, code, message, details]));
    };
    const cancel = (reason: RoomwireError): void => {
      abort.abort(reason);
      failed(reason);
    };
    const timer = this.#options.after(call.options.timeoutMs ?? DEFAULT_CALL_MS, () =>
      cancel(new RoomwireError('deadline')),
    );
    connection.requests.set(id, { cancel });
    if (atomic !== undefined) this.#runAtomic(atomic, input, call, done, failed);
    else void this.#runPlain(plain as PlainHandler, input, call, abort.signal).then(done, failed);
  }

  #runAtomic(
    handler: TransactionHandler,
    input: unknown,
    { session, name, data, options }: Incoming,
    done: (result: unknown) => void,
    failed: (error: unknown) => void,
  ): void {
    const { key } = options;
    const { hub, limits } = this.#options;
    hub.perform(
      (tx) => {
        // The session may have ended between the frame and its turn (rule 1).
        if (session.ended) throw new RoomwireError('disconnected');
        const work = () => handler(tx, { input: input as never, session });
        if (key === undefined) return work();
        return once(tx, `call\0${session.user.id}\0${name}\0${key}`, hashOf(encode(data)), limits.keyTtlMs, work);
      },
      done,
      failed,
    );
  }

  async #runPlain(handler: PlainHandler, input: unknown, call: Incoming, signal: AbortSignal): Promise<unknown> {
    return await handler({
      ...this.#options.context(),
      input: input as never,
      session: call.session,
      key: call.options.key,
      signal,
    } as unknown as CallContext<never, User> & Record<string, unknown>);
  }

  /** A handler's RoomwireError reaches the client; anything else is logged and told as handler_failed. */
  #errorOf(error: unknown, { name, session }: Incoming): RoomwireError {
    if (error instanceof RoomwireError) return error;
    const what = error instanceof EncodeError ? 'the reply cannot be sent' : 'handler failed';
    this.#options.log.error({ err: error, call: name, user: session.user.id }, what);
    return new RoomwireError('handler_failed');
  }
}
