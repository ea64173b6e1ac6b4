/**
 * The SDK's public types. What an application may subscribe to, publish, call and handle follows
 * from its contract; without one every name is a string and all data is `unknown`.
 */
import type { CallInput, CallNames, CallOutput, EventData, EventNames, Shape, Topics } from '../protocol/shape.js';
import type { Position, Value, Welcome } from '../protocol/frames.js';
import type { LockInfo, Member, RoomFields, RoomMetadata } from '../protocol/rooms-model.js';

/** A value that changes. `get` gives the same object until it does, as React's useSyncExternalStore wants. */
export interface Observable<T> {
  get(): T;
  /** Calls `listener` after each change; returns how to stop. */
  subscribe(listener: (value: T) => void): () => void;
}

/** For tests: all waiting and measuring of time goes through these. */
export interface Timers {
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
  /** Milliseconds that never go back. */
  now(): number;
  /** The wall clock, ms. Where it runs ahead of `now` the machine may have slept. Without it no sleep is suspected. */
  wall?(): number;
}

/** Null: nobody is signed in. Undefined: none is needed. */
type Token = string | null | undefined;

/**
 * Asked before each connect, after a refusal of the token (close 41xx), and shortly before it expires. One that is null
 * says "signed out": the client is `refused` (`unauthenticated`) until `reconnect()`. One that rejects, or takes more
 * than 15 s, says nothing: it is asked again with backoff, and `state.reason` (`token_unavailable`) says why.
 */
export type TokenSource = string | (() => Token | Promise<Token>);

export interface ConnectOptions {
  readonly token?: TokenSource | undefined;
  /** Ms the session should outlive its connection; the server caps it. */
  readonly grace?: number | undefined;
  /** Identity of this page load or process. Connections with different instances are never shared. */
  readonly instance?: string | undefined;
  /** A WebSocket constructor, where there is no global one. */
  readonly WebSocket?: (new (url: string, protocols: string[]) => object) | undefined;
  readonly fetch?: typeof fetch | undefined;
  /** Where the REST API is; by default the WebSocket URL without its query. */
  readonly httpUrl?: string | undefined;
  /** Bounds of the full-jitter backoff. Default 500 and 20,000 ms. */
  readonly backoff?: { readonly baseMs?: number; readonly maxMs?: number } | undefined;
  /** Deadline of calls that name none. Default 10,000 ms. */
  readonly callTimeoutMs?: number | undefined;
  /** Ms to wait for a sign of life after the server should have pinged. Default 10,000. */
  readonly pingTimeout?: number | undefined;
  /** Name and version of the application, for the server's log. */
  readonly agent?: string | undefined;
  /** What a handler threw, and failures nobody waits for. Default: `reportError`, or the console. */
  readonly onError?: ((error: unknown) => void) | undefined;
  readonly random?: (() => number) | undefined;
  readonly timers?: Timers | undefined;
}

export interface ClientState {
  /** `refused` and `closed` do not reconnect by themselves. */
  readonly status: 'connecting' | 'live' | 'offline' | 'refused' | 'closed';
  /** Why the last connection ended. */
  readonly reason?: { readonly code: number; readonly name: string; readonly message: string } | undefined;
  /** Connects since the last one that held; 0 while live. */
  readonly attempt: number;
  /** Wall-clock ms of the next attempt, while offline. */
  readonly retryAt?: number | undefined;
  readonly user?: Welcome['user'] | undefined;
  readonly sid?: string | undefined;
}

export interface CallOptions {
  /** Default `callTimeoutMs`. The time without a connection counts. */
  readonly timeoutMs?: number | undefined;
  /** Aborting tells the server to stop, and rejects with `cancelled`. */
  readonly signal?: AbortSignal | undefined;
  /** Makes the call safe to repeat: it is sent again after a reconnect instead of failing. */
  readonly key?: string | undefined;
}

export interface Published {
  readonly epoch: string;
  readonly offset: number;
  /** Subscribers at that moment; 0 says that nobody was there. */
  readonly matched: number;
}

export interface EventInfo {
  readonly topic: string;
  readonly event: string;
  /** The sender's session id; null: the server itself. */
  readonly from: string | null;
  /** Null for volatile events. */
  readonly offset: number | null;
  readonly slot?: string | undefined;
  readonly meta?: Value | undefined;
}

/** Events were missed; the stream goes on after `position`. Refetch what it feeds. */
export interface ResetInfo {
  readonly reason: string;
  readonly position: Position;
}

export interface RemovedInfo {
  readonly code: number;
  readonly reason: string;
}

/** Data of a known type binds the handler to it; unknown data lets the handler say what it expects. */
export type Handler<D> = unknown extends D
  ? { loose(data: D, info: EventInfo): void }['loose']
  : (data: D, info: EventInfo) => void;

/** What topics and rooms have in common. Events named `reset` or `removed` reach only `'*'`. */
export interface EventStream<S extends Shape, T extends string> {
  readonly topic: string;
  on(event: 'reset', handler: (reset: ResetInfo) => void): () => void;
  on(event: 'removed', handler: (removed: RemovedInfo) => void): () => void;
  /** Every event. */
  on(event: '*', handler: Handler<unknown>): () => void;
  on<E extends EventNames<S, T>>(event: E, handler: Handler<EventData<S, T, E>>): () => void;
  publish<E extends EventNames<S, T>>(event: E, data: EventData<S, T, E>, options?: CallOptions): Promise<Published>;
  /** The newest value per slot wins; dropped while there is no connection. */
  volatile<E extends EventNames<S, T>>(event: E, slot: string, data: EventData<S, T, E>): void;
}

export interface Subscription<S extends Shape = Shape, T extends string = Topics<S>> extends EventStream<S, T> {
  /** The last event handed to the handlers; null until the server answered. */
  readonly position: Position | null;
  /** Whether all events after `from` follow; undefined for `listen`. Rejects when the server refuses. */
  readonly ready: Promise<{ readonly position: Position; readonly recovered: boolean } | undefined>;
  unsubscribe(): void;
}

/** The rooms' metadata, with the fields the contract adds. */
export type MetadataOf<S extends Shape> = S['calls'] extends {
  'join:room': { output: { metadata: infer M extends RoomMetadata } };
}
  ? M
  : RoomMetadata;

export interface Presenter {
  readonly sid: string | null;
  readonly userId: string;
  readonly userName: string;
}

export interface RoomState<M = RoomMetadata> {
  /** `left`: by this client; `removed`: the server ended it. */
  readonly status: 'idle' | 'joining' | 'joined' | 'left' | 'deleted' | 'removed';
  readonly metadata: M | null;
  /** In joining order. Only a first page while not `complete`. */
  readonly members: readonly Member[];
  readonly memberCount: number;
  readonly complete: boolean;
  readonly locks: Readonly<Record<string, LockInfo>>;
  readonly presenter: Presenter | null;
  readonly host: { readonly userId: string; readonly userName: string } | null;
}

export interface LockOptions {
  /** Length of the lease in ms, renewed at a third of it. Default 30,000. */
  readonly ttl?: number | undefined;
  /** Shown to others. */
  readonly msg?: string | null | undefined;
  /** Ms to wait in line while another holds it, first come, first served. Default 0: `lock_held` at once. */
  readonly wait?: number | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** Deadline of the acquisition. Default `wait` and `callTimeoutMs` together. */
  readonly timeoutMs?: number | undefined;
}

export interface Lock {
  readonly target: string;
  /** The fencing token: send it with every write the lock guards. */
  readonly token: number;
  /** Store time in ms; later after each refresh. */
  readonly expiresAt: number;
  /** Aborts with `lock_lost` when the lease is over or cannot be known to last. */
  readonly signal: AbortSignal;
  /** Renews now; the client does so by itself. */
  refresh(): Promise<void>;
  message(msg: string | null): Promise<void>;
  /** False when it was not held any more. */
  release(): Promise<boolean>;
}

/** The contract's rooms; without a contract any topic. */
export type RoomTopics<S extends Shape> = string extends Topics<S> ? Topics<S> : Extract<Topics<S>, `room:${string}`>;

export interface Room<S extends Shape = Shape> extends EventStream<S, RoomTopics<S>> {
  readonly id: string;
  readonly state: Observable<RoomState<MetadataOf<S>>>;
  /** Resolves with the state as of one position; handlers registered before miss nothing after it. */
  join(options?: { readonly create?: boolean | RoomFields | undefined }): Promise<RoomState<MetadataOf<S>>>;
  leave(): Promise<void>;
  /** Rejects with `lock_held` (details: holder, message, time left) when another has it. */
  lock(target: string, options?: LockOptions): Promise<Lock>;
  /** Holds the lock while `run` runs, and releases it whatever happens. */
  withLock<R>(target: string, options: LockOptions, run: (lock: Lock) => R | Promise<R>): Promise<R>;
  readonly presenter: {
    take(): Promise<void>;
    release(): Promise<void>;
    give(sid: string): Promise<void>;
  };
}

export interface RoomsStatus {
  /** Whether the list is kept current by the server. Joining a room ends it. */
  readonly watching: boolean;
  readonly loading: boolean;
}

/** The list of rooms. Nothing older than what it holds is ever applied. */
export interface RoomsStore<M = RoomMetadata> {
  get(): readonly M[];
  get(id: string): M | undefined;
  /** The same immutable array until something changes. */
  list(): readonly M[];
  subscribe(listener: (rooms: readonly M[]) => void): () => void;
  setRoom(id: string, metadata: M): void;
  updateRoom(id: string, changes: Partial<M>): void;
  removeRoom(id: string): void;
  readonly status: Observable<RoomsStatus>;
  /** Joins the overview and loads the list, without a hole between them. */
  watch(options?: { readonly group?: string | undefined }): Promise<void>;
  unwatch(): Promise<void>;
}

export interface Client<S extends Shape = Shape> {
  readonly state: Observable<ClientState>;
  readonly rooms: RoomsStore<MetadataOf<S>>;
  /** The store's clock in ms, by which `expiresAt` is meant; of use once the client has been live. */
  now(): number;
  /** Rejects with RoomwireError: the server's code, `deadline`, `disconnected` or `cancelled`. */
  call<N extends CallNames<S>>(name: N, input: CallInput<S, N>, options?: CallOptions): Promise<CallOutput<S, N>>;
  /** Answers the server's calls of this name. A RoomwireError thrown becomes the answer's code. */
  handle<N extends CallNames<S>>(
    name: N,
    handler: (input: CallInput<S, N>, context: { signal: AbortSignal }) => CallOutput<S, N> | Promise<CallOutput<S, N>>,
  ): () => void;
  subscribe<T extends Topics<S>>(topic: T, options?: { readonly from?: Position | undefined }): Subscription<S, T>;
  /** Handlers for a topic that a call, or the server by itself, subscribes this session to. */
  listen<T extends Topics<S>>(topic: T): Subscription<S, T>;
  publish<T extends Topics<S>, E extends EventNames<S, T>>(
    topic: T,
    event: E,
    data: EventData<S, T, E>,
    options?: CallOptions,
  ): Promise<Published>;
  volatile<T extends Topics<S>, E extends EventNames<S, T>>(
    topic: T,
    event: E,
    slot: string,
    data: EventData<S, T, E>,
  ): void;
  /** The same object for the same id. */
  room(id: string): Room<S>;
  /** Connects at once when offline, and again after a refusal. */
  reconnect(): void;
  /** Ends the session when no other client shares the connection. */
  close(): void;
}
