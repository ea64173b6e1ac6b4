/**
 * The life of sessions after WELCOME: takeover, the grace after a lost connection, expiry, new rights
 * and the end. Everything others can see happens in transactions, so an end takes its place among
 * the events like any other change. Who calls it: welcome.ts, dispatch.ts, the connections.
 */
import { closes, type CloseName } from '../../protocol/codes.js';
import { RoomwireError } from '../../protocol/errors.js';
import type { Log, Session, Transaction } from '../api.js';
import type { Arrivals } from '../gate/arrivals.js';
import type { Authenticator } from '../gate/auth.js';
import type { Hub } from '../hub/hub.js';
import { isProbe } from '../gate/own-key.js';
import { goesOn, ServerSession, waits, type SessionConnection, type SessionRecord } from './session.js';
import type { SessionRegistry } from './registry.js';
import { tooMany } from '../gate/rates.js';
import type { TokenCheck } from '../gate/token-check.js';
import type { Timer } from '../time/wheel.js';

const PAGE = 1_000;
/** Longer than any bucket of rates.ts takes to be full again. */
const SPENT_MS = 5_000;
/** Sessions that end by themselves at once: thousands whose edge was lost end in turns, and others' events pass between. */
const ENDING = 64;
/** What a second AUTH is told to wait for. */
const RENEW_MS = 100;

export interface SessionsOptions {
  readonly hub: Hub;
  readonly registry: SessionRegistry;
  readonly arrivals: Arrivals;
  readonly auth: Pick<Authenticator, 'msLeft'>;
  readonly tokens: TokenCheck;
  /** Sessions of one user without a connection; 0: any number. */
  readonly waitingPerUser: number;
  readonly log: Log;
  readonly after: (ms: number, fn: () => void) => Timer;
  /** For what a client has to do until then. */
  readonly afterAwake: (ms: number, fn: () => void) => Timer;
}

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #endHooks: ((tx: Transaction, session: Session) => void)[] = [];
  /** Ends under way. */
  #ending = 0;
  /** Whose grace is over, and whose turn has not come: the next is the last of these, … */
  #next: ServerSession[] = [];
  /** … then the first of those. */
  #over: ServerSession[] = [];

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  onEnd(hook: (tx: Transaction, session: Session) => void): void {
    this.#endHooks.push(hook);
  }

  /** Reads the sessions of an earlier run; each gets its grace anew. */
  async restore(): Promise<void> {
    const { hub, registry } = this.#options;
    for await (const [sid, record] of this.#pages<SessionRecord>('sessions')) {
      if (!isRecord(record)) throw new TypeError(`the session ${JSON.stringify(sid)} makes no sense`);
      const session = new ServerSession(registry.members, sid, record);
      registry.add(session);
      this.#startGrace(session);
    }
    let orphans: string[] = [];
    const forget = (): Promise<void> =>
      hub.transact((tx) => {
        for (const key of orphans) tx.delete('subscriptions', key);
      });
    for await (const [key, epoch] of this.#pages<unknown>('subscriptions')) {
      const end = key.indexOf('\0');
      const session = registry.get(key.slice(0, end));
      if (session !== undefined) session.enter(key.slice(end + 1), typeof epoch === 'string' ? epoch : undefined);
      else if (orphans.push(key) === PAGE) {
        await forget();
        orphans = [];
      }
    }
    if (orphans.length > 0) await forget();
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

  /** In the block of the commit's effects: from here on `connection` is the session's. */
  attach(session: ServerSession, connection: SessionConnection, record: SessionRecord): void {
    const { registry, hub, log } = this.#options;
    const isNew = registry.get(session.sid) === undefined;
    registry.add(session);
    session.record = record;
    if (!connection.open) {
      // It closed during the commit. A new session's secret was never told: nobody can come back to it.
      if (session.connection === undefined) this.#wait(session, isNew ? 0 : record.graceMs);
      return;
    }
    const earlier = session.connection;
    session.connection = undefined;
    if (earlier !== undefined) {
      earlier.close('taken_over');
      hub.fanOut.detach(earlier.outbox, session);
    }
    session.graceTimer?.cancel();
    goesOn(session);
    session.connection = connection;
    connection.welcomed(session);
    if (!isProbe(session)) hub.fanOut.counters.connected++;
    connection.confirmSecret = () => this.#confirm(session, connection, record.secrets[0] as string);
    this.#watchExpiry(session);
    const { address } = connection;
    log[levelOf(session)]({ user: session.user.id, sid: session.sid, address, resumed: !isNew }, 'connected');
  }

  /** The first frame after WELCOME shows that the new secret arrived: the old one is dead. */
  #confirm(session: ServerSession, connection: SessionConnection, newest: string): void {
    connection.confirmSecret = undefined;
    const { record } = session;
    // A later WELCOME may have rotated it again.
    if (record.secrets.length === 1 || record.secrets[0] !== newest) return;
    session.record = { ...record, secrets: [newest] };
    // In the store, too, or a restart would bring the old one back to life.
    this.#options.hub.perform(
      (tx) => {
        const stored = tx.get<SessionRecord>('sessions', session.sid);
        if (stored?.secrets[0] === newest) tx.set('sessions', session.sid, { ...stored, secrets: [newest] });
      },
      () => undefined,
      // Refused: it is dead in this process, and the next WELCOME writes the record anyway.
      () => undefined,
    );
  }

  /** A token that expires while connected ends the connection, not just the next connect (rule 9). */
  #watchExpiry(session: ServerSession): void {
    const { after, auth } = this.#options;
    const { expiresAt } = session.record;
    session.expiryTimer?.cancel();
    session.expiryTimer = undefined;
    if (expiresAt === null || session.connection === undefined) return;
    session.expiryTimer = after(auth.msLeft(expiresAt), () => session.connection?.close('token_expired'));
  }

  /** The connection is gone, however that came. */
  closed(connection: SessionConnection, code: number, reason: string): void {
    const { session } = connection;
    this.#options.hub.fanOut.detach(connection.outbox, session, endOf(session, code));
    const { address, messages, frames, bytes } = connection;
    const ms = Math.round(connection.age);
    this.#options.log[levelOf(session)](
      { user: session?.user.id, sid: session?.sid, address, ms, code, reason, messages, frames, bytes },
      'disconnected',
    );
    if (session === undefined || session.connection !== connection) return;
    session.connection = undefined;
    session.expiryTimer?.cancel();
    if (!session.ended) this.#wait(session, session.record.graceMs);
  }

  /** In its grace. Of too many of one user's the one that has waited longest ends: they cost memory, and nobody's connection. */
  #wait(session: ServerSession, ms: number): void {
    this.#startGrace(session, ms);
    const most = this.#options.waitingPerUser;
    const waiting = session.account?.waiting;
    if (most === 0 || waiting === undefined || waiting.size <= most) return;
    for (const longest of waiting) {
      // Not again by the next one, while its end is on its way.
      goesOn(longest);
      return void this.#endQuietly(longest);
    }
  }

  #startGrace(session: ServerSession, ms = session.record.graceMs): void {
    waits(session);
    session.graceTimer?.cancel();
    session.graceTimer = this.#options.afterAwake(ms, () => {
      session.graceTimer = undefined;
      if (session.connection === undefined) this.#endInTurn(session);
    });
  }

  /** BYE: ends the session now, without grace. */
  bye(connection: SessionConnection): void {
    const { session } = connection;
    connection.close('bye');
    if (session !== undefined) void this.#endQuietly(session);
  }

  #endInTurn(session: ServerSession): void {
    this.#over.push(session);
    if (this.#ending < ENDING) void this.#endNext();
  }

  /** Each is followed by the next, in the turn after its commit. */
  async #endNext(): Promise<void> {
    this.#ending++;
    while (this.#next.length + this.#over.length > 0) {
      if (this.#next.length === 0) [this.#next, this.#over] = [this.#over.reverse(), []];
      const session = this.#next.pop() as ServerSession;
      // Who came back meanwhile, and was cut again, has a grace of its own.
      if (session.graceTimer === undefined) await this.#endQuietly(session);
    }
    this.#ending--;
  }

  /** The server closes: those that wait for their end keep their grace for the next run. */
  stop(): void {
    this.#next = [];
    this.#over = [];
  }

  async #endQuietly(session: ServerSession): Promise<void> {
    try {
      await this.end(session);
    } catch (error) {
      // What it holds must not stay for ever. Try again after another grace.
      this.#options.log.warn({ err: error, sid: session.sid }, 'a session could not be ended; trying again');
      if (session.connection === undefined) this.#startGrace(session);
    }
  }

  /**
   * Ends a session: its topics, and what plugins hold for it, end in the same commit. Without `close`
   * only one that has no connection.
   */
  async end(session: ServerSession, close?: { readonly name: CloseName; readonly reason?: string }): Promise<void> {
    const { hub, registry } = this.#options;
    const ended = (): void => {
      registry.remove(session);
      if (session.kicked) this.#rememberKicked(session);
      const { user, account } = session;
      if (account?.sessions.length === 0) this.#forgetLater(user.id, account.ends);
      session.graceTimer?.cancel();
      session.expiryTimer?.cancel();
      const { connection } = session;
      session.connection = undefined;
      if (close !== undefined) connection?.close(close.name, close.reason);
    };
    await new Promise<void>((resolve, reject) => {
      hub.perform(
        (tx) => {
          if (tx.ended(session)) return;
          if (close === undefined && (session.connection?.open === true || resumedIn(tx, session))) return;
          for (const hook of this.#endHooks) hook(tx, session);
          tx.end(session);
          tx.delete('sessions', session.sid);
          tx.afterCommit(ended);
        },
        resolve,
        reject,
      );
    });
  }

  /** The timer holds the name alone: users come and go faster than it fires. */
  #forgetLater(userId: string, ends: number): void {
    const { registry, after } = this.#options;
    after(SPENT_MS, () => {
      if (!registry.forgetUser(userId, ends)) this.#forgetLater(userId, ends);
    });
  }

  /** A client whose connection was dead when it was kicked is told when it comes back; a restart forgets. */
  #rememberKicked({ sid, record }: ServerSession): void {
    const { registry, afterAwake } = this.#options;
    registry.rememberKicked(sid, record.secrets);
    afterAwake(record.graceMs, () => registry.forgetKicked(sid));
  }

  /** AUTH: new rights for the same user, in-band. */
  renew(
    connection: SessionConnection,
    session: ServerSession,
    token: string,
    done: (reply: { readonly expiresAt: number | null }) => void,
    failed: (error: unknown) => void,
  ): void {
    const { arrivals, hub } = this.#options;
    const { address } = connection;
    // One at a time: what waits for its check would come before others' HELLO.
    if (connection.renewing) throw tooMany(RENEW_MS, 'another AUTH is being checked');
    connection.renewing = true;
    this.#options.tokens
      .renewal(token, session.user.id)
      .finally(() => (connection.renewing = false))
      .then((identity) => {
        if (identity.user.id !== session.user.id) {
          throw new RoomwireError('forbidden', 'this token names another user');
        }
        return arrivals.admit(identity, { via: 'renew', sid: session.sid, address });
      })
      .then((identity) => {
        if (!connection.open) throw new RoomwireError('disconnected');
        hub.perform(
          (tx) => {
            if (tx.ended(session)) throw new RoomwireError('disconnected');
            // As this batch has it: another connection may be taking the session over.
            const stored = tx.get<SessionRecord>('sessions', session.sid) ?? session.record;
            const record = { ...stored, user: identity.user, expiresAt: identity.expiresAt };
            tx.set('sessions', session.sid, record);
            return record;
          },
          (record) => {
            session.record = record;
            this.#watchExpiry(session);
            done({ expiresAt: record.expiresAt });
          },
          failed,
        );
      })
      .catch(failed);
  }
}

/** What the store holds may be damaged. */
function isRecord(record: Partial<SessionRecord> | null): record is SessionRecord {
  const { user, instance, graceMs, expiresAt, secrets } = record ?? {};
  return (
    typeof user?.id === 'string' &&
    typeof user.name === 'string' &&
    typeof instance === 'string' &&
    typeof graceMs === 'number' &&
    (expiresAt === null || typeof expiresAt === 'number') &&
    Array.isArray(secrets) &&
    secrets.every((secret) => typeof secret === 'string')
  );
}

/** How a connection's subscriptions ended, for the question why an event did not arrive: no grace follows a kick or a BYE. */
function endOf(session: ServerSession | undefined, code: number): string {
  if (session?.kicked === true) return 'kicked';
  return code === closes.bye ? 'said goodbye' : 'disconnected';
}

/** The probe comes and goes as it is asked: nobody's business unless they look for it. */
function levelOf(session: ServerSession | undefined): 'debug' | 'info' {
  return isProbe(session) ? 'debug' : 'info';
}

/** Whether an earlier entry of the same batch resumes the session: it does so under a new secret. */
function resumedIn(tx: Transaction, session: ServerSession): boolean {
  const stored = tx.get<SessionRecord>('sessions', session.sid);
  return stored !== undefined && stored.secrets[0] !== session.record.secrets[0];
}
