/**
 * What a room hears of its members. Up to `limits.memberInline` of them each is named. Above it the
 * room is crowded: naming everyone to everyone would cost the square of their number, so all hear
 * only how many there are, at most twice a second; who wants names pages through them. The change
 * from one to the other is an event, and back it brings the whole list: to all of them, so it comes
 * only when the room has stayed small for a while.
 */
import type { Member } from '../protocol/rooms-contract.js';
import type { PluginHost, Timer, Transaction } from '../server/api.js';
import { everyone, shownMember, type PeopleWatcher } from './members.js';
import { findRoom, getRoom, roomTopic, setMemberCount, type RoomRecord } from './records.js';

/** Ms from a change to the count that tells it. */
const COUNT_MS = 500;
/** Of memberInline: it must have shrunk so far, and stayed so for so many ms, before names come back. */
const CALM = 0.8;
export const CALM_MS = 15_000;

export class Crowd implements PeopleWatcher {
  readonly #server: PluginHost;
  readonly #counting = new Map<string, Timer>();
  /** Crowded rooms that have shrunk: their names come back when this is over. */
  readonly #calming = new Map<string, Timer>();

  constructor(host: PluginHost) {
    this.#server = host;
  }

  /** At the start of the server: a crowded room that shrank before has the whole time anew. */
  restore(roomId: string, { memberCount, crowded }: Pick<RoomRecord, 'memberCount' | 'crowded'>): void {
    if (crowded && this.#isSmall(memberCount)) this.#calm(roomId);
  }

  /** The room is gone. */
  forget(tx: Transaction, roomId: string): void {
    tx.afterCommit(() => this.#stirs(roomId));
  }

  grown(tx: Transaction, roomId: string, member: Member): void {
    const { memberCount: before, crowded } = getRoom(tx, roomId);
    const memberCount = before + 1;
    const becomes = crowded || memberCount > this.#server.limits.memberInline;
    setMemberCount(tx, roomId, memberCount, becomes);
    if (crowded) {
      if (!this.#isSmall(memberCount)) tx.afterCommit(() => this.#stirs(roomId));
      return this.#count(tx, roomId);
    }
    if (!becomes) return tx.publish(roomTopic(roomId), 'member:joined', { roomId, member });
    tx.publish(roomTopic(roomId), 'member:mode', { roomId, memberCount, complete: false, members: [] });
  }

  shrunk(tx: Transaction, roomId: string, userId: string, reason: string): void {
    const { memberCount: before, crowded } = getRoom(tx, roomId);
    const memberCount = before - 1;
    setMemberCount(tx, roomId, memberCount, crowded);
    if (!crowded) return tx.publish(roomTopic(roomId), 'member:left', { roomId, userId, reason });
    if (this.#isSmall(memberCount)) tx.afterCommit(() => this.#calm(roomId));
    this.#count(tx, roomId);
  }

  #isSmall(memberCount: number): boolean {
    return memberCount <= this.#server.limits.memberInline * CALM;
  }

  #stirs(roomId: string): void {
    this.#calming.get(roomId)?.cancel();
    this.#calming.delete(roomId);
  }

  #calm(roomId: string): void {
    if (this.#calming.has(roomId)) return;
    const timer = this.#server.after(CALM_MS, () => {
      this.#calming.delete(roomId);
      this.#server
        .transact((tx) => this.#name(tx, roomId))
        .catch((error: unknown) => {
          this.#server.log.warn({ err: error, room: roomId }, 'the names of a room could not be told; trying again');
          this.#calm(roomId);
        });
    });
    this.#calming.set(roomId, timer);
  }

  /** Names everyone again. */
  #name(tx: Transaction, roomId: string): void {
    const room = findRoom(tx, roomId);
    if (room?.crowded !== true || !this.#isSmall(room.memberCount)) return;
    const { memberCount } = room;
    setMemberCount(tx, roomId, memberCount, false);
    // Or whoever comes next would be told the last count of the crowd.
    tx.volatile(roomTopic(roomId), 'member:count', '', undefined);
    const members = [...everyone(tx, room)].map(shownMember);
    tx.publish(roomTopic(roomId), 'member:mode', { roomId, memberCount, complete: true, members });
  }

  online(tx: Transaction, roomId: string, userId: string, online: number): void {
    if (!getRoom(tx, roomId).crowded) tx.publish(roomTopic(roomId), 'member:online', { roomId, userId, online });
  }

  #count(tx: Transaction, roomId: string): void {
    tx.afterCommit(() => {
      if (this.#counting.has(roomId)) return;
      const timer = this.#server.after(COUNT_MS, () => {
        this.#counting.delete(roomId);
        this.#server
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
