/**
 * Members: a member is a persisted record keyed by user, with the user's live sessions in it. It
 * begins with the first session's join and ends by leave, kick, deletion of the room, or `memberTtl`
 * after the last session ended. A second device is no second member (rule 7).
 */
import type { Member } from '../protocol/rooms-contract.js';
import type { Session, Transaction } from '../server/api.js';
import { returnQuota, takeQuota } from './quotas.js';

export interface MemberRecord {
  readonly userId: string;
  readonly name: string;
  /** From the store's counter: joining order. */
  readonly order: number;
  readonly sids: readonly string[];
}

/** Tells the room what becomes of its members (crowd.ts), and counts them. */
export interface PeopleWatcher {
  /** One member more, whose record is written. */
  grown(tx: Transaction, roomId: string, member: Member): void;
  /** One member less, whose record is gone. */
  shrunk(tx: Transaction, roomId: string, userId: string, reason: string): void;
  /** Another device of a member came or went. */
  online(tx: Transaction, roomId: string, userId: string, online: number): void;
}

const MEMBERS = 'members';
/** `room\0order` → user id: joining order without reading everyone. */
const ORDER = 'members-order';

const keyOf = (roomId: string, userId: string): string => `${roomId}\0${userId}`;
const orderKey = (roomId: string, order: number): string => `${roomId}\0${String(order).padStart(16, '0')}`;

export function findMember(tx: Transaction, roomId: string, userId: string): MemberRecord | undefined {
  return tx.get<MemberRecord>(MEMBERS, keyOf(roomId, userId));
}

export function shownMember({ userId, name, order, sids }: MemberRecord): Member {
  return { userId, name, order, online: sids.length };
}

/** Puts a session of a user in the room. Told to the others when it is a real change. Throws limit_reached. */
export function enter(
  tx: Transaction,
  people: PeopleWatcher,
  { roomId, session, most }: { readonly roomId: string; readonly session: Session; readonly most: number },
): MemberRecord {
  const { user, sid } = session;
  const before = findMember(tx, roomId, user.id);
  if (before?.sids.includes(sid) === true) return before;
  if (before !== undefined) return setSids(tx, people, roomId, before, [...before.sids, sid]);
  takeQuota(tx, 'in', user.id, most);
  const member = { userId: user.id, name: user.name, order: tx.nextVersion(), sids: [sid] };
  tx.set(MEMBERS, keyOf(roomId, user.id), member);
  tx.set(ORDER, orderKey(roomId, member.order), user.id);
  people.grown(tx, roomId, shownMember(member));
  return member;
}

/** Sets the sessions of a member that stays. */
export function setSids(
  tx: Transaction,
  people: PeopleWatcher,
  roomId: string,
  member: MemberRecord,
  sids: readonly string[],
): MemberRecord {
  const changed = { ...member, sids };
  tx.set(MEMBERS, keyOf(roomId, member.userId), changed);
  people.online(tx, roomId, member.userId, sids.length);
  return changed;
}

/** Ends a membership. */
export function remove(
  tx: Transaction,
  people: PeopleWatcher,
  roomId: string,
  member: MemberRecord,
  reason: string,
): void {
  erase(tx, roomId, member);
  people.shrunk(tx, roomId, member.userId, reason);
}

/** Without a word: the room itself is going. */
export function erase(tx: Transaction, roomId: string, { userId, order }: MemberRecord): void {
  tx.delete(MEMBERS, keyOf(roomId, userId));
  tx.delete(ORDER, orderKey(roomId, order));
  returnQuota(tx, 'in', userId);
}

/** Members in joining order; `after` is the order of the last one seen. */
export function page(tx: Transaction, roomId: string, after: number, limit: number): MemberRecord[] {
  return pageFrom(tx, roomId, orderKey(roomId, after), limit).members;
}

/** The order is the key's, whatever else a record says: whoever goes on after the last one comes forward. */
function pageFrom(
  tx: Transaction,
  roomId: string,
  after: string,
  limit: number,
): { members: MemberRecord[]; last: string | undefined } {
  const prefix = `${roomId}\0`;
  const rows = tx.list<string>(ORDER, { prefix, after, limit });
  const members = rows.flatMap(([key, userId]) => {
    const member = findMember(tx, roomId, userId);
    return member === undefined ? [] : { ...member, order: Number(key.slice(prefix.length)) };
  });
  return { members, last: rows.length < limit ? undefined : rows.at(-1)?.[0] };
}

export function* everyone(tx: Transaction, roomId: string): Generator<MemberRecord> {
  for (let after: string | undefined = orderKey(roomId, 0); after !== undefined;) {
    const { members, last } = pageFrom(tx, roomId, after, 200);
    yield* members;
    after = last;
  }
}
