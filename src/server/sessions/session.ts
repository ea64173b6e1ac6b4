/**
 * A session: who a client is, which topics it is in, and its one connection when it has one. It
 * outlives the connection by its grace, and the process by its document in the store. Memory changes
 * here happen in the effects of committed transactions only.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { encode } from '../../protocol/codec.js';
import type { User } from '../api.js';
import type { CloseName } from '../../protocol/codes.js';
import type { RoomwireError } from '../../protocol/errors.js';
import type { Value } from '../../protocol/frames.js';
import type { Limits } from '../../protocol/limits.js';
import { Budget, Share } from '../gate/budget.js';
import type { Outbox } from '../hub/outbox.js';
import type { Subscriber } from '../hub/subscriber.js';
import type { Spender } from '../gate/rates.js';
import type { Timer } from '../time/wheel.js';
import type { UpgradeInfo } from '../transport/transport.js';

/** What the store keeps of a session. Secrets are kept as hashes: the store's files are no keys. */
export interface SessionRecord {
  readonly user: User;
  readonly instance: string;
  readonly graceMs: number;
  /** Store time in ms when the rights end; null: never. */
  readonly expiresAt: number | null;
  /** Hashes of the secrets that open it: the one last announced and, until that is used, its predecessor. */
  readonly secrets: readonly string[];
  /** No token was needed: a guest on loopback. */
  readonly guest: boolean;
}

/** What a session's life needs of a connection. */
export interface SessionConnection {
  readonly outbox: Outbox;
  readonly open: boolean;
  /** The peer's IP address as text. */
  readonly address: string;
  /** What only HELLO needs: it is forgotten after WELCOME. */
  readonly info: UpgradeInfo;
  readonly bufferedBytes: number;
  /** Ms since the socket opened. */
  readonly age: number;
  /** What came in. */
  readonly messages: number;
  readonly frames: number;
  readonly bytes: number;
  readonly session: ServerSession | undefined;
  /** An AUTH is being checked. */
  renewing: boolean;
  /** The secret that HELLO was answered with is in use from the next frame on. */
  confirmSecret: (() => void) | undefined;
  /** WELCOME is on its way: frames are taken from now on. */
  welcomed(session: ServerSession): void;
  nack(id: number, error: RoomwireError): void;
  call(name: string, data: unknown, timeoutMs: number): Promise<Value>;
  close(name: CloseName, reason?: string, retryAfterMs?: number): void;
}

/** 128 random bits; also the address of a client in events (`from`, `presenterSid`). */
export function newSid(): string {
  return randomBytes(16).toString('base64url');
}

export function newSecret(): string {
  return randomBytes(24).toString('base64url');
}

export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

/** In constant time. */
export function opens(record: Pick<SessionRecord, 'secrets'>, secret: string): boolean {
  const hash = Buffer.from(hashSecret(secret));
  return record.secrets.some((known) => {
    const stored = Buffer.from(known);
    return stored.length === hash.length && timingSafeEqual(stored, hash);
  });
}

/** Kicked sessions that are remembered; more, and the oldest are forgotten (rule 4). */
const KICKED = 10_000;

/** What the sessions of one user share. */
export interface Account extends Spender {
  readonly sessions: ServerSession[];
  /** Those without a connection, the longest waiting first. */
  readonly waiting: Set<ServerSession>;
  /** What their calls and publishes under way hold. */
  readonly pending: Share;
  /** What their volatile values hold. */
  readonly values: Share;
  /** How often their last session has ended. */
  ends: number;
}

export class ServerSession implements Subscriber, Spender {
  readonly sid: string;
  buckets: number[] | undefined;
  readonly topics = new Set<string>();
  readonly #registry: SessionRegistry;
  #sidBytes: Uint8Array | undefined;
  record: SessionRecord;
  /** Undefined until it is in the registry. */
  account: Account | undefined;
  connection: SessionConnection | undefined;
  ended = false;
  /** It is being ended by the server: what it asked for and has not happened yet must not. */
  kicked = false;
  /** Grace while there is no connection. */
  graceTimer: Timer | undefined;
  expiryTimer: Timer | undefined;

  constructor(registry: SessionRegistry, sid: string, record: SessionRecord) {
    this.#registry = registry;
    this.sid = sid;
    this.record = record;
  }

  /** The sid as MessagePack, for the items it publishes. */
  get sidBytes(): Uint8Array {
    return (this.#sidBytes ??= encode(this.sid));
  }

  get user(): User {
    return this.record.user;
  }

  get connected(): boolean {
    return this.connection !== undefined;
  }

  /** `epoch`: the topic's, where it is known. */
  enter(topic: string, epoch: string | undefined): void {
    this.topics.add(topic);
    this.#registry.entered(this, topic, epoch);
  }

  /** False when it was not there. */
  leave(topic: string): boolean {
    if (!this.topics.delete(topic)) return false;
    this.#registry.left(this, topic);
    return true;
  }
}

interface InTopic {
  readonly sessions: Set<ServerSession>;
  epoch: string | undefined;
}

/** All sessions of this server, by id, by user and by topic. */
export class SessionRegistry {
  readonly #bySid = new Map<string, ServerSession>();
  readonly #byUser = new Map<string, Account>();
  readonly #byTopic = new Map<string, InTopic>();
  /** Of users whose last session ended just now: who says BYE and comes back goes on from there. */
  readonly #left = new Map<string, Account>();
  readonly #pending: Budget;
  readonly #values: Budget;
  /** Sessions ended by the server within what would have been their grace: who holds their secret may not know it yet. */
  readonly #kicked = new Map<string, Pick<SessionRecord, 'secrets'>>();

  constructor({ pendingBytes, slotBytes }: Pick<Limits, 'pendingBytes' | 'slotBytes'>) {
    this.#pending = new Budget(pendingBytes);
    this.#values = new Budget(slotBytes);
  }

  get size(): number {
    return this.#bySid.size;
  }

  get(sid: string): ServerSession | undefined {
    return this.#bySid.get(sid);
  }

  all(): IterableIterator<ServerSession> {
    return this.#bySid.values();
  }

  add(session: ServerSession): void {
    if (this.#bySid.has(session.sid)) return;
    this.#bySid.set(session.sid, session);
    const { id } = session.user;
    let account = this.#byUser.get(id);
    if (account === undefined) {
      account = this.#left.get(id) ?? this.#newAccount();
      this.#left.delete(id);
      this.#byUser.set(id, account);
    }
    account.sessions.push(session);
    session.account = account;
  }

  #newAccount(): Account {
    const [pending, values] = [new Share(this.#pending), new Share(this.#values)];
    return { sessions: [], waiting: new Set(), pending, values, ends: 0, buckets: undefined };
  }

  get users(): number {
    return this.#byUser.size;
  }

  /** Sessions of a user, also those in their grace. */
  ofUser(userId: string): readonly ServerSession[] {
    return this.#byUser.get(userId)?.sessions ?? [];
  }

  remove(session: ServerSession): void {
    for (const topic of session.topics) this.left(session, topic);
    session.topics.clear();
    session.ended = true;
    if (!this.#bySid.delete(session.sid)) return;
    const account = session.account as Account;
    const { sessions, waiting } = account;
    const { id } = session.user;
    sessions.splice(sessions.indexOf(session), 1);
    waiting.delete(session);
    if (sessions.length > 0) return;
    account.ends++;
    this.#byUser.delete(id);
    this.#left.set(id, account);
  }

  /** Their buckets are full again. False while something of theirs goes on: the next time. `ends`: the account's, since when nobody came. */
  forgetUser(userId: string, ends: number): boolean {
    const account = this.#left.get(userId);
    if (account?.ends !== ends) return true;
    if (account.pending.bytes > 0) return false;
    this.#left.delete(userId);
    return true;
  }

  rememberKicked(sid: string, secrets: readonly string[]): void {
    this.#kicked.set(sid, { secrets });
    if (this.#kicked.size > KICKED) this.#kicked.delete(this.#kicked.keys().next().value as string);
  }

  forgetKicked(sid: string): void {
    this.#kicked.delete(sid);
  }

  /** Whether this ticket's session was kicked while nobody could be told (RW-SES-10). */
  wasKicked(sid: string, secret: string): boolean {
    const record = this.#kicked.get(sid);
    return record !== undefined && opens(record, secret);
  }

  /** How many connections a user has. */
  connectedOf(userId: string): number {
    const account = this.#byUser.get(userId);
    return account === undefined ? 0 : account.sessions.length - account.waiting.size;
  }

  inTopic(topic: string): readonly ServerSession[] {
    return [...(this.#byTopic.get(topic)?.sessions ?? [])];
  }

  /** The epoch that was told to those who are in the topic, connected or not. */
  epochOf(topic: string): string | undefined {
    return this.#byTopic.get(topic)?.epoch;
  }

  entered(session: ServerSession, topic: string, epoch: string | undefined): void {
    let found = this.#byTopic.get(topic);
    if (found === undefined) this.#byTopic.set(topic, (found = { sessions: new Set(), epoch }));
    found.epoch ??= epoch;
    found.sessions.add(session);
  }

  left(session: ServerSession, topic: string): void {
    const found = this.#byTopic.get(topic);
    found?.sessions.delete(session);
    if (found?.sessions.size === 0) this.#byTopic.delete(topic);
  }
}
