/**
 * What plugins are given, and a program beside them: what they register goes to its one home at once, what they ask is
 * asked of the parts. Most of it needs the store, so the server must listen.
 */
import { randomBytes } from 'node:crypto';
import { decodeScanned } from '../protocol/decode.js';
import type { Contract } from '../protocol/contract.js';
import { RoomwireError } from '../protocol/errors.js';
import type { Value } from '../protocol/frames.js';
import type { Limits } from '../protocol/limits.js';
import { checked } from '../protocol/validate.js';
import type {
  ArrivalHook,
  AtomicOptions,
  AuditEntry,
  CallPolicy,
  Delivery,
  ClusterReport,
  NodeReport,
  EdgeReport,
  EngineInfo,
  Finish,
  FollowedEvents,
  FollowOptions,
  HistoryQuery,
  HttpCaller,
  HttpRequest,
  Log,
  PluginHost,
  PollOptions,
  PresentUser,
  Published,
  PublishOptions,
  Session,
  Stats,
  StreamedBody,
  Timer,
  TopicHistory,
  TopicList,
  TopicQuery,
  TopicReport,
  TopicPolicy,
  Transaction,
  UserQuery,
  WhyReport,
} from './api.js';
import { Finished, move } from './calls/finish.js';
import { hashOfData, onceByKey } from './calls/keys.js';
import { DEFAULT_CALL_MS } from './calls/running-call.js';
import type { PlainHandler, TransactionHandler } from './calls/table.js';
import { userList } from './diagnosis/user-list.js';
import type { RefusedRequestHook, RequestHook } from './gate/entrance.js';
import { KeyedRate } from './gate/rates.js';
import type { Hub } from './hub/hub.js';
import type { HubTransaction } from './hub/transaction.js';
import { basePathOf, type AnyOptions } from './options.js';
import type { Parts } from './parts.js';
import type { ServerSession } from './sessions/session.js';
import type { Counters } from './watch/counters.js';
import { writeServerItem } from './wire/frames.js';
import { OWN_PREFIX, requireName } from './wire/names.js';

export class Host implements PluginHost {
  readonly contract: Contract;
  readonly run = randomBytes(9).toString('base64url');
  readonly limits: Readonly<Limits>;
  readonly basePath: string;
  readonly log: Log;
  readonly counts: Counters;
  readonly plugins: Readonly<Record<string, unknown>>;
  readonly #parts: Parts;
  readonly #cluster: AnyOptions['cluster'];

  constructor({ contract, plugins = [], basePath, cluster }: AnyOptions, parts: Parts) {
    this.#cluster = cluster;
    this.contract = contract;
    this.basePath = basePathOf({ basePath });
    this.#parts = parts;
    this.limits = parts.limits;
    this.log = parts.log;
    this.counts = parts.counters;
    // Each sees those before it.
    const apis: Record<string, unknown> = {};
    this.plugins = apis;
    for (const plugin of plugins) {
      const { name } = plugin;
      if (Object.hasOwn(apis, name)) throw new TypeError(`two plugins are called '${name}'`);
      parts.calls.provide(name, (apis[name] = plugin.setup(this)));
    }
    parts.calls.provide('publish', this.publish.bind(this));
    parts.calls.provide('transact', this.transact.bind(this));
    const { policy, limits } = parts;
    const finish = (ending: Finish<unknown>): Finished => new Finished(ending, policy, limits.nameBytes);
    parts.calls.provide('finish', finish);
  }

  get engineInfo(): EngineInfo | undefined {
    return this.#parts.life.engine;
  }

  get ready(): boolean {
    const { life, hub } = this.#parts;
    return life.phase === 'open' && hub.healthy;
  }

  stats(): Stats {
    const { connections, registry, hub, probe, counters, live } = this.#parts;
    const probes = registry.ofUser(OWN_PREFIX).length;
    return {
      ...connections.stats(),
      sessions: registry.size - probes,
      users: registry.users - Math.min(probes, 1),
      topics: hub.topicCount - (hub.topic(probe.topic) === undefined ? 0 : 1),
      ringBytes: hub.ringBytes,
      resets: counters.resets,
      readers: live.readers,
    };
  }

  edges(): readonly EdgeReport[] {
    return this.#parts.life.transport?.edges?.() ?? [];
  }

  cluster(): ClusterReport | undefined {
    return this.#cluster?.report();
  }

  nodes(): readonly NodeReport[] {
    return this.#cluster?.nodes() ?? [];
  }

  drainEdge(name: string, spreadMs = 0): boolean {
    return this.#parts.life.transport?.drainEdge?.(name, spreadMs) ?? false;
  }

  #open(): Parts {
    this.#parts.life.requireStore();
    return this.#parts;
  }

  #taking(): Hub {
    this.#parts.life.requireWork();
    return this.#parts.hub;
  }

  // ---- time ----------------------------------------------------------------------------------------

  now(): number {
    return this.#open().clock.now();
  }

  after(ms: number, fn: () => void): Timer {
    return this.#parts.wheel.after(ms, fn);
  }

  afterAwake(ms: number, fn: () => void): Timer {
    return this.#parts.wheel.afterAwake(ms, fn);
  }

  rate(perSecond: number, burst?: number): (key: string, weight?: number) => void {
    const rate = new KeyedRate(perSecond, () => this.#parts.time.monotonic(), burst);
    return (key, weight) => rate.take(key, weight);
  }

  // ---- what is done ----------------------------------------------------------------------------------

  async transact<T>(work: (tx: Transaction) => T): Promise<T> {
    return this.#taking().transact(work);
  }

  publish(topic: string, event: string, data: unknown, options?: PublishOptions): Promise<Published> {
    return new Promise((done, failed) => {
      const hub = this.#taking();
      if (options?.key !== undefined) return hub.perform(this.prepare(topic, event, data, options), done, failed);
      hub.publish({ topic, item: this.#item(topic, event, data), done, failed });
    });
  }

  prepare(topic: string, event: string, data: unknown, options: PublishOptions = {}): (tx: Transaction) => Published {
    const { limits } = this.#parts;
    const item = this.#item(topic, event, data);
    const { key, keyScope = [], keyOwner: owner = '' } = options;
    // The transactions that there are: it is not for others to append what no contract has seen.
    const append = (tx: Transaction): Published => (tx as HubTransaction).append(topic, item);
    if (key === undefined) return append;
    requireName(key, 'key', limits.nameBytes);
    // No user's: their ids are never empty.
    const scope = ['publish', '', topic, key, ...keyScope];
    const claim = { scope, hash: hashOfData(decodeScanned(item, 0)), owner };
    return (tx) => onceByKey(tx, claim, limits, () => append(tx));
  }

  #item(topic: string, event: string, data: unknown): Uint8Array {
    const { policy, limits } = this.#parts;
    const { nameBytes, dataBytes } = limits;
    requireName(topic, 'topic', nameBytes);
    requireName(event, 'event', nameBytes);
    const { schema } = policy.event(policy.topic(topic), event);
    const item = writeServerItem(event, schema === null ? data : checked(schema, data as Value));
    if (item.length > dataBytes + nameBytes + 16) throw new RoomwireError('too_large');
    return item;
  }

  async subscribe(session: Session, topics: readonly string[]): Promise<void> {
    const { policy } = this.#parts;
    const verdicts = await Promise.all(topics.map(async (topic) => policy.maySubscribe(session, topic)));
    const refused = topics.find((_, i) => !verdicts[i]);
    if (refused !== undefined) throw new RoomwireError('forbidden', `you may not subscribe to '${refused}'`);
    // One that ended meanwhile is refused by the transaction (rule 1).
    await this.transact((tx) => {
      for (const topic of topics) tx.subscribe(session, topic);
    });
  }

  async move(
    sessions: readonly Session[],
    { unsubscribe = [], subscribe = [] }: Pick<Finish<never>, 'unsubscribe' | 'subscribe'>,
  ): Promise<Session[]> {
    const { policy, limits } = this.#parts;
    for (const topic of [...unsubscribe, ...subscribe]) {
      requireName(topic, 'topic', limits.nameBytes);
      policy.topic(topic);
    }
    return this.transact((tx) => {
      const present = sessions.filter((session) => !(tx as HubTransaction).ended(session as ServerSession));
      for (const session of present) move(tx, session, { unsubscribe, subscribe });
      return present;
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
    const close = { name: 'kicked', ...(reason === undefined ? {} : { reason }) } as const;
    await this.#open().sessions.end(kicked, close);
  }

  // ---- what is registered ----------------------------------------------------------------------------

  handle(name: string, handler: PlainHandler): void {
    this.#parts.calls.add(name, handler);
  }

  handleAtomic(name: string, handler: TransactionHandler, options?: AtomicOptions): void {
    this.#parts.calls.addAtomic(name, handler, options);
  }

  callPolicy(pattern: string, policy: CallPolicy): void {
    this.#parts.calls.addPolicy(pattern, policy);
  }

  topicPolicy(pattern: string, policy: TopicPolicy): void {
    this.#parts.policy.add(pattern, policy);
  }

  onArrival(hook: ArrivalHook): void {
    this.#parts.arrivals.add(hook);
  }

  onSessionStart(hook: (tx: Transaction, session: Session) => void): void {
    this.#parts.welcomer.onStart(hook);
  }

  onSessionEnd(hook: (tx: Transaction, session: Session) => void): void {
    this.#parts.sessions.onEnd(hook);
  }

  onResume(
    pattern: string,
    hook: (tx: Transaction, session: Session, topic: string, refused: boolean) => boolean,
  ): void {
    this.#parts.welcomer.onResume(pattern, hook);
  }

  onRestore(hook: () => void | Promise<void>): void {
    this.#parts.life.restoreHooks.push(hook);
  }

  onOpen(hook: () => void | Promise<void>): void {
    this.#parts.life.openHooks.push(hook);
  }

  onClose(hook: () => void | Promise<void>): void {
    this.#parts.life.closeHooks.push(hook);
  }

  onRequest(hook: RequestHook): void {
    this.#parts.entrance.onRequest(hook);
  }

  onRefusedRequest(hook: RefusedRequestHook): void {
    this.#parts.entrance.refusedRequest = hook;
  }

  // ---- what is asked -----------------------------------------------------------------------------------

  async authenticate(request: HttpRequest): Promise<HttpCaller> {
    return this.#parts.entrance.authenticate(request);
  }

  session(sid: string): ServerSession | undefined {
    return this.#parts.registry.get(sid);
  }

  sessionsOf(userId: string): readonly ServerSession[] {
    return [...this.#parts.registry.ofUser(userId)];
  }

  audit(entry: AuditEntry): void {
    this.#parts.audit.add(entry);
  }

  onAudit(watcher: (entry: AuditEntry) => void): void {
    this.#parts.audit.watch(watcher);
  }

  topics(query: TopicQuery = {}): TopicList {
    return this.#open().diagnosis.topics(query);
  }

  users(query: UserQuery = {}): readonly PresentUser[] {
    return userList(this.#parts.registry, query);
  }

  async history(topic: string, query: HistoryQuery = {}): Promise<TopicHistory> {
    return this.#open().diagnosis.history(topic, query);
  }

  async follow(topic: string, options: FollowOptions): Promise<StreamedBody> {
    return this.#open().live.follow(topic, options);
  }

  async poll(topic: string, options: PollOptions): Promise<FollowedEvents> {
    return this.#open().live.poll(topic, options);
  }

  unfollow(userId: string, reason?: string): number {
    return this.#open().live.unfollow(userId, reason);
  }

  async inspect(topic: string): Promise<TopicReport> {
    return this.#open().diagnosis.topic(topic);
  }

  async why(topic: string, offset: number, sidOrUser: string): Promise<WhyReport> {
    return this.#open().diagnosis.why(topic, offset, sidOrUser);
  }

  async checkDelivery(): Promise<Delivery> {
    this.#taking();
    if (!this.#parts.life.serves) throw new RoomwireError('draining');
    return this.#parts.probe.check();
  }
}
