/**
 * The host: always someone while there are members. The first to join is host; when the host's
 * membership ends it moves on in joining order, to those who are online before those who are not.
 */
import type { Transaction } from '../server/api.js';
import { end, grant, holderOf, type Holding } from './holder.js';
import { everyone, type MemberRecord } from './members.js';
import { getRoom, roomTopic } from './records.js';

const hostOf = (roomId: string): Holding => ({ roomId, kind: 'host' });

export function host(tx: Transaction, roomId: string): { userId: string; userName: string } | null {
  const held = holderOf(tx, hostOf(roomId));
  return held === undefined ? null : { userId: held.userId, userName: held.userName };
}

/** Makes the member host and tells the room. False when they are it already. */
export function giveHost(tx: Transaction, roomId: string, member: MemberRecord): boolean {
  const holding = hostOf(roomId);
  if (holderOf(tx, holding)?.userId === member.userId) return false;
  end(tx, holding);
  grant(tx, holding, { userId: member.userId, userName: member.name, sid: null });
  tellHost(tx, roomId);
  return true;
}

/** For a member who came: host, when there is none. */
export function hostIfNone(tx: Transaction, roomId: string, member: MemberRecord): boolean {
  return host(tx, roomId) === null && giveHost(tx, roomId, member);
}

/**
 * The host `userId` is gone, or not online: it moves on. `onlineOnly`: stay rather than move to
 * someone who is not there either. False when the host stays.
 */
export function moveHost(tx: Transaction, roomId: string, userId: string, onlineOnly = false): boolean {
  if (host(tx, roomId)?.userId !== userId) return false;
  let next: MemberRecord | undefined;
  for (const member of everyone(tx, getRoom(tx, roomId))) {
    if (member.userId === userId) continue;
    if (member.sids.length > 0) {
      next = member;
      break;
    }
    next ??= member;
  }
  if (onlineOnly && !(next !== undefined && next.sids.length > 0)) return false;
  if (next !== undefined) return giveHost(tx, roomId, next);
  end(tx, hostOf(roomId));
  tellHost(tx, roomId);
  return true;
}

function tellHost(tx: Transaction, roomId: string): void {
  tx.publish(roomTopic(roomId), 'host:update', { roomId, host: host(tx, roomId) });
}
