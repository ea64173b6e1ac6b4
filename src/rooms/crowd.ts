/**
 * What a room hears of its members. Up to `limits.memberInline` of them each is named. Above it the
 * room is crowded: naming everyone to everyone would cost the square of their number, so all hear
 * only how many there are, at most twice a second; who wants names pages through them. The change
 * from one to the other is an event, and back it brings the whole list. Used by membership.ts.
 */
import type { Member } from '../protocol/rooms-contract.js';
import type { PluginHost, Timer, Transaction } from '../server/api.js';
import { everyone, shownMember, type MemberNews } from './members.js';
import { findRoom, getRoom, roomTopic, setMemberCount } from './records.js';

/** Ms from a change to the count that tells it. */
const COUNT_MS = 500;
/** Of memberInline: it must have shrunk so far before names come back, or a room at the limit would flap. */
const CALM = 0.8;

export class Crowd implements MemberNews {
  readonly #host: PluginHost;
  readonly #counting = new Map<string, Timer>();

  constructor(host: PluginHost) {
    this.#host = host;
  }

  grown(tx: Transaction, roomId: string, member: Member): void {
    const { memberCount: before, crowded } = getRoom(tx, roomId);
    const memberCount = before + 1;
    const becomes = crowded || memberCount > this.#host.limits.memberInline;
    setMemberCount(tx, roomId, memberCount, becomes);
    if (crowded) return this.#count(tx, roomId);
    if (!becomes) return tx.publish(roomTopic(roomId), 'member:joined', { roomId, member });
    tx.publish(roomTopic(roomId), 'member:mode', { roomId, memberCount, complete: false, members: [] });
  }

  shrunk(tx: Transaction, roomId: string, userId: string, reason: string): void {
    const { memberCount: before, crowded } = getRoom(tx, roomId);
    const memberCount = before - 1;
    const stays = crowded && memberCount > this.#host.limits.memberInline * CALM;
    setMemberCount(tx, roomId, memberCount, stays);
    if (stays) return this.#count(tx, roomId);
    if (!crowded) return tx.publish(roomTopic(roomId), 'member:left', { roomId, userId, reason });
    // Or whoever comes next would be told the last count of the crowd.
    tx.volatile(roomTopic(roomId), 'member:count', '', undefined);
    const members = [...everyone(tx, roomId)].map(shownMember);
    tx.publish(roomTopic(roomId), 'member:mode', { roomId, memberCount, complete: true, members });
  }

  online(tx: Transaction, roomId: string, userId: string, online: number): void {
    if (!getRoom(tx, roomId).crowded) tx.publish(roomTopic(roomId), 'member:online', { roomId, userId, online });
  }

  #count(tx: Transaction, roomId: string): void {
    tx.afterCommit(() => {
      if (this.#counting.has(roomId)) return;
      const timer = this.#host.after(COUNT_MS, () => {
        this.#counting.delete(roomId);
        this.#host
          .transact((late) => {
            const room = findRoom(late, roomId);
            if (room?.crowded !== true) return;
            late.volatile(roomTopic(roomId), 'member:count', '', { roomId, memberCount: room.memberCount });
          })
          // The next change counts again.
          .catch(() => undefined);
      });
      this.#counting.set(roomId, timer);
    });
  }
}
