/**
 * createServer: puts the parts together and gives them to the embedding program.
 * The way of a message: transport → connection.ts → dispatch.ts → hub/hub.ts (stage, commit, fan-out)
 * → outbox.ts → transport. Sessions live in sessions.ts, calls in calls.ts.
 */
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import type { CallInput, CallNames, Contract, Shape, ShapeOf } from '../protocol/contract.js';
import { RoomwireError } from '../protocol/errors.js';
import { SUBPROTOCOL, TOKEN_ITEM_PREFIX, type Value } from '../protocol/frames.js';
import { defaultLimits, type Limits } from '../protocol/limits.js';
import { memoryStore } from '../store/memory.js';
import type { Store } from '../store/store.js';
import type {
  AtomicHandler,
  Handler,
  HttpCaller,
  HttpRequest,
  HttpResponse,
  Log,
  Plugin,
  PluginApis,
  PluginHost,
  Publish,
  Published,
  PublishOptions,
  Session,
  TopicRules,
  Transaction,
  User,
} from './api.js';
import { Authenticator, guest, type AuthOptions } from './auth.js';
import { CallTable, DEFAULT_CALL_MS, type PlainHandler, type TransactionHandler } from './calls.js';
import { Clock, systemTime, type TimeSource } from './clock.js';
import { Connection, type ConnectionOwner } from './connection.js';
import { Dispatcher } from './dispatch.js';
import { serverItem } from './hub/events-frame.js';
import { Hub } from './hub/hub.js';
import { hashOf, once } from './keys.js';
import { checked } from '../protocol/validate.js';
import { Policy } from './policy.js';
import { ServerSession, SessionRegistry } from './session.js';
import { Sessions } from './sessions.js';
import { chooseTransport } from './transport/choose.js';
import type { Transport } from './transport/transport.js';
import { topicPattern } from '../protocol/pattern.js';
import { Wheel, type Timer } from './wheel.js';

export interface ServerOptions<C extends Contract, U extends User, P extends readonly Plugin[]> {
  readonly contract: C;
  readonly plugins?: P;
  /** Default: memory, which forgets everything when the process ends. */
  readonly store?: Store;
  /** Default `auto`: uWebSockets.js where a native build loads, else ws. */
  readonly engine?: 'auto' | 'uws' | 'ws';
  readonly auth?: AuthOptions<U>;
  readonly limits?: Partial<Limits>;
  /** Rules by topic pattern, on top of the contract. */
  readonly policy?: Readonly<Record<string, TopicRules>>;
  /** Ms of silence before PING. Default 25,000. */
  readonly pingEvery?: number;
  /** Ms to answer it. Default 10,000. */
  readonly pingTimeout?: number;
  /** Names this server in WELCOME. Default: random. */
  readonly node?: string;
  /** Bytes of all rings in memory. Default 64 MiB. */
  readonly ringBytes?: number;
  /** Largest HTTP body, bytes. Default 1 MiB. */
  readonly bodyBytes?: number;
  readonly log?: Log;
  /** For tests. */
  readonly time?: TimeSource;
}

export interface ListenOptions {
  /** 0: any free port. Default 8420. */
  readonly port?: number;
  /** Default 127.0.0.1. Any other than loopback needs keys. */
  readonly host?: string;
}

export interface Server<S extends Shape, U extends User, P extends readonly Plugin[]> {
  readonly plugins: PluginApis<P>;
  readonly engine: 'uws' | 'ws' | undefined;
  readonly ready: boolean;
  /** Registers a call's handler. Throws a TypeError when the contract has no such call or it has one already. */
  handle<N extends CallNames<S>>(name: N, handler: Handler<CallInput<S, N>, U, S, PluginApis<P>>): void;
  /** Registers a handler that runs inside a transaction; see Transaction. */
  handleAtomic<N extends CallNames<S>>(name: N, handler: AtomicHandler<CallInput<S, N>, U>): void;
  publish: Publish<S>;
  transact<T>(work: (tx: Transaction) => T): Promise<T>;
  call(session: Session<U>, name: string, data: unknown, options?: { readonly timeoutMs?: number }): Promise<Value>;
  session(sid: string): Session<U> | undefined;
  /** Ends a session for good, closing its connection with `kicked`. */
  kick(session: Session<U>, reason?: string): Promise<void>;
  /** Opens the store and listens. Rejects with what to do when it cannot. */
  listen(options?: ListenOptions): Promise<{ readonly port: number; readonly host: string; readonly url: string }>;
  /** GOAWAY to everyone (their next try spread over `spreadMs`), then closes and flushes the store. */
  close(options?: { readonly spreadMs?: number }): Promise<void>;
}

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
/** A socket's own buffer may hold this much before `send` refuses. */
const MAX_BUFFERED = 4 * 1024 * 1024;

export function createServer<const C extends Contract, U extends User = User, const P extends readonly Plugin[] = []>(
  options: ServerOptions<C, U, P>,
): Server<ShapeOf<C>, U, P> {
  return new RoomServer(options as unknown as ServerOptions<Contract, User, readonly Plugin[]>) as unknown as Server<
    ShapeOf<C>,
    U,
    P
  >;
}

interface Running {
  readonly hub: Hub;
  readonly clock: Clock;
  readonly calls: CallTable;
  readonly sessions: Sessions;
  readonly dispatcher: Dispatcher;
  readonly connectionOwner: ConnectionOwner;
}

class RoomServer implements PluginHost {
  readonly contract: Contract;
  readonly limits: Readonly<Limits>;
  readonly log: Log;
  readonly plugins: Readonly<Record<string, unknown>>;
  readonly #options: ServerOptions<Contract, User, readonly Plugin[]>;
  readonly #store: Store;
  readonly #time: TimeSource;
  readonly #wheel: Wheel;
  readonly #auth: Authenticator;
  readonly #policy: Policy;
  readonly #registry = new SessionRegistry();
  readonly #connections = new Set<Connection>();
  readonly #openHooks: (() => void | Promise<void>)[] = [];
  readonly #closeHooks: (() => void | Promise<void>)[] = [];
  readonly #requestHooks: ((request: HttpRequest) => Promise<HttpResponse | undefined>)[] = [];
  readonly #endHooks: ((tx: Transaction, session: Session) => void)[] = [];
  readonly #resumeHooks: ((tx: Transaction, session: Session, topic: string) => boolean | undefined)[] = [];
  /** Handlers registered before the store is open. */
  readonly #handlers: ((calls: CallTable) => void)[] = [];
  readonly #handlerNames = new Set<string>();
  #running: Running | undefined;
  #transport: Transport | undefined;
  #guests = false;
  #state: 'new' | 'opening' | 'open' | 'closing' | 'closed' = 'new';

  constructor(options: ServerOptions<Contract, User, readonly Plugin[]>) {
    this.#options = options;
    this.contract = options.contract;
    this.limits = { ...defaultLimits, ...options.limits };
    this.log = options.log ?? silent;
    this.#store = options.store ?? memoryStore();
    this.#time = options.time ?? systemTime;
    this.#auth = new Authenticator(options.auth ?? {});
    this.#policy = new Policy(this.contract, options.policy ?? {});
    this.#wheel = new Wheel(this.#time, (error) => this.#failed(error));
    // Each sees those before it.
    const plugins: Record<string, unknown> = {};
    this.plugins = plugins;
    for (const plugin of options.plugins ?? []) {
      if (Object.hasOwn(plugins, plugin.name)) throw new TypeError(`two plugins are called '${plugin.name}'`);
      plugins[plugin.name] = plugin.setup(this);
    }
  }

  get engine(): 'uws' | 'ws' | undefined {
    return this.#transport?.engine;
  }

  get ready(): boolean {
    return this.#state === 'open' && this.#running?.hub.healthy === true;
  }

  // ---- what programs and plugins use -------------------------------------------------------------

  now(): number {
    return this.#open().clock.now();
  }

  after(ms: number, fn: () => void): Timer {
    return this.#wheel.after(ms, fn);
  }

  handle(name: string, handler: PlainHandler): void {
    this.#claim(name, (calls) => calls.add(name, handler));
  }

  handleAtomic(name: string, handler: TransactionHandler): void {
    this.#claim(name, (calls) => calls.addAtomic(name, handler));
  }

  #claim(name: string, register: (calls: CallTable) => void): void {
    if (this.#handlerNames.has(name)) throw new TypeError(`the call '${name}' has a handler already`);
    if (!Object.hasOwn(this.contract.calls, name)) {
      throw new TypeError(`the contract has no call '${name}': add it to defineContract({ calls })`);
    }
    this.#handlerNames.add(name);
    if (this.#running === undefined) this.#handlers.push(register);
    else register(this.#running.calls);
  }

  async transact<T>(work: (tx: Transaction) => T): Promise<T> {
    return this.#open().hub.transact(work);
  }

  async publish(topic: string, event: string, data: unknown, options: PublishOptions = {}): Promise<Published> {
    const { hub } = this.#open();
    const { schema } = this.#policy.event(this.#policy.topic(topic), event);
    if (Buffer.byteLength(topic) > this.limits.nameBytes) throw new RoomwireError('too_large', 'the topic is too long');
    const item = serverItem(event, schema === null ? data : checked(schema, data as Value));
    if (item.length > this.limits.dataBytes + this.limits.nameBytes + 16) throw new RoomwireError('too_large');
    const { key } = options;
    if (key !== undefined) {
      const scope = `publish\0\0${topic}\0${key}`;
      return new Promise((resolve, reject) => {
        hub.perform(
          (tx) => once(tx, scope, hashOf(item), this.limits.keyTtlMs, () => tx.append(topic, item)),
          resolve,
          reject,
        );
      });
    }
    return new Promise((done, failed) => hub.publish({ topic, item, done, failed }));
  }

  session(sid: string): ServerSession | undefined {
    return this.#registry.get(sid);
  }

  async call(
    session: Session,
    name: string,
    data: unknown,
    { timeoutMs = DEFAULT_CALL_MS }: { readonly timeoutMs?: number } = {},
  ): Promise<Value> {
    const { connection } = session as ServerSession;
    if (connection === undefined) throw new RoomwireError('disconnected');
    return connection.call(name, data, Math.min(timeoutMs, this.limits.callMaxMs));
  }

  async kick(session: Session, reason?: string): Promise<void> {
    await this.#open().sessions.end(session as ServerSession, {
      name: 'kicked',
      ...(reason === undefined ? {} : { reason }),
    });
  }

  onSessionEnd(hook: (tx: Transaction, session: Session) => void): void {
    this.#endHooks.push(hook);
  }

  onResume(pattern: string, hook: (tx: Transaction, session: Session, topic: string) => boolean): void {
    const { match } = topicPattern(pattern);
    this.#resumeHooks.push((tx, session, topic) => (match(topic) === undefined ? undefined : hook(tx, session, topic)));
  }

  onOpen(hook: () => void | Promise<void>): void {
    this.#openHooks.push(hook);
  }

  onClose(hook: () => void | Promise<void>): void {
    this.#closeHooks.push(hook);
  }

  onRequest(hook: (request: HttpRequest) => Promise<HttpResponse | undefined>): void {
    this.#requestHooks.push(hook);
  }

  async authenticate(request: HttpRequest): Promise<HttpCaller> {
    const token = /^Bearer +(\S+)$/i.exec(request.headers['authorization'] ?? '')?.[1];
    if (token === undefined) {
      if (this.#guests) return { kind: 'guest', user: guest().user };
      throw new RoomwireError('unauthenticated', 'send Authorization: Bearer with an API key or a token');
    }
    if (this.#auth.isApiKey(token)) return { kind: 'key', user: { id: 'api-key', name: 'backend' } };
    if (!this.#auth.tokens && this.#guests) return { kind: 'guest', user: guest().user };
    return { kind: 'user', user: (await this.#auth.verify(token)).user };
  }

  // ---- life ----------------------------------------------------------------------------------------

  async listen({ port = 8420, host = '127.0.0.1' }: ListenOptions = {}): Promise<{
    port: number;
    host: string;
    url: string;
  }> {
    if (this.#state !== 'new') throw new Error('listen() can be called once');
    const loopback = isLoopback(host);
    if (!loopback && !this.#auth.configured) {
      throw new Error(
        `refusing to listen on ${host} without keys: everybody could come in. Set auth.secret or auth.publicKey ` +
          '(ROOMWIRE_JWT_SECRET, ROOMWIRE_JWT_PUBLIC_KEY), or listen on 127.0.0.1',
      );
    }
    this.#guests = loopback && !this.#auth.configured;
    this.#state = 'opening';
    try {
      this.#transport = chooseTransport(
        this.#options.engine ?? 'auto',
        {
          messageBytes: this.limits.messageBytes,
          bodyBytes: this.#options.bodyBytes ?? 1024 * 1024,
          maxBufferedBytes: MAX_BUFFERED,
          chooseSubprotocol,
          open: (socket, info) => {
            const connection = new Connection(socket, info, this.#open().connectionOwner);
            this.#connections.add(connection);
            if (!info.subprotocols.includes(SUBPROTOCOL)) connection.close('bad_subprotocol');
            else if (this.#state !== 'open') connection.close('draining');
            return connection.events;
          },
          request: (request) => this.#answer(request),
          failed: (error) => this.#failed(error),
        },
        (line) => this.log.info({}, line),
      );
      await this.#openStore();
      const bound = await this.#transport.listen({ host, port });
      const shown = host.includes(':') ? `[${host}]` : host;
      return { port: bound, host, url: `http://${shown}:${bound}` };
    } catch (error) {
      this.#state = 'closed';
      this.#wheel.stop();
      if (this.#running !== undefined) await this.#store.close();
      throw error;
    }
  }

  async #openStore(): Promise<void> {
    const opened = await this.#store.open();
    const clock = new Clock(this.#time, opened.meta.time);
    const after = (ms: number, fn: () => void): Timer => this.#wheel.after(ms, fn);
    const { limits, log } = this;
    const policy = this.#policy;
    const registry = this.#registry;
    const hub = new Hub({
      store: this.#store,
      opened,
      clock,
      limits,
      ringBytes: this.#options.ringBytes ?? 64 * 1024 * 1024,
      defer: (fn) => void setImmediate(fn),
      after,
      sessionsIn: (topic) => registry.inTopic(topic),
      failed: (error) => this.#failed(error),
      overflowed: (outbox) => {
        for (const connection of this.#connections) if (connection.outbox === outbox) connection.close('too_slow');
      },
    });
    const context = { ...this.plugins, publish: this.publish.bind(this), transact: this.transact.bind(this) };
    const calls = new CallTable({ contract: this.contract, hub, limits, log, context: () => context, after });
    const sessions = new Sessions({
      hub,
      registry,
      policy,
      auth: this.#auth,
      guests: this.#guests,
      clock,
      limits,
      node: this.#options.node ?? randomBytes(6).toString('base64url'),
      pingEvery: this.#options.pingEvery ?? 25_000,
      log,
      after,
    });
    const dispatcher = new Dispatcher({ hub, policy, calls, sessions, limits, log });
    const connectionOwner: ConnectionOwner = {
      limits,
      log,
      pingEvery: this.#options.pingEvery ?? 25_000,
      pingTimeout: this.#options.pingTimeout ?? 10_000,
      after,
      monotonic: () => this.#time.monotonic(),
      hello: (connection, bytes, start) => sessions.hello(connection, bytes, start),
      frame: (connection, bytes, start, end) => dispatcher.frame(connection, bytes, start, end),
      closed: (connection, code, reason) => {
        this.#connections.delete(connection);
        sessions.closed(connection, code, reason);
      },
      failed: (error) => this.#failed(error),
      read: (topic, from, maxBytes) => hub.read(topic, from, maxBytes),
      again: (outbox) => hub.again(outbox),
      overflowed: (outbox) => hub.overflowed(outbox),
      reset: (cursor) => hub.reset(cursor),
    };
    this.#running = { hub, clock, calls, sessions, dispatcher, connectionOwner };
    for (const hook of this.#endHooks) sessions.onEnd(hook);
    for (const hook of this.#resumeHooks) sessions.onResume(hook);
    for (const register of this.#handlers.splice(0)) register(calls);
    await sessions.restore();
    for (const hook of this.#openHooks) await hook();
    this.#state = 'open';
  }

  async close({ spreadMs = 0 }: { readonly spreadMs?: number } = {}): Promise<void> {
    if (this.#state !== 'open') {
      this.#wheel.stop();
      this.#state = 'closed';
      return;
    }
    this.#state = 'closing';
    this.#transport?.stopListening();
    const { hub } = this.#open();
    await hub.settled();
    for (const connection of [...this.#connections]) connection.close('draining', undefined, spreadMs);
    for (const hook of this.#closeHooks) await hook();
    await hub.settled();
    await this.#transport?.close();
    this.#wheel.stop();
    await this.#store.close();
    this.#state = 'closed';
  }

  #open(): Running {
    if (this.#running === undefined) throw new Error('the server is not listening yet: await server.listen() first');
    return this.#running;
  }

  async #answer(request: HttpRequest): Promise<HttpResponse> {
    try {
      for (const hook of this.#requestHooks) {
        const response = await hook(request);
        if (response !== undefined) return response;
      }
    } catch (error) {
      this.#failed(error);
      return plain(500, 'internal error');
    }
    return plain(404, 'not found');
  }

  #failed(error: unknown): void {
    this.log.error({ err: error }, 'internal error');
  }
}

function plain(status: number, body: string): HttpResponse {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: `${body}\n` };
}

/** RW-CON-2: ours when offered; else the first item that is no token, so that the close code can be read. */
function chooseSubprotocol(offered: readonly string[]): string | undefined {
  if (offered.includes(SUBPROTOCOL)) return SUBPROTOCOL;
  return offered.find((item) => !item.startsWith(TOKEN_ITEM_PREFIX));
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}
