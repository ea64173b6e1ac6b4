/**
 * The presenter: one session of the room, as long as its grace lasts. Part of the metadata
 * (`presenterSid`), so every change is a `room:update`; `presenter:update` names the user too.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { Session, Transaction } from '../server/api.js';
import { end, grant, holderOf, type Owner, type Holding } from './holder.js';
import { roomTopic, updateRoom } from './records.js';

const presenterOf = (roomId: string): Holding => ({ roomId, kind: 'presenter' });

export class Presenters {
  /** Session by room as of the last commit, so that a policy asked for each event needs no transaction. */
  readonly #current = new Map<string, string>();

  current(roomId: string): string | null {
    return this.#current.get(roomId) ?? null;
  }

  get count(): number {
    return this.#current.size;
  }

  /** At the start of the server, and when a room is deleted. */
  note(roomId: string, sid: string | null): void {
    if (sid === null) this.#current.delete(roomId);
    else this.#current.set(roomId, sid);
  }

  of(tx: Transaction, roomId: string): Owner | null {
    const held = holderOf(tx, presenterOf(roomId));
    return held === undefined ? null : { userId: held.userId, userName: held.userName, sid: held.sid };
  }

  /** Throws lock_held, naming the presenter. Taking what one has is no change. */
  take(tx: Transaction, roomId: string, { sid, user }: Session): { presenterSid: string } {
    if (this.of(tx, roomId)?.sid !== sid) {
      grant(tx, presenterOf(roomId), { userId: user.id, userName: user.name, sid });
      this.#tell(tx, roomId, sid);
    }
    return { presenterSid: sid };
  }

  /** Throws not_holder. */
  release(tx: Transaction, roomId: string, sid: string): { presenterSid: null } {
    this.#check(tx, roomId, sid);
    end(tx, presenterOf(roomId));
    this.#tell(tx, roomId, null);
    return { presenterSid: null };
  }

  /** Hands over in one step: there is no moment without a presenter. Throws not_holder. */
  give(tx: Transaction, roomId: string, sid: string, to: Session): { presenterSid: string } {
    this.#check(tx, roomId, sid);
    end(tx, presenterOf(roomId));
    return this.take(tx, roomId, to);
  }

  /** The session left or ended. */
  drop(tx: Transaction, roomId: string, sid: string): void {
    if (this.of(tx, roomId)?.sid === sid) this.release(tx, roomId, sid);
  }

  #check(tx: Transaction, roomId: string, sid: string): void {
    if (this.of(tx, roomId)?.sid !== sid) throw new RoomwireError('not_holder', 'you are not the presenter');
  }

  #tell(tx: Transaction, roomId: string, presenterSid: string | null): void {
    tx.publish(roomTopic(roomId), 'presenter:update', { roomId, presenter: this.of(tx, roomId) });
    updateRoom(tx, roomId, { presenterSid });
    tx.afterCommit(() => this.note(roomId, presenterSid));
  }
}
