/**
 * Members: a member is a persisted record keyed by user, with the user's live sessions in it. It
 * begins with the first session's join and ends by leave, kick, deletion of the room, or `memberTtl`
 * after the last session ended. A second device is no second member (rule 7).
 */
import type { Member } from '../protocol/rooms-contract.js';
import type { Session, Transaction } from '../server/api.js';
import { returnQuota, takeQuota } from './quotas.js';
import type { RoomRecord } from './records.js';

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

/** So many are read at once. */
const FEW = 200;

const keyOf = (roomId: string, userId: string): string => `${roomId}\0${userId}`;
const orderKey = (roomId: string, order: number): string => `${roomId}\0${String(order).padStart(16, '0')}`;

export function findMember(tx: Transaction, roomId: string, userId: string): MemberRecord | undefined {
  return tx.read<MemberRecord>(MEMBERS, keyOf(roomId, userId));
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

/** The first `limit` in joining order. */
export function firstMembers(
  tx: Transaction,
  { metadata: { id: roomId }, memberCount }: RoomRecord,
  limit: number,
): MemberRecord[] {
  if (memberCount > limit) return page(tx, roomId, 0, limit);
  // So few that all are read at once and put in order.
  const members = tx.readList<MemberRecord>(MEMBERS, { prefix: `${roomId}\0`, limit });
  return members.map(([, member]) => member).sort((a, b) => a.order - b.order);
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

/** In joining order. The pages of many grow: who looks for the next host mostly needs the first. */
export function* everyone(tx: Transaction, room: RoomRecord): Generator<MemberRecord> {
  const roomId = room.metadata.id;
  if (room.memberCount <= FEW) return yield* firstMembers(tx, room, FEW);
  let after: string | undefined = orderKey(roomId, 0);
  for (let size = 10; after !== undefined; size = Math.min(size * 4, FEW)) {
    const { members, last } = pageFrom(tx, roomId, after, size);
    yield* members;
    after = last;
  }
}
