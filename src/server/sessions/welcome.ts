/**
 * HELLO in one round trip: who it is (gate/), begin a session or resume one, answer WELCOME with every topic's
 * position; the missed events follow. Resuming is a transaction like any other change, and what it builds on (the
 * session, its secret, its topics) is looked at inside it.
 */
import { messageOf } from '../../protocol/code-texts.js';
import { errors, type CloseName } from '../../protocol/codes.js';
import { RoomwireError } from '../../protocol/errors.js';
import type { Hello, Position, SessionTicket, TopicStatus, Value } from '../../protocol/frames.js';
import type { Limits } from '../../protocol/limits.js';
import { topicPattern, type TopicPattern } from '../../protocol/pattern.js';
import type { Log, Session, Transaction } from '../api.js';
import { tooMany } from '../gate/rates.js';
import type { Identity } from '../gate/auth.js';
import type { Gate } from '../gate/gate.js';
import type { Clock } from '../time/clock.js';
import { readHello, writeWelcome } from '../wire/frames.js';
import type { Hub } from '../hub/hub.js';
import type { HubTransaction } from '../hub/transaction.js';
import type { Policy } from '../policy.js';
import {
  hashSecret,
  newSecret,
  newSid,
  opens,
  ServerSession,
  type SessionConnection,
  type SessionRecord,
} from './session.js';
import type { SessionRegistry } from './registry.js';
import { PROBE } from '../gate/own-key.js';
import type { Sessions } from './life.js';

/** In `pendingBytes`: all HELLOs that are being answered, also for clients that left meanwhile. Past it a client is told to come later. */
const ANSWERING = 4;
/** What one takes of memory beside its bytes. */
const HELLO_BYTES = 4_096;
const ANSWERING_RETRY_MS = 1_000;
/** Topics of one resume whose rules are asked at the same time. */
const ASKED_AT_ONCE = 16;
/** Secrets of a session that are good at once, beside the newest. */
const UNCONFIRMED = 4;
/** What this server offers beyond the protocol's base (RW-HEL-6). */
const FEATURES: readonly string[] = ['positions'];

export interface WelcomerOptions {
  readonly hub: Hub;
  readonly sessions: Sessions;
  readonly registry: SessionRegistry;
  readonly policy: Policy;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly node: string;
  readonly pingEvery: number;
  readonly log: Log;
}

type ResumeHook = (tx: Transaction, session: Session, topic: string, refused: boolean) => boolean;

export class Welcomer {
  readonly #options: WelcomerOptions;
  #answering = 0;
  readonly #resumeHooks: { readonly topics: TopicPattern; readonly hook: ResumeHook }[] = [];
  readonly #startHooks: ((tx: Transaction, session: Session) => void)[] = [];

  constructor(options: WelcomerOptions) {
    this.#options = options;
  }

  onResume(pattern: string, hook: ResumeHook): void {
    this.#resumeHooks.push({ topics: topicPattern(pattern), hook });
  }

  onStart(hook: (tx: Transaction, session: Session) => void): void {
    this.#startHooks.push(hook);
  }

  hello(connection: SessionConnection, bytes: Uint8Array, start: number): void {
    const frame = readHello.parts(bytes, start);
    if (frame === undefined) return connection.close('hello_expected');
    const { id, data } = frame;
    if (id === undefined) return connection.close('hello_expected', 'HELLO needs an id from 1 to 2^31 - 1');
    const failed = (error: unknown): void => {
      if (!connection.open) return;
      if (error instanceof RoomwireError) {
        return connection.close(closeFor(error), messageOf(error), retryAfter(error));
      }
      this.#options.log.error({ err: error }, 'HELLO failed');
      connection.close('internal');
    };
    const size = HELLO_BYTES + bytes.length;
    if (this.#answering + size > ANSWERING * this.#options.limits.pendingBytes)
      return failed(tooMany(ANSWERING_RETRY_MS, 'too many come at once'));
    this.#answering += size;
    void this.#answer(connection, id, data, failed)
      .catch(failed)
      .finally(() => (this.#answering -= size));
  }

  async #answer(
    connection: SessionConnection,
    id: number,
    data: Value,
    failed: (error: unknown) => void,
  ): Promise<void> {
    const { gate, limits, hub } = this.#options;
    const hello = readHello.data(data, limits);
    const ticket = hello.session === undefined ? undefined : ticketOf(hello.session);
    if (ticket !== undefined && this.#options.registry.wasKicked(ticket.sid, ticket.hash)) {
      return connection.close('kicked');
    }
    const known = ticket === undefined ? undefined : this.#presented(ticket, hello);
    const verified = await gate.identify(hello, connection, known);
    // After any await: is anybody still there? (rule 1)
    if (!connection.open) return;
    // The secret never replaces a token: another user gets a session of its own, and its own verdicts.
    const presented = known?.user.id === verified.user.id ? known : undefined;
    const identity = await gate.admit(verified, presented, connection);
    if (!connection.open) return;
    const session = presented ?? this.#begin(identity, hello);
    const topics = [...new Set([...Object.keys(hello.resume ?? {}), ...session.topics])];
    const refused = topics.length === 0 ? NONE : await this.#refused(session, identity, topics);
    if (!connection.open) return;
    // Again: others may have come meanwhile. From here on it counts, though it is in no registry yet.
    gate.requireRoom(identity, presented);
    const arrived = gate.arrives(identity.user.id);
    hub.perform(
      (tx) => this.#welcome(tx, { connection, id, hello, ticket, identity, session, refused }),
      arrived,
      (error) => {
        arrived();
        failed(error);
      },
    );
  }

  /** The session HELLO proves, when it may be resumed: right secret and the same page or process. */
  #presented({ sid, hash }: Ticket, hello: Hello): ServerSession | undefined {
    const session = this.#options.registry.get(sid);
    if (session === undefined || session.ended || session.kicked || !opens(session.record, hash)) return undefined;
    // A duplicated tab has the ticket too, but not the instance: it gets a session of its own.
    return session.record.instance === hello.instance ? session : undefined;
  }

  #begin(identity: Identity, hello: Hello): ServerSession {
    return new ServerSession(this.#options.registry.members, newSid(), this.#record(identity, hello, []));
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

  /** The codes of the topics that the policy refuses, asked before the transaction: it may be asynchronous. */
  async #refused(
    session: ServerSession,
    { user }: Identity,
    topics: readonly string[],
  ): Promise<ReadonlyMap<string, number>> {
    const { policy, log } = this.#options;
    // As whom the token names now: what it no longer grants, a resume does not bring back (RW-SES-7).
    const asker = {
      ...{ sid: session.sid, user, connected: true, ended: false },
      get topics() {
        return session.topics;
      },
    };
    const refused = new Map<string, number>();
    const ask = async (topic: string): Promise<void> => {
      let isKept = false;
      try {
        isKept = this.#byCall(topic);
        if (isKept && !session.topics.has(topic)) return;
        const allowed = await (isKept ? policy.mayStay(asker, topic) : policy.maySubscribe(asker, topic));
        if (!allowed) refused.set(topic, errors.forbidden);
      } catch (error) {
        // Who could not be judged is not taken out of a room: nothing could bring the member back.
        if (isKept && error instanceof RoomwireError && isLater(error)) throw error;
        if (!(error instanceof RoomwireError)) log.error({ err: error, topic }, 'a policy failed');
        refused.set(topic, error instanceof RoomwireError ? error.code : errors.handler_failed);
      }
    };
    const left = topics.values();
    const askAll = async (): Promise<void> => {
      for (const topic of left) await ask(topic);
    };
    // Some at once: a rule that asks far away must not cost its time for each topic, nor be flooded.
    await Promise.all(Array.from({ length: Math.min(ASKED_AT_ONCE, topics.length) }, askAll));
    return refused;
  }

  /** Throws unknown_topic. */
  #byCall(topic: string): boolean {
    return this.#options.policy.topic(topic).definition.subscribe === 'by-call';
  }

  #welcome(tx: HubTransaction, { connection, id, hello, ticket, identity, session, refused }: Answer): void {
    const { clock, limits, node, pingEvery, sessions } = this.#options;
    const stored = ticket === undefined ? undefined : tx.get<SessionRecord>('sessions', session.sid);
    // It may have ended, or another connection used the secret up, since it was looked at.
    const resumed =
      ticket !== undefined &&
      stored !== undefined &&
      !session.kicked &&
      opens(stored, ticket.hash) &&
      opens(session.record, ticket.hash);
    const isFresh = session.record.secrets.length === 0;
    const target = resumed || isFresh ? session : this.#begin(identity, hello);
    const secret = newSecret();
    const hash = hashSecret(secret);
    const record = this.#record(identity, hello, resumed ? [hash, ...stillGood(stored, ticket)] : [hash]);
    tx.set('sessions', target.sid, record);
    tx.afterCommit(() => sessions.attach(target, connection, record));
    // No prototype: a topic may be called `__proto__`.
    const topics = Object.create(null) as Record<string, TopicStatus>;
    for (const topic of new Set([...Object.keys(hello.resume ?? {}), ...tx.topics(target)])) {
      topics[topic] = this.#resume(tx, target, topic, { from: hello.resume?.[topic] ?? null, connection, refused });
    }
    const welcome = writeWelcome(id, {
      session: [target.sid, secret],
      resumed,
      user: record.user,
      expiresAt: record.expiresAt,
      node,
      time: clock.now(),
      limits,
      pingEvery,
      features: hello.features === undefined ? [] : FEATURES.filter((feature) => hello.features?.includes(feature)),
      topics,
    });
    const names = Object.keys(topics);
    const unrecovered = names.length === 0 ? names : names.filter((topic) => topics[topic]?.recovered === false);
    tx.afterCommit(() => {
      if (unrecovered.length > 0) connection.outbox.unrecovered = new Set(unrecovered);
      connection.outbox.push(welcome);
    });
    // After WELCOME, which is the first frame (RW-HEL-3): what they subscribe to is told by SUBSCRIBED.
    if (resumed || identity === PROBE) return;
    for (const topic of identity.topics ?? []) tx.subscribe(target, topic);
    for (const hook of this.#startHooks) hook(tx, target);
  }

  #resume(
    tx: HubTransaction,
    session: ServerSession,
    topic: string,
    { from, connection, refused }: Resume,
  ): TopicStatus {
    let code = refused.get(topic);
    // A topic that a call subscribed is judged by its plugin, and only for who is in it still.
    if (tx.isIn(session, topic) || code === undefined) {
      if (this.#isKept(topic) && !this.#mayStay(tx, session, topic, code !== undefined)) code ??= errors.join_required;
    }
    if (code === undefined) {
      try {
        const status = tx.subscribeFrom(session, topic, from, connection);
        // Without a position there is nothing to go on from: the client must refetch.
        return from === null ? { ...status, recovered: false } : status;
      } catch (error) {
        if (!(error instanceof RoomwireError)) throw error;
        ({ code } = error);
      }
    }
    // Whoever was kicked while away, or whose room is gone, is not to hear that a join brings it back.
    if (code === errors.join_required) code = session.removals?.get(topic) ?? code;
    tx.unsubscribe(session, topic);
    // No position: whoever is refused learns nothing of the topic.
    return { epoch: '', offset: 0, recovered: false, code };
  }

  /** Like #byCall, also for names no topic can have. */
  #isKept(topic: string): boolean {
    try {
      return this.#byCall(topic);
    } catch {
      return false;
    }
  }

  #mayStay(tx: HubTransaction, session: ServerSession, topic: string, refused: boolean): boolean {
    if (!tx.isIn(session, topic)) return false;
    return this.#resumeHooks.every(
      ({ topics, hook }) => topics.match(topic) === undefined || hook(tx, session, topic, refused) !== false,
    );
  }
}

/** What HELLO presents of an earlier session; its secret is hashed once. */
interface Ticket {
  readonly sid: string;
  readonly hash: string;
}

function ticketOf([sid, secret]: SessionTicket): Ticket {
  return { sid, hash: hashSecret(secret) };
}

/**
 * The secrets that open the session until the newest is used: the one presented, and those told since. Their WELCOMEs
 * may have arrived, too, where a HELLO of an earlier try came late (RW-SES-3).
 */
function stillGood({ secrets }: SessionRecord, { hash }: Ticket): string[] {
  const told = secrets.slice(0, secrets.indexOf(hash));
  return [...told.slice(0, UNCONFIRMED - 1), hash];
}

const NONE: ReadonlyMap<string, number> = new Map();

interface Answer {
  readonly connection: SessionConnection;
  readonly id: number;
  readonly hello: Hello;
  readonly ticket: Ticket | undefined;
  readonly identity: Identity;
  /** The one HELLO proves, else a fresh one. */
  readonly session: ServerSession;
  readonly refused: ReadonlyMap<string, number>;
}

interface Resume {
  readonly from: Position | null;
  readonly connection: SessionConnection;
  readonly refused: ReadonlyMap<string, number>;
}

function retryAfter({ details }: RoomwireError): number {
  const { retryAfterMs } = (details ?? {}) as { readonly retryAfterMs?: unknown };
  return typeof retryAfterMs === 'number' ? retryAfterMs : 0;
}

function closeFor(error: RoomwireError): CloseName {
  switch (error.code) {
    case errors.token_expired:
      return 'token_expired';
    case errors.unauthenticated:
      return 'unauthenticated';
    case errors.bad_request:
      return 'hello_expected';
    case errors.forbidden:
      return 'forbidden';
    default:
      return isLater(error) ? 'overloaded' : 'internal';
  }
}

/** The class of codes that says: again later. */
function isLater({ code }: RoomwireError): boolean {
  return code >= 200 && code < 300;
}
