/**
 * The life of sessions: HELLO in one round trip (verify, resume or begin, WELCOME, missed events),
 * takeover, the grace after a lost connection, expiry and end. Everything others can see happens in
 * transactions, so a resume or an end takes its place among the events like any other change.
 */
import { decodeScanned, encode } from '../protocol/codec.js';
import { errors, type CloseName } from '../protocol/codes.js';
import { RoomwireError } from '../protocol/errors.js';
import { Op, TOKEN_ITEM_PREFIX, type Hello, type Position, type TopicStatus, type Value } from '../protocol/frames.js';
import type { Limits } from '../protocol/limits.js';
import type { Log, Session, Transaction } from './api.js';
import { guest, type Authenticator, type Identity } from './auth.js';
import type { Clock } from './clock.js';
import type { Connection } from './connection.js';
import { parseHello } from './hello.js';
import type { Hub } from './hub/hub.js';
import type { HubTransaction } from './hub/transaction.js';
import type { Policy } from './policy.js';
import {
  hashSecret,
  newSecret,
  newSid,
  opens,
  ServerSession,
  type SessionRecord,
  type SessionRegistry,
} from './session.js';
import type { UpgradeInfo } from './transport/transport.js';
import type { Timer } from './wheel.js';

/** What this server offers beyond the protocol's base (RW-HEL-6). */
const FEATURES: readonly string[] = [];
const PAGE = 1_000;

export interface SessionsOptions {
  readonly hub: Hub;
  readonly registry: SessionRegistry;
  readonly policy: Policy;
  readonly auth: Authenticator;
  /** Whether someone without a token is let in as a guest. */
  readonly guests: boolean;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly node: string;
  readonly pingEvery: number;
  readonly log: Log;
  readonly after: (ms: number, fn: () => void) => Timer;
}

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #endHooks: ((tx: Transaction, session: Session) => void)[] = [];
  readonly #resumeHooks: ((tx: Transaction, session: Session, topic: string) => boolean | undefined)[] = [];

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  onEnd(hook: (tx: Transaction, session: Session) => void): void {
    this.#endHooks.push(hook);
  }

  /** `hook` answers undefined for topics that are not its own. */
  onResume(hook: (tx: Transaction, session: Session, topic: string) => boolean | undefined): void {
    this.#resumeHooks.push(hook);
  }

  /** Reads the sessions of an earlier run; each gets its grace anew. */
  async restore(): Promise<void> {
    const { hub, registry } = this.#options;
    for await (const [sid, record] of this.#pages<SessionRecord>('sessions')) {
      const session = new ServerSession(registry, sid, record);
      registry.add(session);
      this.#startGrace(session);
    }
    const orphans: string[] = [];
    for await (const [key] of this.#pages('subscriptions')) {
      const [sid = '', topic = ''] = key.split('\0');
      const session = registry.get(sid);
      if (session === undefined) orphans.push(key);
      else session.enter(topic);
    }
    if (orphans.length > 0) {
      await hub.transact((tx) => {
        for (const key of orphans) tx.delete('subscriptions', key);
      });
    }
  }

  async *#pages<T>(table: string): AsyncGenerator<[string, T]> {
    let after = '';
    for (;;) {
      const from = after;
      const page = await this.#options.hub.transact((tx) => tx.list<T>(table, { after: from, limit: PAGE }));
      yield* page;
      if (page.length < PAGE) return;
      after = page[page.length - 1]?.[0] as string;
    }
  }

  // ---- HELLO -------------------------------------------------------------------------------------

  hello(connection: Connection, bytes: Uint8Array, start: number): void {
    const frame = decodeScanned(bytes, start) as readonly Value[];
    const [op, id] = frame;
    if (op !== Op.HELLO) return connection.close('hello_expected');
    if (!(typeof id === 'number' && Number.isInteger(id) && id > 0 && id <= 0x7fff_ffff)) {
      return connection.close('hello_expected', 'HELLO needs an id from 1 to 2^31 - 1');
    }
    this.#answer(connection, id, frame[2] ?? null).catch((error: unknown) => {
      if (!connection.open) return;
      if (error instanceof RoomwireError) return connection.close(closeFor(error), error.message);
      this.#options.log.error({ err: error }, 'HELLO failed');
      connection.close('internal');
    });
  }

  async #answer(connection: Connection, id: number, data: Value): Promise<void> {
    const { limits, hub } = this.#options;
    const hello = parseHello(data, limits);
    const presented = this.#presented(hello);
    const identity = await this.#identify(hello, connection.info, presented);
    // After any await: is anybody still there? (rule 1)
    if (!connection.open) return;
    const session = presented ?? this.#begin(identity, hello);
    const allowed = await this.#mayResume(session, hello);
    if (!connection.open) return;
    hub.perform(
      (tx) => this.#welcome(tx, connection, id, hello, identity, session, allowed),
      (welcome) => connection.outbox.push(welcome),
      (error) => {
        this.#options.log.error({ err: error }, 'HELLO could not be committed');
        connection.close('overloaded');
      },
    );
  }

  /** The session HELLO proves, when it may be resumed: right secret and the same page or process. */
  #presented(hello: Hello): ServerSession | undefined {
    if (hello.session === undefined) return undefined;
    const [sid, secret] = hello.session;
    const session = this.#options.registry.get(sid);
    if (session === undefined || session.ended || !opens(session.record, secret)) return undefined;
    // A duplicated tab has the ticket too, but not the instance: it gets a session of its own.
    return session.record.instance === hello.instance ? session : undefined;
  }

  async #identify(hello: Hello, info: UpgradeInfo, presented: ServerSession | undefined): Promise<Identity> {
    const { auth, guests } = this.#options;
    const token = hello.token ?? tokenOf(info);
    if (token !== undefined && auth.tokens) return auth.verify(token);
    if (!guests) throw new RoomwireError('unauthenticated', 'a token is needed');
    if (presented?.record.guest === true) return { user: presented.user, expiresAt: null, guest: true };
    return guest();
  }

  #begin(identity: Identity, hello: Hello): ServerSession {
    return new ServerSession(this.#options.registry, newSid(), this.#record(identity, hello, []));
  }

  #record(identity: Identity, hello: Hello, secrets: readonly string[]): SessionRecord {
    const { limits } = this.#options;
    return {
      user: identity.user,
      instance: hello.instance,
      graceMs: Math.min(hello.grace ?? limits.graceMs, limits.graceMaxMs),
      expiresAt: identity.expiresAt,
      secrets,
      guest: identity.guest,
    };
  }

  /** The policy's word on each topic to resume, asked before the transaction: it may be asynchronous. */
  async #mayResume(session: ServerSession, hello: Hello): Promise<ReadonlyMap<string, true | number>> {
    const { policy } = this.#options;
    const verdicts = new Map<string, true | number>();
    for (const topic of new Set([...Object.keys(hello.resume ?? {}), ...session.topics])) {
      try {
        const byCall = policy.topic(topic).definition.subscribe === 'by-call';
        // A topic that a call subscribed is judged by its plugin, inside the transaction.
        const allowed = byCall ? session.topics.has(topic) : await policy.maySubscribe(session, topic);
        verdicts.set(topic, allowed ? true : (byCall ? errors.join_required : errors.forbidden).code);
      } catch (error) {
        verdicts.set(topic, error instanceof RoomwireError ? error.code : errors.handler_failed.code);
      }
    }
    return verdicts;
  }

  #welcome(
    tx: HubTransaction,
    connection: Connection,
    id: number,
    hello: Hello,
    identity: Identity,
    session: ServerSession,
    verdicts: ReadonlyMap<string, true | number>,
  ): Uint8Array {
    const { clock, limits, node, pingEvery, registry } = this.#options;
    // Another sub, or a session that ended meanwhile: a new one (the secret never replaces a token).
    const resumed = registry.get(session.sid) === session && !session.ended && session.user.id === identity.user.id;
    const target =
      resumed || (registry.get(session.sid) === undefined && !session.ended) ? session : this.#begin(identity, hello);
    const secret = newSecret();
    const kept = resumed && hello.session !== undefined ? [hashSecret(hello.session[1])] : [];
    const record = this.#record(identity, hello, [hashSecret(secret), ...kept]);
    tx.set('sessions', target.sid, record);
    tx.effects.push(() => this.#attach(target, connection, record));
    const topics = Object.create(null) as Record<string, TopicStatus>;
    for (const [topic, verdict] of verdicts) {
      topics[topic] = this.#resumeTopic(
        tx,
        target,
        topic,
        hello.resume?.[topic] ?? null,
        resumed ? verdict : forNewSession(verdict, session, topic),
      );
    }
    return encode([
      Op.WELCOME,
      id,
      {
        session: [target.sid, secret],
        resumed,
        user: record.user,
        expiresAt: record.expiresAt,
        node,
        time: clock.now(),
        limits,
        pingEvery,
        features: FEATURES.filter((feature) => hello.features?.includes(feature) === true),
        topics,
      },
    ]);
  }

  #resumeTopic(
    tx: HubTransaction,
    session: ServerSession,
    topic: string,
    from: Position | null,
    verdict: true | number,
  ): TopicStatus {
    let code = verdict;
    if (code === true && this.#resumeHooks.some((hook) => hook(tx, session, topic) === false)) {
      code = errors.join_required.code;
    }
    if (code === true && session.topics.size > this.#options.limits.topics) code = errors.limit_reached.code;
    if (code !== true) {
      if (session.topics.has(topic)) tx.unsubscribe(session, topic);
      const [epoch, offset] = tx.position(topic);
      return { epoch, offset, recovered: false, code };
    }
    const status = tx.subscribeFrom(session, topic, from, false);
    // Without a position there is nothing to go on from: the client must refetch.
    return from === null ? { ...status, recovered: false } : status;
  }

  /** In the block of the commit's effects: from here on `connection` is the session's. */
  #attach(session: ServerSession, connection: Connection, record: SessionRecord): void {
    const { registry, clock, after, log } = this.#options;
    if (!connection.open) {
      // It closed during the commit: the session stays, in its grace.
      if (registry.get(session.sid) === undefined) registry.add(session);
      session.record = record;
      if (session.connection === undefined) this.#startGrace(session);
      return;
    }
    const earlier = session.connection;
    session.connection = undefined;
    if (earlier !== undefined) {
      earlier.close('taken_over');
      this.#options.hub.detach(earlier.outbox);
    }
    registry.add(session);
    session.record = record;
    session.graceTimer?.cancel();
    session.connection = connection;
    connection.welcomed(session);
    connection.confirmSecret = () => {
      // The first frame after WELCOME shows that the new secret arrived: the old one is dead.
      connection.confirmSecret = undefined;
      session.record = { ...session.record, secrets: session.record.secrets.slice(0, 1) };
    };
    session.expiryTimer?.cancel();
    if (record.expiresAt !== null) {
      session.expiryTimer = after(record.expiresAt - clock.now(), () => session.connection?.close('token_expired'));
    }
    log.debug({ sid: session.sid, user: session.user.id, address: connection.info.address }, 'connected');
  }

  // ---- after the connection ----------------------------------------------------------------------

  /** The connection is gone, however that came. */
  closed(connection: Connection, code: number, reason: string): void {
    const { session } = connection;
    this.#options.hub.detach(connection.outbox);
    this.#options.log.debug({ sid: session?.sid, user: session?.user.id, code, reason }, 'disconnected');
    if (session === undefined || session.connection !== connection) return;
    session.connection = undefined;
    session.expiryTimer?.cancel();
    if (!session.ended) this.#startGrace(session);
  }

  #startGrace(session: ServerSession): void {
    session.graceTimer?.cancel();
    session.graceTimer = this.#options.after(session.record.graceMs, () => {
      if (session.connection === undefined) void this.end(session);
    });
  }

  /** BYE: ends the session now, without grace. */
  bye(connection: Connection): void {
    const { session } = connection;
    connection.close('bye');
    if (session !== undefined) void this.end(session);
  }

  /** Ends a session: its topics, and what plugins hold for it, end in the same commit. */
  async end(session: ServerSession, close?: { readonly name: CloseName; readonly reason?: string }): Promise<void> {
    const { hub, registry, log } = this.#options;
    try {
      await hub.transact((tx) => {
        // A resume may have come first; and an end ends once.
        if (session.ended || (close === undefined && session.connection?.open === true)) return;
        for (const hook of this.#endHooks) hook(tx, session);
        for (const topic of session.topics) tx.unsubscribe(session, topic);
        for (const [key] of tx.list('subscriptions', { prefix: `${session.sid}\0`, limit: PAGE })) {
          tx.delete('subscriptions', key);
        }
        tx.delete('sessions', session.sid);
        tx.afterCommit(() => {
          hub.forgetVolatile(session);
          registry.remove(session);
          session.graceTimer?.cancel();
          session.expiryTimer?.cancel();
          const { connection } = session;
          session.connection = undefined;
          if (close !== undefined) connection?.close(close.name, close.reason);
        });
      });
    } catch (error) {
      // The store refused: its holders must not stay for ever. Try again after another grace.
      log.error({ err: error, sid: session.sid }, 'a session could not be ended; trying again');
      if (session.connection === undefined) this.#startGrace(session);
    }
  }

  /** AUTH: new rights for the same user, in-band. */
  renew(connection: Connection, id: number, token: string): void {
    const { auth, hub, clock, after } = this.#options;
    const session = connection.session as ServerSession;
    auth.verify(token).then(
      (identity) => {
        if (!connection.open) return;
        if (identity.user.id !== session.user.id) {
          return connection.nack(id, new RoomwireError('forbidden', 'this token names another user'));
        }
        hub.perform(
          (tx) => {
            const record = { ...session.record, user: identity.user, expiresAt: identity.expiresAt };
            tx.set('sessions', session.sid, record);
            return record;
          },
          (record) => {
            session.record = record;
            session.expiryTimer?.cancel();
            if (record.expiresAt !== null) {
              session.expiryTimer = after(record.expiresAt - clock.now(), () =>
                session.connection?.close('token_expired'),
              );
            }
            connection.ack(id, { expiresAt: record.expiresAt });
          },
          (error) =>
            connection.nack(id, error instanceof RoomwireError ? error : new RoomwireError('store_unavailable')),
        );
      },
      (error: unknown) =>
        connection.nack(id, error instanceof RoomwireError ? error : new RoomwireError('unauthenticated')),
    );
  }
}

/** A session that is not the one the client hoped for has joined nothing. */
function forNewSession(verdict: true | number, hoped: ServerSession, topic: string): true | number {
  return verdict === true && hoped.topics.has(topic) ? errors.join_required.code : verdict;
}

function tokenOf(info: UpgradeInfo): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(info.authorization)?.[1];
  if (bearer !== undefined) return bearer;
  const item = info.subprotocols.find((offered) => offered.startsWith(TOKEN_ITEM_PREFIX));
  if (item !== undefined) return item.slice(TOKEN_ITEM_PREFIX.length);
  return new URLSearchParams(info.query).get('token') ?? undefined;
}

function closeFor(error: RoomwireError): CloseName {
  if (error.code === errors.token_expired.code) return 'token_expired';
  if (error.code === errors.unauthenticated.code) return 'unauthenticated';
  if (error.code === errors.bad_request.code) return 'hello_expected';
  return error.code === errors.forbidden.code ? 'forbidden' : 'internal';
}
