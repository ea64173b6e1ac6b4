/**
 * Calls from clients: the table of handlers, the check of the input against the contract, and keys.
 * An atomic handler runs inside a transaction and its reply leaves in the same block as its effects; a
 * plain one may be asynchronous. What a call goes through on its way is running-call.ts.
 */
import { encode } from '../../protocol/codec.js';
import type { Contract } from '../../protocol/contract.js';
import { refusal } from '../wire/refusal.js';
import { RoomwireError } from '../../protocol/errors.js';
import type { Value } from '../../protocol/frames.js';
import type { Limits } from '../../protocol/limits.js';
import type {
  AtomicHandler,
  AtomicOptions,
  CallAllowed,
  CallContext,
  CallPolicy,
  Later,
  Log,
  Session,
  User,
} from '../api.js';
import type { Counters } from '../watch/counters.js';
import type { Hub } from '../hub/hub.js';
import { ownerOf } from '../gate/budget.js';
import { allYes } from '../policy.js';
import { Finished } from './finish.js';
import { findKey, finish, hashOf, KeyedCalls, KeyedReply, type Claim, type KeyedCall } from './keys.js';
import { HandlerContext, LaterAnswer, RunningCall, type Incoming } from './running-call.js';
import { synchronous } from '../hub/transaction.js';
import { fits } from '../../protocol/pattern.js';
import { checked } from '../../protocol/validate.js';
import type { MaybePromise } from '../../store/store.js';
import type { Timer } from '../time/wheel.js';

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
  readonly after: (ms: number, fn: () => void) => Timer;
  /** The program's, by call, asked before its handler. */
  readonly policies: Readonly<Record<string, CallPolicy>>;
}

export class CallTable {
  readonly #options: CallTableOptions;
  readonly #keyed: KeyedCalls;
  /** What every handler's context has beside its own call. */
  readonly #context: [name: string, value: unknown][] = [];
  readonly #plain = new Map<string, PlainHandler>();
  readonly #atomic = new Map<string, TransactionHandler>();
  /** Atomic calls to which a key means nothing. */
  readonly #perSession = new Set<string>();
  /** Atomic calls whose keys belong to the session. */
  readonly #sessionKeys = new Set<string>();
  /** Keyed atomic calls that are answered later, while they wait. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #policies: [pattern: string, policy: CallPolicy][];
  /** By call, once it was made. */
  readonly #policiesOf = new Map<string, readonly CallPolicy[]>();

  constructor(options: CallTableOptions) {
    this.#options = options;
    this.#keyed = new KeyedCalls(options.hub, options.limits);
    this.#policies = Object.entries(options.policies);
  }

  /** Every handler's context has it under this name. */
  provide(name: string, value: unknown): void {
    this.#context.push([name, value]);
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
  addPolicy(pattern: string, policy: CallPolicy): void {
    this.#policies.push([pattern, policy]);
    this.#policiesOf.clear();
  }

  /** The policies for a call that exists. */
  #policiesFor(name: string): readonly CallPolicy[] {
    let policies = this.#policiesOf.get(name);
    if (policies === undefined) {
      policies = this.#policies.filter(([pattern]) => fits(pattern, name)).map(([, policy]) => policy);
      this.#policiesOf.set(name, policies);
    }
    return policies;
  }

  #claim(name: string): void {
    if (this.#plain.has(name) || this.#atomic.has(name))
      throw new TypeError(`the call '${name}' has a handler already`);
    if (!Object.hasOwn(this.#options.contract.calls, name)) {
      throw new TypeError(`the contract has no call '${name}': add it to defineContract({ calls })`);
    }
  }

  /** Keyed calls whose handler runs: their results are still to be kept. */
  get keyedUnderWay(): number {
    return this.#keyed.size;
  }

  run(call: Incoming, data: Value): void {
    const { name, options } = call;
    if (!this.#atomic.has(name) && !this.#plain.has(name)) throw refusal('unknown_call', `no call '${name}'`);
    const schema = this.#options.contract.calls[name]?.input;
    const input = schema === undefined ? data : checked(schema, data);
    const { key } = options;
    const keptOver = key !== undefined && this.#sessionKeys.has(name);
    const claim = key === undefined ? undefined : claimOf(call, key, { data, keptOver });

    const running = new RunningCall(keptOver ? { ...call, keptOver } : call, input, this.#options);
    const policies = this.#policiesFor(name);
    if (policies.length === 0) return this.#handle(running, claim);
    const verdict = judge(policies, running);
    if (typeof verdict !== 'boolean') return this.#whenJudged(verdict, running, claim);
    if (verdict) this.#handle(running, claim);
    else refuse(running, new RoomwireError('forbidden', `you may not call ${name} so`));
  }

  /** What waits here holds the call alone: its input is the call's to drop. */
  #whenJudged(verdict: Promise<boolean>, running: RunningCall, claim: Claim | undefined): void {
    const { name, session } = running.call;
    verdict.then(
      (allowed) => {
        if (!allowed) return refuse(running, new RoomwireError('forbidden', `you may not call ${name} so`));
        // Cancelled or too late: the client was told so, and nothing must happen any more (rule 1).
        if (running.unwanted && running.answered) return running.worked();
        if (session.ended || session.kicked) return refuse(running, new RoomwireError('disconnected'));
        this.#handle(running, claim);
      },
      (error: unknown) => refuse(running, error),
    );
  }

  #handle(running: RunningCall, claim: Claim | undefined): void {
    const { name } = running.call;
    const atomic = this.#atomic.get(name);
    if (atomic !== undefined) return this.#runAtomic(atomic, running, claim);
    this.#runPlain(this.#plain.get(name) as PlainHandler, running, claim);
  }

  #runAtomic(handler: TransactionHandler, running: RunningCall, claim: Claim | undefined): void {
    const { session, name } = running.call;
    const keyed =
      claim === undefined || this.#perSession.has(name) ? undefined : new KeyedReply(claim, this.#options.limits);
    const later = (): Later => {
      if (keyed === undefined) return running.later(undefined);
      const { id, hash } = keyed;
      const answer = running.later(keyed, () => this.#waiting.delete(id));
      this.#waiting.set(id, { hash, first: running, later: answer });
      return answer;
    };
    this.#options.hub.perform(
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
        const result = synchronous(
          handler(tx, { input: running.input as never, session, later, consulted: running.consulted }),
        );
        if (result instanceof LaterAnswer) return undefined;
        // The result of a keyed call is stored in the transaction that has its effect.
        keyed?.put(tx, result);
        // In here, so that a reply that cannot be sent undoes what it tells of.
        return running.replyOf(result);
      },
      (reply) => {
        running.worked();
        running.decided(reply);
      },
      (error) => refuse(running, error),
    );
  }

  #runPlain(handler: PlainHandler, running: RunningCall, claim: Claim | undefined): void {
    const context = new HandlerContext(running, this.#context) as unknown as Parameters<PlainHandler>[0];
    if (claim !== undefined) return this.#keyed.run(claim, new PlainCall(running, async () => handler(context)));
    let result: unknown;
    try {
      result = handler(context);
    } catch (error) {
      return refuse(running, error);
    }
    const refused = (error: unknown): void => refuse(running, error);
    if (isThenable(result)) result.then((arrived) => this.#ended(running, arrived), refused);
    else this.#ended(running, result);
  }

  #ended(running: RunningCall, result: unknown): void {
    if (result instanceof Finished) {
      finish(this.#options.hub, result, new PlainCall(running)).catch((error) => refuse(running, error));
      return;
    }
    running.worked();
    running.succeeded(result);
  }
}

/** A plain handler's call as keys.ts answers it. */
class PlainCall implements KeyedCall {
  readonly #running: RunningCall;
  readonly #handle: (() => Promise<unknown>) | undefined;

  constructor(running: RunningCall, handle?: () => Promise<unknown>) {
    this.#running = running;
    this.#handle = handle;
  }

  get session(): Session {
    return this.#running.call.session;
  }

  async handle(): Promise<unknown> {
    return this.#handle?.();
  }

  replyOf(result: unknown): Uint8Array {
    return this.#running.replyOf(result);
  }

  answered(reply: Uint8Array): void {
    this.#running.worked();
    this.#running.settle(reply);
  }

  succeeded(result: unknown): void {
    this.#running.worked();
    this.#running.succeeded(result);
  }

  refused(error: unknown): void {
    refuse(this.#running, error);
  }
}

function judge(policies: readonly CallPolicy[], running: RunningCall): MaybePromise<boolean> {
  const { input } = running;
  const { session, name: call } = running.call;
  const kept = keeper(running);
  return allYes(
    policies.map((policy) => () => {
      const answer = policy({ session, call, input });
      return isThenable(answer) ? Promise.resolve(answer).then(kept) : kept(answer);
    }),
  );
}

/** A scope of its own: whoever waits for the answer holds the call, and not its input. */
function keeper(running: RunningCall): (answer: boolean | CallAllowed) => boolean {
  return (answer) => {
    if (typeof answer !== 'object') return answer;
    // Of programs that are not checked: what is neither is no yes.
    if (answer === null || !Object.hasOwn(answer, 'consulted')) return false;
    running.consulted = answer.consulted;
    return true;
  };
}

/** Its work is over, and came to nothing. */
function refuse(running: RunningCall, error: unknown): void {
  running.worked();
  running.failed(error);
}

function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

/**
 * A key belongs to the user and the call: after a reconnect the same user's session may be another. What a repetition must
 * be the same in is the data, and to a key of a session's own the session.
 */
function claimOf(
  { session, name, connection }: Incoming,
  key: string,
  { data, keptOver }: { readonly data: Value; readonly keptOver: boolean },
): Claim {
  const { user, sid, record } = session;
  return {
    scope: ['call', user.id, name, key],
    hash: hashOf(encode(keptOver ? [sid, data] : data)),
    owner: ownerOf(user, record.guest, connection.address),
  };
}
