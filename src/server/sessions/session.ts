/**
 * A session: who a client is, which topics it is in, and its one connection when it has one. It
 * outlives the connection by its grace, and the process by its document in the store. Memory changes
 * here happen in the effects of committed transactions only.
 */
import { timingSafeEqual } from 'node:crypto';
import { encode } from '../../protocol/codec.js';
import type { User } from '../api.js';
import type { CloseName } from '../../protocol/codes.js';
import type { RoomwireError } from '../../protocol/errors.js';
import type { Value } from '../../protocol/frames.js';
import type { Share } from '../gate/budget.js';
import type { Outbox } from '../hub/outbox.js';
import type { Subscriber } from '../hub/subscriber.js';
import { sha256Text } from '../gate/sha256.js';
import { randomText } from '../gate/random.js';
import type { Spender } from '../gate/rates.js';
import type { Members } from './members.js';
import type { Timer } from '../time/wheel.js';
import type { UpgradeInfo } from '../transport/transport.js';

/** Topics of a session whose end is remembered (rule 4); past it the oldest is forgotten. */
const REMOVALS = 100;

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
  /** The edge that carries it; undefined: this process. */
  readonly edge: string | undefined;
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
  return randomText(16);
}

export function newSecret(): string {
  return randomText(24);
}

/** What a secret is kept and compared as. */
export function hashSecret(secret: string): string {
  return sha256Text(secret);
}

/** Whether the secret with this hash is one of the record's; in constant time. */
export function opens({ secrets }: Pick<SessionRecord, 'secrets'>, hash: string): boolean {
  const presented = Buffer.from(hash);
  return secrets.some((known) => {
    const stored = Buffer.from(known);
    return stored.length === presented.length && timingSafeEqual(stored, presented);
  });
}

/** What the sessions of one user share. */
export interface Account extends Spender {
  sessions: ServerSession[];
  /** Those without a connection, the longest waiting first; undefined while there are none. */
  waiting: Set<ServerSession> | undefined;
  /** What their calls and publishes under way hold. */
  readonly pending: Share;
  /** What their volatile values hold. */
  readonly values: Share;
  /** How often their last session has ended. */
  ends: number;
}

const NONE: ReadonlySet<string> = new Set();

export class ServerSession implements Subscriber, Spender {
  readonly sid: string;
  buckets: number[] | undefined;
  #topics: ReadonlySet<string> = NONE;
  /** Why it is no longer in a topic that it did not leave itself: it may not have heard, and asks for it at a resume. */
  removals: Map<string, number> | undefined;
  readonly #members: Members<ServerSession>;
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

  constructor(members: Members<ServerSession>, sid: string, record: SessionRecord) {
    this.#members = members;
    this.sid = sid;
    this.record = record;
  }

  /** The sid as MessagePack, for the items it publishes. */
  get sidBytes(): Uint8Array {
    return (this.#sidBytes ??= encode(this.sid));
  }

  /** The truth of its membership; changed through `enter` and `leave` alone. */
  get topics(): ReadonlySet<string> {
    return this.#topics;
  }

  get user(): User {
    return this.record.user;
  }

  get connected(): boolean {
    return this.connection !== undefined;
  }

  /** `epoch`: the topic's, where it is known. */
  enter(topic: string, epoch: string | undefined): void {
    this.removals?.delete(topic);
    this.#members.entered(this, topic, epoch);
    // A set of one may be shared; of more it is the session's own.
    if (this.#topics.size === 0) this.#topics = this.#members.alone(topic);
    else if (this.#topics.size > 1) (this.#topics as Set<string>).add(topic);
    else if (!this.#topics.has(topic)) this.#topics = new Set([...this.#topics, topic]);
  }

  /** `code`: why, where it is not its own doing. False when it was not there. */
  leave(topic: string, code = 0): boolean {
    if (!this.#topics.has(topic)) return false;
    if (this.#topics.size === 1) this.#topics = NONE;
    else (this.#topics as Set<string>).delete(topic);
    this.#members.left(this, topic);
    if (code !== 0) this.#noteRemoval(topic, code);
    return true;
  }

  #noteRemoval(topic: string, code: number): void {
    const removals = (this.removals ??= new Map<string, number>());
    removals.set(topic, code);
    if (removals.size > REMOVALS) removals.delete(removals.keys().next().value as string);
  }
}

/** It has lost its connection. */
export function waits(session: ServerSession): void {
  const { account } = session;
  if (account !== undefined) (account.waiting ??= new Set()).add(session);
}

/** It has a connection again, or ends. */
export function goesOn(session: ServerSession): void {
  const { account } = session;
  account?.waiting?.delete(session);
  if (account?.waiting?.size === 0) account.waiting = undefined;
}
