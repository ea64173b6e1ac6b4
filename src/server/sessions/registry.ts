/** All sessions of this server, by id, by user and, in `members`, by topic. */
import type { Limits } from '../../protocol/limits.js';
import { Budget, Share } from '../gate/budget.js';
import { Members } from './members.js';
import { goesOn, opens, type Account, type ServerSession, type SessionRecord } from './session.js';

/** Kicked sessions that are remembered; more, and the oldest are forgotten (rule 4). */
const KICKED = 10_000;

export class SessionRegistry {
  readonly #bySid = new Map<string, ServerSession>();
  readonly #byUser = new Map<string, Account>();
  readonly members = new Members<ServerSession>();
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
    // Most users have one session: a list that grew from nothing would have room for many.
    if (account.sessions.length === 0) account.sessions = [session];
    else account.sessions.push(session);
    session.account = account;
  }

  #newAccount(): Account {
    const [pending, values] = [new Share(this.#pending), new Share(this.#values)];
    return { sessions: [], waiting: undefined, pending, values, ends: 0, buckets: undefined };
  }

  get users(): number {
    return this.#byUser.size;
  }

  /** Sessions of a user, also those in their grace. */
  ofUser(userId: string): readonly ServerSession[] {
    return this.#byUser.get(userId)?.sessions ?? [];
  }

  remove(session: ServerSession): void {
    for (const topic of session.topics) session.leave(topic);
    session.ended = true;
    if (!this.#bySid.delete(session.sid)) return;
    const account = session.account as Account;
    const { sessions } = account;
    const { id } = session.user;
    sessions.splice(sessions.indexOf(session), 1);
    goesOn(session);
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
  wasKicked(sid: string, secretHash: string): boolean {
    const record = this.#kicked.get(sid);
    return record !== undefined && opens(record, secretHash);
  }

  /** How many connections a user has. */
  connectedOf(userId: string): number {
    const account = this.#byUser.get(userId);
    return account === undefined ? 0 : account.sessions.length - (account.waiting?.size ?? 0);
  }
}
