/**
 * The server's public types: what an embedding program and a plugin see. `rooms/` and `http/` are
 * written on these alone, so whatever they need, users get.
 */
import type { CallInput, CallNames, Contract, EventData, EventNames, Shape, Topics } from '../protocol/contract.js';
import type { ErrorName } from '../protocol/codes.js';
import type { RoomwireError } from '../protocol/errors.js';
import type { Position, Value } from '../protocol/frames.js';
import type {
  Delivery,
  ClusterReport,
  EdgeReport,
  EngineInfo,
  NodeReport,
  PresentUser,
  Stats,
  TopicHistory,
  TopicList,
  TopicReport,
  WhyReport,
} from '../protocol/http-answers.js';
import type { Limits } from '../protocol/limits.js';
import type { AuditEntry } from './watch/audit.js';
import type { Counters } from './watch/counters.js';
import type { Log } from './watch/log.js';
import type { Gone, HttpRequest, HttpResponse, StreamedBody } from './transport/transport.js';

export type { AuditEntry, AuditEvent, AuditLine } from './watch/audit.js';
export type { CallCounts, Counters, Timing } from './watch/counters.js';
export type { Log } from './watch/log.js';
export type {
  Delivery,
  DeliveryStage,
  ClusterReport,
  EdgeReport,
  EngineInfo,
  LoggedEvent,
  NodeReport,
  PresentUser,
  PublishReport,
  Stats,
  SubscriberReport,
  TopicHistory,
  TopicLine,
  TopicList,
  TopicReport,
  WhyReport,
} from '../protocol/http-answers.js';
export type { Gone, HttpRequest, HttpResponse, Socket, SocketEvents, StreamedBody } from './transport/transport.js';
export type { FollowedEvents, FollowOptions, LiveFormat, LiveOptions, PollOptions } from './following.js';
import type { FollowedEvents, FollowOptions, PollOptions } from './following.js';
export type { Arrival, ArrivalHook, HttpCaller, Session, User } from './who.js';
export type { Timer } from './time/wheel.js';
import type { Timer } from './time/wheel.js';
import type { ArrivalHook, HttpCaller, Session, User } from './who.js';

/**
 * A view of the store in which everything read and written belongs to one atomic commit. A
 * transaction runs at the end of the tick and *may run more than once*: it must change nothing but
 * through this object, be synchronous, and leave side effects to `afterCommit`. What it throws
 * undoes it and rejects the promise.
 */
export interface Transaction {
  /** Store time, ms. */
  readonly now: number;
  /** A document of the caller's own, to change as it likes: it is written by `set` alone. */
  get<T = Value>(table: string, key: string): T | undefined;
  /** The same, shared by all who read it and frozen to the bottom: costs next to nothing where it was read lately. */
  read<T = Value>(table: string, key: string): T | undefined;
  /** Throws EncodeError for what is not plain data. */
  set(table: string, key: string, value: unknown): void;
  delete(table: string, key: string): void;
  /** Ordered by the keys' bytes; `after` excludes itself. */
  list<T = Value>(
    table: string,
    options: { readonly prefix?: string; readonly after?: string; readonly limit: number },
  ): [key: string, value: T][];
  /**
   * The first of `list`, shared and frozen as `read` gives them. Costs little where it was read lately, `prefix` ends with a
   * NUL and there are at most 256 of them.
   */
  readList<T = Value>(
    table: string,
    options: { readonly prefix: string; readonly limit: number },
  ): [key: string, value: T][];
  /** The next value of the store's one counter: grows for ever, also across restarts. For versions and fencing tokens. */
  nextVersion(): number;
  /** Appends an event; `from` names the session it speaks for, else the server. */
  publish(topic: string, event: string, data: unknown, options?: { readonly from?: Session }): void;
  /** Sets a volatile value of the server's once this transaction is committed: the newest per slot wins, nobody recovers it. `undefined` takes it away, untold. */
  volatile(topic: string, event: string, slot: string, data: unknown): void;
  /** Where the topic stands at this point of the batch. */
  position(topic: string): Position;
  /** Sessions connected to the topic as of the last commit. */
  subscribers(topic: string): number;
  /** The topics a session is in at this point of the batch. */
  topics(session: Session): string[];
  /** Puts the session in the topic: SUBSCRIBED goes out before this transaction's reply (RW-ORD-4). */
  subscribe(session: Session, topic: string): void;
  /** Takes it out after the events so far; REMOVED goes out before this transaction's reply. */
  unsubscribe(session: Session, topic: string, why?: { readonly code?: ErrorName; readonly reason: string }): void;
  /** Takes everyone out after the events so far and forgets the log; a topic of that name made later has a new epoch. */
  dropTopic(topic: string, why: { readonly code: ErrorName; readonly reason: string }): void;
  /** Runs `fn` once the commit is done, in the same synchronous block as its replies. */
  afterCommit(fn: () => void): void;
}

/** How a plain handler ends in one transaction, which the answer leaves with: all of it happens, or none. */
export interface Finish<T> {
  /**
   * Topics that the session leaves, then those that it enters, also such as the contract keeps to calls. Done for whoever
   * repeats the call with its key, too. The topics of rooms are for members: others are taken out of them at their next resume.
   */
  readonly unsubscribe?: readonly string[];
  readonly subscribe?: readonly string[];
  /** Last: what it returns is the answer, nil without it. A repetition with the call's key gets that answer, and it does not run again. */
  readonly work?: (tx: Transaction) => T;
}

/** What a call's handler is given, beside the plugins' own entries. */
export interface CallContext<I, U extends User, S extends Shape = Shape> {
  readonly input: I;
  readonly session: Session<U>;
  /** The client's idempotency key, for effects outside roomwire. */
  readonly key: string | undefined;
  /** Aborts when the client cancels, disconnects or its deadline passes. */
  readonly signal: AbortSignal;
  /** What the call's policy found out: CallAllowed. */
  readonly consulted: unknown;
  publish: Publish<S>;
  transact<T>(work: (tx: Transaction) => T): Promise<T>;
  /**
   * `return finish({ subscribe: [topic] })`: the handler's end. Throws a TypeError for a topic that the contract lacks. The
   * call is refused with disconnected when its session has ended and was to enter a topic.
   */
  finish<T>(ending: Finish<T>): unknown;
}

export interface Published {
  readonly epoch: string;
  readonly offset: number;
  /** Connected sessions in the topic at that moment; 0: it reached nobody (rule 5). */
  readonly matched: number;
}
export interface PublishOptions {
  /** Idempotency key: the same key with the same data is published once within `limits.keyTtlMs`. */
  readonly key?: string;
  /** Whose key it is, where several share the program: the same key of another is another key. */
  readonly keyScope?: readonly string[];
  /** Who has `limits.keys` of them at once; default: the program, which may have any number. */
  readonly keyOwner?: string;
}
/** Appends an event; resolves after the commit. Rejects with a RoomwireError: unknown_topic, unknown_event, invalid_data, bad_request, too_large, key_reused, store_unavailable. */
export type Publish<S extends Shape> = <T extends Topics<S>, E extends EventNames<S, T>>(
  topic: T,
  event: E,
  data: EventData<S, T, E>,
  options?: PublishOptions,
) => Promise<Published>;

export type Handler<I, U extends User, S extends Shape, P> = (context: CallContext<I, U, S> & P) => unknown;
/** Runs inside a transaction; what it returns is the reply, sent in the same block as its effects. */
export type AtomicHandler<I, U extends User> = (
  tx: Transaction,
  context: {
    readonly input: I;
    readonly session: Session<U>;
    readonly later: () => Later;
    /** What the call's policy found out: CallAllowed. */
    readonly consulted: unknown;
  },
) => unknown;
export interface AtomicOptions {
  /**
   * What the call does, it does to the session that asks, as one that subscribes it; and a repetition is harmless.
   * A key means nothing to it (RW-CAL-5): a repetition may come from another session, to which nothing was done yet.
   */
  readonly perSession?: boolean;
  /**
   * What the call gives belongs to the session that asks, as a lock does, so its keys do: another session that uses one
   * gets key_reused, and a call that waits keeps its place while its session is away (RW-CAL-5, RW-CAL-7).
   */
  readonly sessionKeys?: boolean;
}

/**
 * The answer of an atomic handler that comes with another transaction, such as the grant to one who
 * waits: the handler returns it instead of a reply. The same one whenever the handler runs again.
 */
export interface Later {
  /** Unique in this process. */
  readonly id: number;
  /** False once the client was answered, cancelled, ran into its deadline or, without a key of its session, disconnected. */
  readonly wanted: boolean;
  /** Answers in that transaction's block, before its events. `unclaimed`: it was committed, but nobody waits any more. */
  answer(tx: Transaction, reply: unknown, unclaimed?: () => void): void;
  /** Refuses once that transaction is committed. */
  refuse(tx: Transaction, error: RoomwireError): void;
  /** Runs `fn` once, when the client stops waiting for whatever reason but an answer. */
  onGone(fn: () => void): void;
}

export interface TopicPolicy {
  /** May this session subscribe (or resume)? By default the contract decides. */
  readonly subscribe?: (context: {
    session: Session;
    topic: string;
    params: Readonly<Record<string, string>>;
  }) => boolean | Promise<boolean>;
  /**
   * May a session that comes back stay in this topic? Only for topics the contract keeps to calls: the others are asked
   * `subscribe`. The session's user is as the new token has it. An error of 200–299 sends the client away, to come
   * back later with all its topics.
   */
  readonly resume?: (context: {
    session: Session;
    topic: string;
    params: Readonly<Record<string, string>>;
  }) => boolean | Promise<boolean>;
  /** By event name or `prefix*`: may this session publish it? By default the contract decides. */
  readonly publish?: Readonly<
    Record<
      string,
      (context: {
        session: Session;
        topic: string;
        event: string;
        params: Readonly<Record<string, string>>;
      }) => boolean | Promise<boolean>
    >
  >;
}

/** Yes, with what was found out on the way: the handler's `consulted`. */
export interface CallAllowed {
  readonly consulted: unknown;
}

/** May this session make this call? Asked before the handler, each time; only `true` and CallAllowed are yes. */
export type CallPolicy = (context: {
  session: Session;
  call: string;
  /** As the contract checked it. */
  input: unknown;
}) => boolean | CallAllowed | Promise<boolean | CallAllowed>;

export interface TopicQuery {
  /** Part of the name, whatever its case. */
  readonly search?: string | undefined;
  /** Default 100, at most 500. */
  readonly limit?: number | undefined;
}
export type UserQuery = TopicQuery;

export interface HistoryQuery {
  /** Events after this offset; without it the newest. */
  readonly after?: number | undefined;
  /** Default 50, at most 500. */
  readonly limit?: number | undefined;
}

/** The part of the server a plugin works with. */
export interface PluginHost {
  readonly contract: Contract;
  /** Another in each run of the server: what is kept in the store and belongs to the process, such as who waits in it, carries this. */
  readonly run: string;
  readonly limits: Readonly<Limits>;
  /** The path that the server is under, without a final slash; empty: none. */
  readonly basePath: string;
  /** What carries the connections; undefined before `listen`. */
  readonly engineInfo: EngineInfo | undefined;
  /** The processes that carry the connections, where they are others than this one. */
  edges(): readonly EdgeReport[];
  /** How this node stands; undefined: it is of no cluster. */
  cluster(): ClusterReport | undefined;
  /** The nodes of its cluster, while it is the hub; else none. */
  nodes(): readonly NodeReport[];
  /** Takes no more connections through an edge, and sends its clients elsewhere, spread over `spreadMs`. False: there is none of this name. */
  drainEdge(name: string, spreadMs?: number): boolean;
  /** The APIs of the plugins set up before this one, by name. */
  readonly plugins: Readonly<Record<string, unknown>>;
  /** Store time, ms. */
  now(): number;
  /** A timer on the shared wheel (rule 10). */
  after(ms: number, fn: () => void): Timer;
  /** Like `after`, for what a client has to do until then: time in which this process was frozen does not count. */
  afterAwake(ms: number, fn: () => void): Timer;
  /** Makes a rate by key: what it returns counts one, or as much as `weight`, and throws too_many with `retryAfterMs` when it comes too early. `burst` may come at once, by default twice as many. */
  rate(perSecond: number, burst?: number): (key: string, weight?: number) => void;
  transact<T>(work: (tx: Transaction) => T): Promise<T>;
  handle(call: string, handler: (context: CallContext<never, User> & Record<string, unknown>) => unknown): void;
  handleAtomic(call: string, handler: AtomicHandler<never, User>, options?: AtomicOptions): void;
  publish(topic: string, event: string, data: unknown, options?: PublishOptions): Promise<Published>;
  /** Checks an event as `publish` does, and throws as that rejects; what it returns appends the event in a transaction. */
  prepare(topic: string, event: string, data: unknown, options?: PublishOptions): (tx: Transaction) => Published;
  /** Live session by id. */
  session(sid: string): Session | undefined;
  /** Sessions of a user, also those in their grace. */
  sessionsOf(userId: string): readonly Session[];
  /** Ends a session for good, closing its connection with `kicked` at once: what it asked for and waits is not done. */
  kick(session: Session, reason?: string): Promise<void>;
  /**
   * Puts a session into topics as if it had sent SUBSCRIBE: contract and rules decide; all of them, or none. Resolves after
   * the commit. Rejects with unknown_topic, join_required, forbidden, limit_reached, disconnected.
   */
  subscribe(session: Session, topics: readonly string[]): Promise<void>;
  /**
   * Takes sessions out of topics and puts them into others, in one transaction, also such as the contract keeps to calls: no
   * rule is asked. Resolves with the sessions, without those that have ended. Rejects with unknown_topic and limit_reached.
   */
  move(sessions: readonly Session[], moves: Pick<Finish<never>, 'unsubscribe' | 'subscribe'>): Promise<Session[]>;
  /** A policy for a call or `prefix*`, beside the program's own. */
  callPolicy(pattern: string, policy: CallPolicy): void;
  /** A policy for the topics of a pattern, beside the program's own. */
  topicPolicy(pattern: string, policy: TopicPolicy): void;
  /** Asked before anyone gets the rights of a token: at HELLO, AUTH, and each HTTP request of a user. */
  onArrival(hook: ArrivalHook): void;
  /** Calls a client; rejects with `disconnected` at once when it is not there. */
  call(session: Session, name: string, data: unknown, options?: { readonly timeoutMs?: number }): Promise<Value>;
  /**
   * Runs in the transaction that begins a session, not when it is resumed. Where it subscribes the session, SUBSCRIBED follows
   * WELCOME. `afterCommit` may call the client. What it throws refuses the session.
   */
  onSessionStart(hook: (tx: Transaction, session: Session) => void): void;
  /** Runs in the transaction that ends a session; its topics are still listed. */
  onSessionEnd(hook: (tx: Transaction, session: Session) => void): void;
  /**
   * Runs in the transaction that resumes a session: may it stay in this topic? Only for topics the contract keeps to
   * calls. `refused`: a rule says that it may not; what the plugin keeps of it there ends now.
   */
  onResume(
    pattern: string,
    hook: (tx: Transaction, session: Session, topic: string, refused: boolean) => boolean,
  ): void;
  /** Runs once, after the store is open and before the first connection. */
  onOpen(hook: () => void | Promise<void>): void;
  /** Before those of `onOpen`, for what reads what the store holds: what it throws is laid to the store. */
  onRestore(hook: () => void | Promise<void>): void;
  onClose(hook: () => void | Promise<void>): void;
  /** Answers HTTP requests; undefined passes on to the next. */
  onRequest(hook: (request: HttpRequest, gone: Gone) => Promise<HttpResponse | undefined>): void;
  /** Writes the answer where the server itself refuses a request or fails at it; `error` says what the client may know. The last hook counts. */
  onRefusedRequest(hook: (request: HttpRequest, error: RoomwireError) => HttpResponse): void;
  /** Who sent this HTTP request. Throws a RoomwireError (unauthenticated, token_expired). */
  authenticate(request: HttpRequest): Promise<HttpCaller>;
  readonly log: Log;
  /** Adds to the audit trail (`time` is added) and, sampled, to the log. Never throws. */
  audit(entry: AuditEntry): void;
  /** Hears every entry, also those that sampling leaves out of the trail. */
  onAudit(watcher: (entry: AuditEntry) => void): void;
  /** Whether the server takes work: open, not draining, store answering. */
  readonly ready: boolean;
  /** The topics in memory, those with the newest events first, with their rates. */
  topics(query?: TopicQuery): TopicList;
  /** Users with a session, by part of the id or the name. */
  users(query?: UserQuery): readonly PresentUser[];
  /** Events of a topic's log, for one who is not in it. Rejects with unknown_topic and store_unavailable. */
  history(topic: string, query?: HistoryQuery): Promise<TopicHistory>;
  /**
   * The body of an answer that goes on with the topic's events, for one who is not in it: a cursor, as a session's is. A user
   * must be one who may subscribe. Ends by itself when the rights do, and after a while, to be asked for again. Rejects with
   * unknown_topic, forbidden, join_required and, past the bounds of `live`, too_many.
   */
  follow(topic: string, options: FollowOptions): Promise<StreamedBody>;
  /** The same as one answer: at once where there is something after the position, else when there is, or with nothing after a while. */
  poll(topic: string, options: PollOptions): Promise<FollowedEvents>;
  /** Ends what a user follows and polls; how many. */
  unfollow(userId: string, reason?: string): number;
  /** How a topic stands: who is in it, who is behind, its latest publishes. */
  inspect(topic: string): Promise<TopicReport>;
  /** Why a session, or the sessions of a user, did or did not get an event. */
  why(topic: string, offset: number, sidOrUser: string): Promise<WhyReport>;
  /** What the server holds now, for metrics: zeros before it listens. Looks at every connection. */
  stats(): Stats;
  /**
   * Publishes an event to a client of the server's own and waits for it, at most 3 s; once a second at most, however
   * often it is asked. That client's session counts nowhere.
   */
  checkDelivery(): Promise<Delivery>;
  /** What was counted since the start. */
  readonly counts: Readonly<Counters>;
}

/**
 * An extension of the server. What `setup` returns is in every handler's context under `name` and
 * in `server.plugins`.
 */
export interface Plugin<N extends string = string, A = unknown> {
  readonly name: N;
  setup(host: PluginHost): A;
}
export type PluginApis<P extends readonly Plugin[]> = {
  readonly [K in P[number] as K['name']]: K extends Plugin<string, infer A> ? A : never;
};

export type { CallInput, CallNames };
