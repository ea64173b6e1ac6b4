/**
 * A holder: a named holding in a room that one session or HTTP client holds, with a fencing token that
 * ever grows (rule 6). Lock, presenter and host are this one state machine with three policies:
 * lock.ts (a lease), presenter.ts (ends with the session), host.ts (always someone).
 */
import { RoomwireError } from '../protocol/errors.js';
import type { HttpCaller, Transaction } from '../server/api.js';
import { rows } from './rows.js';

export interface Owner {
  readonly userId: string;
  readonly userName: string;
  /** null: held over HTTP, or by a user as such (host). */
  readonly sid: string | null;
  /** Of what an API key or the program holds, whose `userId` may be a user's too. */
  readonly holder?: string;
}

/** Who shows a token: a session, who asks over HTTP, or (undefined) the program. */
export type Bearer = { readonly sid: string } | Asker;
/** Who asks over HTTP or in the program; undefined: the program itself, which may do everything. */
export type Asker = HttpCaller | undefined;

const PROGRAM: Owner = { userId: 'server', userName: 'server', sid: null, holder: 'program' };

/** Throws unauthenticated for a request that showed no credentials: what it may know or do is the program's to say. */
export function requireSomebody(asker: Asker): void {
  if (asker?.kind === 'nobody') throw new RoomwireError('unauthenticated', 'this takes credentials');
}

/** As whom they hold what they take over HTTP, or in the program. */
export function ownerOf(asker: Asker): Owner {
  if (asker === undefined) return PROGRAM;
  const { kind, user, holder = 'key' } = asker;
  const owner = { userId: user.id, userName: user.name, sid: null };
  return kind === 'key' ? { ...owner, holder } : owner;
}

export interface Held extends Owner {
  /** From the store's one counter: unique and growing, also across restarts. */
  readonly token: number;
  /** Store time in ms. */
  readonly since: number;
  /** Store time in ms when the lease ends; null: no lease. */
  readonly expiresAt: number | null;
  /** Ms of the lease as last asked for. */
  readonly ttl: number | null;
  readonly msg: string | null;
}

const HOLDERS = 'holders';

/** What is held: the room, the kind, and for locks the target. */
export interface Holding {
  readonly roomId: string;
  readonly kind: 'lock' | 'presenter' | 'host';
  readonly target?: string;
}

export function keyOf({ roomId, kind, target = '' }: Holding): string {
  return `${roomId}\0${kind}\0${target}`;
}

export function holdingOf(key: string): Holding {
  const [roomId = '', kind = 'lock', ...target] = key.split('\0');
  return { roomId, kind: kind as Holding['kind'], target: target.join('\0') };
}

/** Who holds it now; an ended lease is nobody's, whether or not its timer has come. */
export function holderOf(tx: Transaction, holding: Holding): Held | undefined {
  const held = tx.read<Held>(HOLDERS, keyOf(holding));
  return held !== undefined && held.expiresAt !== null && held.expiresAt <= tx.now ? undefined : held;
}

/** As stored, an ended lease included: for the timer that ends it. */
export function recordOf(tx: Transaction, holding: Holding): Held | undefined {
  return tx.read<Held>(HOLDERS, keyOf(holding));
}

/** Grants it under a new token. Throws lock_held, naming the holder, when somebody has it. */
export function grant(
  tx: Transaction,
  holding: Holding,
  owner: Owner,
  { ttl = null, msg = null }: { readonly ttl?: number | null; readonly msg?: string | null } = {},
): Held {
  const current = holderOf(tx, holding);
  if (current !== undefined) throw refusal(tx, holding, current);
  return write(tx, holding, {
    userId: owner.userId,
    userName: owner.userName,
    sid: owner.sid,
    ...(owner.holder === undefined ? {} : { holder: owner.holder }),
    token: tx.nextVersion(),
    since: tx.now,
    expiresAt: ttl === null ? null : tx.now + ttl,
    ttl,
    msg,
  });
}

/**
 * The holder, when `token` is the current one and `bearer` the one who holds it. Throws lock_lost for an old token: the
 * fence that keeps a late holder out; and not_holder: a token orders, it is no secret.
 */
export function check(tx: Transaction, holding: Holding, token: number, bearer: Bearer): Held {
  const current = holderOf(tx, holding);
  if (current?.token !== token) {
    throw new RoomwireError('lock_lost', undefined, {
      details: {
        target: holding.target ?? holding.kind,
        holder: current === undefined ? null : { ...shown(current, tx.now) },
      },
    });
  }
  if (!holds(current, bearer)) throw new RoomwireError('not_holder', `it is ${current.userName} who holds this lock`);
  return current;
}

/** Over HTTP no session shows itself: its user may write under what it holds, and so may a backend that acts for one. */
function holds({ userId, sid, holder }: Held, bearer: Bearer): boolean {
  if (bearer === undefined) return true;
  if ('sid' in bearer) return bearer.sid === sid;
  switch (bearer.kind) {
    case 'guest':
      // A developer's own machine, where guests may do everything and each request is another one.
      return true;
    case 'key':
      return holder === undefined || holder === ownerOf(bearer).holder;
    case 'user':
      return holder === undefined && userId === bearer.user.id;
    case 'nobody':
      return false;
  }
}

/** A new lease, or another message, for what is held. */
export function renew(
  tx: Transaction,
  holding: Holding,
  held: Held,
  { ttl, msg }: { readonly ttl?: number | undefined; readonly msg?: string | null | undefined },
): Held {
  return write(tx, holding, {
    ...held,
    expiresAt: ttl === undefined ? held.expiresAt : tx.now + ttl,
    ttl: ttl ?? held.ttl,
    msg: msg === undefined ? held.msg : msg,
  });
}

export function end(tx: Transaction, holding: Holding): void {
  tx.delete(HOLDERS, keyOf(holding));
}

/** Everything held in a room, or of one kind there; ended leases included. */
export function heldIn(tx: Transaction, roomId: string, kind?: Holding['kind']): [Holding, Held][] {
  const prefix = kind === undefined ? `${roomId}\0` : `${roomId}\0${kind}\0`;
  return Array.from(rows<Held>(tx, HOLDERS, prefix), ([key, held]) => [holdingOf(key), held]);
}

/** A page of everything held, for the start of the server. */
export function allHeld(tx: Transaction, after: string, limit: number): [string, Holding, Held][] {
  return tx.list<Held>(HOLDERS, { after, limit }).map(([key, held]) => [key, holdingOf(key), held]);
}

function write(tx: Transaction, holding: Holding, held: Held): Held {
  tx.set(HOLDERS, keyOf(holding), held);
  return held;
}

/** lock_held, naming the holder. */
export function refusal(tx: Transaction, holding: Holding, current: Held): RoomwireError {
  const left = current.expiresAt === null ? '' : ` for ${Math.ceil((current.expiresAt - tx.now) / 1000)} s more`;
  const msg = current.msg === null ? '' : `: ${current.msg}`;
  return new RoomwireError(
    'lock_held',
    `${holding.target || holding.kind} is held by ${current.userName}${left}${msg}`,
    {
      details: { target: holding.target || holding.kind, ...shown(current, tx.now) },
    },
  );
}

/** What others may see of a holder: never the token. */
export function shown({ userId, userName, sid, msg, expiresAt }: Held, now: number) {
  return { userId, userName, sid, msg, expiresInMs: expiresAt === null ? null : Math.max(0, expiresAt - now) };
}
