/**
 * createServer: puts the parts together and gives them to the embedding program.
 * The way of a message: transport → connection.ts → dispatch.ts → hub/hub.ts (stage, commit, fan-out)
 * → outbox.ts → transport. Sessions live in sessions.ts, calls in calls.ts.
 */
import { randomBytes } from 'node:crypto';
import { decodeScanned } from '../protocol/decode.js';
import type { Contract, ShapeOf } from '../protocol/contract.js';
import { RoomwireError } from '../protocol/errors.js';
import { SUBPROTOCOL, type Value } from '../protocol/frames.js';
import type { Limits } from '../protocol/limits.js';
import { topicPattern } from '../protocol/pattern.js';
import { scanValue } from '../protocol/scan.js';
import { checked } from '../protocol/validate.js';
import { memoryStore } from '../store/memory.js';
import { StoreError, type Store } from '../store/store.js';
import type {
  ArrivalHook,
  AtomicOptions,
  AuditEntry,
  CallRule,
  Delivery,
  HttpCaller,
  HttpRequest,
  HttpResponse,
  Log,
  Plugin,
  PluginHost,
  Published,
  PublishOptions,
  Session,
  Stats,
  TopicRules,
  Transaction,
  User,
} from './api.js';
import { Arrivals } from './gate/arrivals.js';
import { Authenticator, bearerOf, guest } from './gate/auth.js';
import { ownerOf } from './gate/budget.js';
import type { CallTable, PlainHandler, TransactionHandler } from './calls/table.js';
import { systemTime, type TimeSource } from './time/clock.js';
import { Connection } from './connection/connection.js';
import { Audit } from './watch/audit.js';
import { assemble, type Core } from './core.js';
import { Counters } from './watch/counters.js';
import type { HistoryQuery, TopicHistory, TopicList, TopicQuery, TopicReport, WhyReport } from './diagnosis/report.js';
import {
  chooseSubprotocol,
  Doorkeeper,
  isLocalHost,
  isLocalOrigin,
  isLoopback,
  type Refusal,
} from './gate/doorkeeper.js';
import { writeServerItem } from './wire/frames.js';
import type { Hub } from './hub/hub.js';
import { hashOfData, onceByKey, sweepKeys } from './calls/keys.js';
import { limitsOf } from './limits.js';
import { safe, silent } from './watch/log.js';
import { OWN_PREFIX, requireName } from './wire/names.js';
import { checkListen, checkOptions } from './option-checks.js';
import { DEFAULT_CALL_MS } from './calls/running-call.js';
import type { CloseOptions, ListenOptions, Server, ServerOptions } from './options.js';
import { Policy } from './policy.js';
import { OwnKey } from './gate/own-key.js';
import { Probe } from './probe/probe.js';
import { KeyedRate, Rates, tooMany } from './gate/rates.js';
import { SessionRegistry } from './sessions/registry.js';
import type { ServerSession } from './sessions/session.js';
import { answered, pause } from './stopping.js';
import { TokenCheck } from './gate/token-check.js';
import { checkEngine, chooseTransport } from './transport/choose.js';
import { check } from './transport/http-answer.js';
import type { Transport, UpgradeInfo } from './transport/transport.js';
import type { ResumeHook } from './sessions/welcome.js';
import { Wheel, type Timer } from './time/wheel.js';

export { isLoopback } from './gate/doorkeeper.js';
export { exchange, ExchangeError, type Exchanged } from './transport/exchange.js';
export type { ListenOptions, Server, ServerOptions } from './options.js';

/** A socket's own buffer may hold this much before `send` refuses. */
const MAX_BUFFERED = 4 * 1024 * 1024;
const SETTLE_MS = 5_000;
const FOREIGN_HOST = 'guests come to a name of this machine, such as localhost: for another one set keys';
const DRAIN_MS = 5_000;
/** Ms between two looks for expired idempotency keys. */
const SWEEP_MS = 10_000;

export function createServer<const C extends Contract, U extends User = User, const P extends readonly Plugin[] = []>(
  options: ServerOptions<C, U, P>,
): Server<ShapeOf<C>, U, P> {
  return new RoomServer(options) as unknown as Server<ShapeOf<C>, U, P>;
}

class RoomServer implements PluginHost {
  readonly contract: Contract;
  readonly run = randomBytes(9).toString('base64url');
  readonly limits: Readonly<Limits>;
  readonly log: Log;
  readonly plugins: Readonly<Record<string, unknown>>;
  readonly #options: ServerOptions<Contract, User, readonly Plugin[]>;
  readonly #store: Store;
  readonly #time: TimeSource;
  readonly #wheel: Wheel;
  readonly #auth: Authenticator;
  readonly #arrivals = new Arrivals();
  readonly #policy: Policy;
  readonly #door: Doorkeeper;
  readonly #tokens: TokenCheck;
  readonly #rates: Rates;
  readonly #audit: Audit;
  readonly counts: Counters;
  readonly #ownKey = new OwnKey();
  /** The probe's own connections: under no limit and in no number. */
  readonly #probing = new Set<Connection>();
  #probe: Probe | undefined;
  readonly #registry: SessionRegistry;
  readonly #connections = new Set<Connection>();
  readonly #openHooks: (() => void | Promise<void>)[] = [];
  readonly #restoreHooks: (() => void | Promise<void>)[] = [];
  readonly #closeHooks: (() => void | Promise<void>)[] = [];
  readonly #requestHooks: ((request: HttpRequest) => Promise<HttpResponse | undefined>)[] = [];
  #refusedRequest: ((request: HttpRequest, error: RoomwireError) => HttpResponse) | undefined;
  readonly #startHooks: ((tx: Transaction, session: Session) => void)[] = [];
  readonly #endHooks: ((tx: Transaction, session: Session) => void)[] = [];
  readonly #resumeHooks: ResumeHook[] = [];
  /** Handlers registered before the store is open. */
  readonly #handlers: ((calls: CallTable) => void)[] = [];
  readonly #handlerNames = new Set<string>();
  #running: Core | undefined;
  #transport: Transport | undefined;
  #guests = false;
  #state: 'new' | 'opening' | 'open' | 'closing' | 'closed' = 'new';
  /** About to stop: it serves still. */
  #isLeaving = false;
  /** HTTP requests that are being answered. */
  #answering = 0;
  #isStoreOpen = false;
  #opening: Promise<unknown> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: ServerOptions<Contract, User, readonly Plugin[]>) {
    this.#options = options;
    this.contract = options.contract;
    checkOptions(options);
    this.limits = limitsOf(options.limits ?? {});
    this.#registry = new SessionRegistry(this.limits);
    this.log = safe(options.log ?? silent, (ms, fn) => this.#wheel.after(ms, fn));
    this.#store = options.store ?? memoryStore();
    this.#time = options.time ?? systemTime;
    this.#door = new Doorkeeper(options.admission ?? {}, () => this.#time.monotonic());
    this.#auth = new Authenticator(options.auth ?? {}, {
      wall: () => this.#time.wall(),
      monotonic: () => this.#time.monotonic(),
      after: (ms, fn) => this.#wheel.after(ms, fn),
      atOnce: this.#door.limits.tokenChecks,
      log: this.log,
    });
    this.#tokens = new TokenCheck({
      auth: this.#auth,
      door: this.#door,
      log: this.log,
      after: (ms, fn) => this.#wheel.after(ms, fn),
    });
    this.#policy = new Policy(this.contract, options.policy ?? {});
    this.#rates = new Rates(this.limits, options.rates);
    this.#wheel = new Wheel(this.#time, (error) => this.#failed(error));
    this.#audit = new Audit({
      wall: () => this.#time.wall(),
      after: (ms, fn) => this.#wheel.after(ms, fn),
      write: options.audit,
      log: this.log,
      failed: (error) => this.#failed(error),
    });
    this.counts = new Counters(Object.keys(this.contract.calls));
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
    return this.#state === 'open' && !this.#isLeaving && this.#running?.hub.healthy === true;
  }

  stats(): Stats {
    const hub = this.#running?.hub;
    let stalled = 0;
    let behind = 0;
    for (const { outbox } of this.#connections) {
      if (outbox.stalled) stalled++;
      behind += outbox.behind;
    }
    const probes = this.#registry.ofUser(OWN_PREFIX).length;
    const own = this.#probe !== undefined && hub?.hasTopic(this.#probe.topic) === true ? 1 : 0;
    return {
      connections: this.#connections.size - this.#probing.size,
      sessions: this.#registry.size - probes,
      users: this.#registry.users - Math.min(probes, 1),
      topics: (hub?.topicCount ?? 0) - own,
      ringBytes: hub?.ringBytes ?? 0,
      resets: this.counts.resets,
      stalled,
      behind,
    };
  }

  // ---- what programs and plugins use -------------------------------------------------------------

  now(): number {
    return this.#open().clock.now();
  }

  after(ms: number, fn: () => void): Timer {
    return this.#wheel.after(ms, fn);
  }

  afterAwake(ms: number, fn: () => void): Timer {
    return this.#wheel.afterAwake(ms, fn);
  }

  rate(perSecond: number, burst?: number): (key: string, weight?: number) => void {
    const rate = new KeyedRate(perSecond, () => this.#time.monotonic(), burst);
    return (key, weight) => rate.take(key, weight);
  }

  handle(name: string, handler: PlainHandler): void {
    this.#claim(name, (calls) => calls.add(name, handler));
  }

  handleAtomic(name: string, handler: TransactionHandler, options?: AtomicOptions): void {
    this.#claim(name, (calls) => calls.addAtomic(name, handler, options));
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
    return this.#taking().transact(work);
  }

  publish(topic: string, event: string, data: unknown, options?: PublishOptions): Promise<Published> {
    return new Promise((done, failed) => {
      const hub = this.#taking();
      const { nameBytes, dataBytes } = this.limits;
      requireName(topic, 'topic', nameBytes);
      requireName(event, 'event', nameBytes);
      const { schema } = this.#policy.event(this.#policy.topic(topic), event);
      const item = writeServerItem(event, schema === null ? data : checked(schema, data as Value));
      if (item.length > dataBytes + nameBytes + 16) throw new RoomwireError('too_large');
      const { key, keyScope = [], keyOwner: owner = '' } = options ?? {};
      if (key === undefined) return hub.publish({ topic, item, done, failed });
      requireName(key, 'key', nameBytes);
      // No user's: their ids are never empty.
      const scope = ['publish', '', topic, key, ...keyScope];
      const claim = { scope, hash: hashOfData(decodeScanned(item, 0)), owner };
      hub.perform((tx) => onceByKey(tx, claim, this.limits, () => tx.append(topic, item)), done, failed);
    });
  }

  session(sid: string): ServerSession | undefined {
    return this.#registry.get(sid);
  }

  sessionsOf(userId: string): readonly ServerSession[] {
    return [...this.#registry.ofUser(userId)];
  }

  async subscribe(session: Session, topics: readonly string[]): Promise<void> {
    const verdicts = await Promise.all(topics.map(async (topic) => this.#policy.maySubscribe(session, topic)));
    const refused = topics.find((_, i) => !verdicts[i]);
    if (refused !== undefined) throw new RoomwireError('forbidden', `you may not subscribe to '${refused}'`);
    // One that ended meanwhile is refused by the transaction (rule 1).
    await this.transact((tx) => {
      for (const topic of topics) tx.subscribe(session, topic);
    });
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
    const kicked = session as ServerSession;
    kicked.kicked = true;
    kicked.connection?.close('kicked', reason);
    await this.#open().sessions.end(session as ServerSession, {
      name: 'kicked',
      ...(reason === undefined ? {} : { reason }),
    });
  }

  topics(query: TopicQuery = {}): TopicList {
    return this.#open().diagnosis.topics(query);
  }

  async history(topic: string, query: HistoryQuery = {}): Promise<TopicHistory> {
    return this.#open().diagnosis.history(topic, query);
  }

  async inspect(topic: string): Promise<TopicReport> {
    return this.#open().diagnosis.topic(topic);
  }

  async why(topic: string, offset: number, sidOrUser: string): Promise<WhyReport> {
    return this.#open().diagnosis.why(topic, offset, sidOrUser);
  }

  guard(call: string, rule: CallRule): void {
    const register = (calls: CallTable): void => calls.guard(call, rule);
    if (this.#running === undefined) this.#handlers.push(register);
    else register(this.#running.calls);
  }

  rule(pattern: string, rules: TopicRules): void {
    this.#policy.add(pattern, rules);
  }

  onArrival(hook: ArrivalHook): void {
    this.#arrivals.add(hook);
  }

  audit(entry: AuditEntry): void {
    this.#audit.add(entry);
  }

  onAudit(watcher: (entry: AuditEntry) => void): void {
    this.#audit.watch(watcher);
  }

  onSessionStart(hook: (tx: Transaction, session: Session) => void): void {
    this.#startHooks.push(hook);
  }

  onSessionEnd(hook: (tx: Transaction, session: Session) => void): void {
    this.#endHooks.push(hook);
  }

  onResume(
    pattern: string,
    hook: (tx: Transaction, session: Session, topic: string, refused: boolean) => boolean,
  ): void {
    const matcher = topicPattern(pattern);
    this.#resumeHooks.push((tx, session, topic, refused) =>
      matcher.match(topic) === undefined ? undefined : hook(tx, session, topic, refused),
    );
  }

  onOpen(hook: () => void | Promise<void>): void {
    this.#openHooks.push(hook);
  }

  onRestore(hook: () => void | Promise<void>): void {
    this.#restoreHooks.push(hook);
  }

  onClose(hook: () => void | Promise<void>): void {
    this.#closeHooks.push(hook);
  }

  onRequest(hook: (request: HttpRequest) => Promise<HttpResponse | undefined>): void {
    this.#requestHooks.push(hook);
  }

  onRefusedRequest(hook: (request: HttpRequest, error: RoomwireError) => HttpResponse): void {
    this.#refusedRequest = hook;
  }

  async authenticate(request: HttpRequest): Promise<HttpCaller> {
    // On a connection that was open before: it would be cut in the middle.
    if (this.#state === 'closing') throw new RoomwireError('draining');
    if (this.#guests && !isLocalOrigin(request.headers['origin'] ?? '')) {
      throw new RoomwireError('forbidden', 'guests come from pages of this machine only');
    }
    const token = bearerOf(request.headers['authorization']);
    const backend = token === undefined ? undefined : this.#auth.apiKey(token);
    if (backend !== undefined) return backend;
    if (token === undefined) {
      if (this.#guests) return guestAt(request.address);
      throw new RoomwireError('unauthenticated', 'send Authorization: Bearer with an API key or a token');
    }
    if (!this.#auth.tokens && this.#guests) return guestAt(request.address);
    const { address } = request;
    const identity = await this.#tokens.stranger(token, address);
    const { user } = await this.#arrivals.admit(identity, { via: 'http', sid: undefined, address });
    return { kind: 'user', user };
  }

  // ---- life ----------------------------------------------------------------------------------------

  check({ port = 8420, host = '127.0.0.1' }: ListenOptions = {}): void {
    if (!isLoopback(host) && !this.#auth.configured) {
      throw new TypeError(
        `refusing to listen on ${host} without keys: everybody could come in. Set auth.secret or auth.publicKey ` +
          '(ROOMWIRE_JWT_SECRET, ROOMWIRE_JWT_PUBLIC_KEY), or listen on 127.0.0.1',
      );
    }
    checkListen({ port, host });
    checkEngine(this.#options.engine ?? 'auto');
  }

  async listen(options: ListenOptions = {}): Promise<{ port: number; host: string; url: string }> {
    if (this.#state !== 'new') throw new Error('listen() can be called once');
    const opening = this.#listen(options);
    this.#opening = opening.catch(() => undefined);
    return opening;
  }

  async #listen({ port = 8420, host = '127.0.0.1' }: ListenOptions): Promise<{
    port: number;
    host: string;
    url: string;
  }> {
    this.check({ port, host });
    this.#guests = isLoopback(host) && !this.#auth.configured;
    this.#state = 'opening';
    try {
      this.#transport = chooseTransport(
        this.#options.engine ?? 'auto',
        {
          messageBytes: this.limits.messageBytes,
          bodyBytes: this.#options.bodyBytes ?? 1024 * 1024,
          maxBufferedBytes: MAX_BUFFERED,
          ...(this.#options.httpIdleMs === undefined ? {} : { httpIdleMs: this.#options.httpIdleMs }),
          chooseSubprotocol,
          refuses: (info) => this.#refuses(info),
          open: (socket, upgrade) => {
            const address = this.#door.addressOf(upgrade.address, upgrade.forwardedFor);
            const info = { ...upgrade, address };
            const connection = new Connection(socket, info, this.#open().connectionOwner);
            this.#connections.add(connection);
            if (this.#ownKey.isIn(info.authorization)) this.#probing.add(connection);
            else this.#door.opened(address);
            if (!info.subprotocols.includes(SUBPROTOCOL)) connection.close('bad_subprotocol');
            else if (this.#guests && !isLocalHost(info.host)) connection.close('forbidden', FOREIGN_HOST);
            else if (this.#guests && !isLocalOrigin(info.origin)) {
              connection.close('forbidden', 'guests come from pages of this machine only');
            } else if (!this.#door.allowsPage(info.origin, info.host)) {
              connection.close('forbidden', 'pages of this origin may not connect');
            } else if (this.#state !== 'open') connection.close('draining');
            return connection;
          },
          request: (request) => this.#counted(request),
          failed: (error) => this.#failed(error),
        },
        (line) => this.log.info({}, line),
      );
      await this.#openStore();
      const bound = await this.#transport.listen({ host, port });
      this.#state = 'open';
      const shown = host.includes(':') ? `[${host}]` : host;
      this.#probe = this.#makeProbe(reachable(host), bound);
      return { port: bound, host, url: `http://${shown}:${bound}` };
    } catch (error) {
      this.#state = 'closed';
      this.#wheel.stop();
      this.#auth.close();
      if (this.#isStoreOpen) await this.#store.close();
      throw error;
    }
  }

  async #openStore(): Promise<void> {
    const opened = await this.#store.open({ readable: isDocument });
    this.#isStoreOpen = true;
    const isDraining = (): boolean => this.#state === 'closing';
    const core = assemble({
      options: this.#options,
      contract: this.contract,
      limits: this.limits,
      log: this.log,
      store: this.#store,
      opened,
      time: this.#time,
      wheel: this.#wheel,
      auth: this.#auth,
      arrivals: this.#arrivals,
      policy: this.#policy,
      registry: this.#registry,
      guests: this.#guests,
      context: { ...this.plugins, publish: this.publish.bind(this), transact: this.transact.bind(this) },
      isDraining,
      tokens: this.#tokens,
      door: this.#door,
      ownKey: this.#ownKey,
      rates: this.#rates,
      audit: this.#audit,
      counters: this.counts,
      closed: (connection) => {
        this.#connections.delete(connection);
        if (!this.#probing.delete(connection)) this.#door.closed(connection.address);
      },
      failed: (error) => this.#failed(error),
      deposed: (error) => this.#deposed(error),
    });
    const { hub, sessions, welcomer, calls } = core;
    this.#running = core;
    for (const hook of this.#startHooks) welcomer.onStart(hook);
    for (const hook of this.#endHooks) sessions.onEnd(hook);
    for (const hook of this.#resumeHooks) welcomer.onResume(hook);
    for (const register of this.#handlers.splice(0)) register(calls);
    for (const restore of [() => sessions.restore(), ...this.#restoreHooks]) {
      try {
        await restore();
      } catch (error) {
        throw unreadable(error, this.#store);
      }
    }
    for (const hook of this.#openHooks) await hook();
    this.#sweepKeys(hub, SWEEP_MS);
  }

  close({ spreadMs = 0, settleMs = SETTLE_MS, unreadyMs = 0, drainMs = DRAIN_MS }: CloseOptions = {}): Promise<void> {
    return (this.#closing ??= this.#close({ spreadMs, settleMs, unreadyMs, drainMs }));
  }

  async #close({ spreadMs, settleMs, unreadyMs, drainMs }: Required<CloseOptions>): Promise<void> {
    await this.#opening;
    if (this.#state !== 'open') {
      this.#wheel.stop();
      this.#state = 'closed';
      return;
    }
    this.#isLeaving = true;
    if (unreadyMs > 0) await pause(unreadyMs);
    // From here on frames are refused, so that what was taken is answered before the connections close.
    this.#state = 'closing';
    this.#transport?.stopListening();
    const { hub, calls } = this.#open();
    await this.#settled(hub, settleMs);
    await answered({ connections: this.#connections, calls, requests: () => this.#answering }, drainMs);
    await this.#settled(hub, settleMs);
    this.#probe?.close();
    for (const connection of [...this.#connections]) connection.close('draining', undefined, spreadMs);
    for (const hook of this.#closeHooks) await hook();
    await this.#settled(hub, settleMs);
    await this.#transport?.close();
    this.#wheel.stop();
    this.#auth.close();
    // Before the store: what came in between would be taken and be nowhere.
    this.#state = 'closed';
    await this.#settled(hub, settleMs);
    await this.#store.close();
  }

  #makeProbe(host: string, port: number): Probe {
    const { name, durable } = this.#store;
    return new Probe({
      key: this.#ownKey,
      url: `ws://${host}:${port}/`,
      hub: this.#open().hub,
      store: { name, durable },
      registry: this.#registry,
      node: this.#options.node,
      after: (ms, fn) => this.#wheel.after(ms, fn),
      monotonic: () => this.#time.monotonic(),
      wall: () => this.#time.wall(),
    });
  }

  async checkDelivery(): Promise<Delivery> {
    this.#taking();
    if (this.#state !== 'open' || this.#probe === undefined) throw new RoomwireError('draining');
    return this.#probe.check();
  }

  /** Resolves when nothing waits for the store any more, or when it takes too long. */
  #settled(hub: Hub, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      void hub.settled().then(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #sweepKeys(hub: Hub, ms: number): void {
    this.#wheel.after(ms, () => {
      hub.perform(
        sweepKeys,
        (more) => this.#sweepKeys(hub, more ? 0 : SWEEP_MS),
        () => this.#sweepKeys(hub, SWEEP_MS),
      );
    });
  }

  /** Throws draining once closed: nothing would keep what is written then. */
  #taking(): Hub {
    if (this.#state === 'closed') throw new RoomwireError('draining', 'the server is closed');
    return this.#open().hub;
  }

  #open(): Core {
    if (this.#running === undefined) throw new Error('the server is not listening yet: await server.listen() first');
    return this.#running;
  }

  /** Before anything is spent on an upgrade; what a person should read is a close code instead. */
  #refuses(info: UpgradeInfo): HttpResponse | undefined {
    if (this.#ownKey.isIn(info.authorization)) return undefined;
    const address = this.#door.addressOf(info.address, info.forwardedFor);
    const refusal = this.#door.refuses(address);
    if (refusal === undefined) return undefined;
    return this.#later(address, refusal, 'upgrade refused');
  }

  #later(address: string, { status, limit, retryAfterMs }: Refusal, reason: string): HttpResponse {
    this.#audit.add({ event: 'limit', address, target: limit, reason });
    const headers = { 'content-type': 'text/plain', 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) };
    return { status, headers, body: `${limit}: try again later.\n` };
  }

  async #counted(request: HttpRequest): Promise<HttpResponse> {
    this.#answering++;
    try {
      return await this.#answer(request);
    } finally {
      this.#answering--;
    }
  }

  async #answer(received: HttpRequest): Promise<HttpResponse> {
    const address = this.#door.addressOf(received.address, received.headers['x-forwarded-for']);
    const request = { ...received, address };
    const token = bearerOf(request.headers['authorization']);
    const wait = token !== undefined && this.#auth.apiKey(token) !== undefined ? 0 : this.#door.takesRequest(address);
    if (wait > 0) {
      const refusal: Refusal = { status: 429, limit: 'requestsPerSecondPerAddress', retryAfterMs: wait };
      const answer = this.#later(address, refusal, 'request refused');
      return this.#refusedRequest?.(request, tooMany(wait, `${refusal.limit}: try again later`)) ?? answer;
    }
    const host = received.headers['host'] ?? '';
    if (this.#guests && !isLocalHost(host)) {
      this.#audit.add({
        event: 'denied',
        address,
        target: `${request.method} ${request.path}`,
        reason: FOREIGN_HOST,
      });
      const error = new RoomwireError('forbidden', FOREIGN_HOST);
      return this.#refusedRequest?.(request, error) ?? plain(403, FOREIGN_HOST);
    }
    try {
      for (const hook of this.#requestHooks) {
        const response = await hook(request);
        if (response === undefined) continue;
        // Here, where there is somebody to write another one.
        check(response);
        return response;
      }
    } catch (error) {
      this.#failed(error);
      return this.#refusedRequest?.(request, new RoomwireError('handler_failed')) ?? plain(500, 'internal error');
    }
    return plain(404, 'not found');
  }

  #deposed(error: StoreError): void {
    // It stops already.
    if (this.#isLeaving) return;
    // Another may use the store by now: clients are to go there at once.
    this.#transport?.stopListening();
    const { deposed } = this.#options;
    if (deposed !== undefined) return deposed(error);
    setImmediate(() => {
      throw error;
    });
  }

  #failed(error: unknown): void {
    this.log.error({ err: error }, 'internal error');
  }
}

/** Where a server that listens on `host` reaches itself. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

/** Whether bytes are one value, as everything is that the hub writes. */
function isDocument(bytes: Uint8Array): boolean {
  return scanValue(bytes, 0) === bytes.length;
}

/** What a store holds has the right form and makes no sense: a disk's fault, or another version's. */
function unreadable(error: unknown, { file }: Store): unknown {
  if (file === undefined || error instanceof StoreError || error instanceof RoomwireError) return error;
  const why = `this server cannot read what it holds (${error instanceof Error ? error.message : String(error)})`;
  return new StoreError(
    'unusable',
    `${file} is damaged or of another version: ${why}: restore a backup, or move its directory away to begin with an empty store`,
    error,
  );
}

/** Another at each request. */
function guestAt(address: string): HttpCaller {
  const { user } = guest();
  return { kind: 'guest', user, keyOwner: ownerOf(user, true, address) };
}

function plain(status: number, body: string): HttpResponse {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: `${body}\n` };
}
