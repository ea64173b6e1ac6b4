/**
 * Calls from clients: the table of handlers, the check of the input against the contract, and keys.
 * An atomic handler runs inside a transaction and its reply leaves in the same block as its effects; a
 * plain one may be asynchronous. What a call goes through on its way is running-call.ts.
 */
import { encode } from '../protocol/codec.js';
import type { Contract } from '../protocol/contract.js';
import { refusal } from './refusal.js';
import { RoomwireError } from '../protocol/errors.js';
import type { Limits } from '../protocol/limits.js';
import type { AtomicHandler, AtomicOptions, CallContext, CallRule, Later, Log, Transaction, User } from './api.js';
import type { Counters } from './counters.js';
import type { Hub } from './hub/hub.js';
import { KeyedCalls } from './keyed-calls.js';
import { allYes } from './policy.js';
import { findKey, hashOf, keyId, putKey } from './keys.js';
import { HandlerContext, LaterAnswer, RunningCall, type Incoming } from './running-call.js';
import { synchronous } from './hub/transaction.js';
import { checked } from '../protocol/validate.js';
import type { Timer } from './wheel.js';

export type PlainHandler = (context: CallContext<never, User> & Record<string, unknown>) => unknown;
export type TransactionHandler = AtomicHandler<never, User>;

interface Waiting {
  readonly hash: string;
  readonly first: RunningCall;
  readonly later: LaterAnswer;
}

export interface CallTableOptions {
  readonly contract: Contract;
  readonly hub: Hub;
  readonly limits: Limits;
  readonly log: Log;
  readonly counters: Counters;
  /** What every handler's context has beside its own call. */
  readonly context: readonly (readonly [name: string, value: unknown])[];
  readonly after: (ms: number, fn: () => void) => Timer;
  /** Rules of the program by call, asked before its handler. */
  readonly rules: Readonly<Record<string, CallRule>>;
}

export class CallTable {
  readonly #options: CallTableOptions;
  readonly #keyed: KeyedCalls;
  readonly #plain = new Map<string, PlainHandler>();
  readonly #atomic = new Map<string, TransactionHandler>();
  /** Atomic calls to which a key means nothing. */
  readonly #perSession = new Set<string>();
  /** Atomic calls whose keys belong to the session. */
  readonly #sessionKeys = new Set<string>();
  /** Keyed atomic calls that are answered later, while they wait. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #rules: [pattern: string, rule: CallRule][];
  /** By call, once it was made. */
  readonly #rulesOf = new Map<string, readonly CallRule[]>();

  constructor(options: CallTableOptions) {
    this.#options = options;
    this.#keyed = new KeyedCalls(options.hub, options.limits);
    this.#rules = Object.entries(options.rules);
  }

  /** Throws when the name is taken or not in the contract: a mistake of the programmer's. */
  add(name: string, handler: PlainHandler): void {
    this.#claim(name);
    this.#plain.set(name, handler);
  }

  addAtomic(name: string, handler: TransactionHandler, { perSession, sessionKeys }: AtomicOptions = {}): void {
    this.#claim(name);
    this.#atomic.set(name, handler);
    if (perSession) this.#perSession.add(name);
    if (sessionKeys) this.#sessionKeys.add(name);
  }

  /** `pattern`: a call or `prefix*`. */
  guard(pattern: string, rule: CallRule): void {
    this.#rules.push([pattern, rule]);
    this.#rulesOf.clear();
  }

  /** The rules for a call that exists. */
  #guards(name: string): readonly CallRule[] {
    let rules = this.#rulesOf.get(name);
    if (rules === undefined) {
      rules = this.#rules
        .filter(([pattern]) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern))
        .map(([, rule]) => rule);
      this.#rulesOf.set(name, rules);
    }
    return rules;
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
    if (!this.#atomic.has(name) && !this.#plain.has(name)) throw refusal('unknown_call', `no call '${name}'`);
    const schema = this.#options.contract.calls[name]?.input;
    const input = schema === undefined ? call.data : checked(schema, call.data);

    const keptOver = call.options.key !== undefined && this.#sessionKeys.has(name);
    const running = new RunningCall(keptOver ? { ...call, keptOver } : call, this.#options);
    const rules = this.#guards(name);
    if (rules.length === 0) return this.#handle(running, input);
    const { session } = call;
    const refused = (): void => running.failed(new RoomwireError('forbidden', `you may not call ${name} so`));
    const verdict = allYes(rules.map((rule) => () => rule({ session, call: name, input })));
    if (typeof verdict === 'boolean') return verdict ? this.#handle(running, input) : refused();
    verdict.then(
      (allowed) => {
        if (!allowed) return refused();
        // Cancelled or too late: the client was told so, and nothing must happen any more (rule 1).
        if (running.unwanted && running.answered) return;
        if (session.ended || session.kicked) return running.failed(new RoomwireError('disconnected'));
        this.#handle(running, input);
      },
      (error: unknown) => running.failed(error),
    );
  }

  #handle(running: RunningCall, input: unknown): void {
    const { name } = running.call;
    const atomic = this.#atomic.get(name);
    if (atomic !== undefined) return this.#runAtomic(atomic, input, running);
    let result: unknown;
    try {
      result = this.#runPlain(this.#plain.get(name) as PlainHandler, input, running);
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
    const { call } = running;
    const { session, name } = call;
    const key = this.#perSession.has(name) ? undefined : call.options.key;
    const keyed = key === undefined ? undefined : { id: keyId(scopeOf(call, key)), hash: contentOf(call) };
    const { hub, limits } = this.#options;
    hub.perform(
      (tx) => {
        running.staged();
        // The session may have ended between the frame and its turn (rule 1).
        if (tx.ended(session) || session.kicked) throw new RoomwireError('disconnected');
        // Done before: that is the answer, also to one who says in the same breath that it is not wanted any more.
        const known = keyed === undefined ? undefined : findKey(tx, keyed.id, keyed.hash);
        if (known !== undefined) return running.replyOf(known.result);
        const waiting = keyed === undefined ? undefined : this.#waiting.get(keyed.id);
        // A transaction may run twice, and find itself.
        const repeats = waiting !== undefined && waiting.first !== running;
        if (repeats && waiting.hash !== keyed?.hash) throw new RoomwireError('key_reused');
        if (repeats) running.join(waiting.later);
        // Cancelled or too late: the client was told so, and nothing must happen any more.
        if (running.unwanted) throw new RoomwireError('cancelled');
        if (repeats) return undefined;
        // The result of a keyed call is stored in the transaction that has its effect.
        const store = (at: Transaction, result: unknown): void => {
          if (keyed === undefined) return;
          const { id, hash } = keyed;
          const { id: owner } = session.user;
          putKey(at, id, { hash, owner, until: at.now + limits.keyTtlMs, result: result ?? null }, limits);
        };
        const later = (): Later => {
          const answer = running.later(store, () => keyed !== undefined && this.#waiting.delete(keyed.id));
          if (keyed !== undefined) this.#waiting.set(keyed.id, { hash: keyed.hash, first: running, later: answer });
          return answer;
        };
        const result = synchronous(handler(tx, { input: input as never, session, later }));
        if (result instanceof LaterAnswer) return undefined;
        store(tx, result);
        // In here, so that a reply that cannot be sent undoes what it tells of.
        return running.replyOf(result);
      },
      (reply) => running.decided(reply),
      (error) => running.failed(error),
    );
  }

  #runPlain(handler: PlainHandler, input: unknown, running: RunningCall): unknown {
    const { call } = running;
    const { key } = call.options;
    const context = new HandlerContext(running, input, this.#options.context);
    const run = (): unknown => handler(context as unknown as Parameters<PlainHandler>[0]);
    return key === undefined ? run() : this.#keyed.run(scopeOf(call, key), contentOf(call), async () => run());
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

/** A key belongs to the user and the call: after a reconnect the same user's session may be another. */
function scopeOf({ session, name }: Incoming, key: string): readonly string[] {
  return ['call', session.user.id, name, key];
}

/** What a repetition must be the same in: to a key of a session's own, another session is other content. */
function contentOf({ session, data, keptOver }: Incoming): string {
  return hashOf(encode(keptOver === true ? [session.sid, data] : data));
}
