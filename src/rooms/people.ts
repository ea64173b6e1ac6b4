/**
 * Memberships for other plugins: their true beginnings and ends, in the transaction that makes them. A
 * second device and a connection lost within its grace are neither. Between members.ts and crowd.ts.
 */
import type { Member } from '../protocol/rooms-contract.js';
import type { Transaction } from '../server/api.js';
import type { PeopleWatcher } from './members.js';

export interface MembershipChange {
  readonly kind: 'join' | 'leave';
  readonly roomId: string;
  readonly userId: string;
  /** At a join: the user's name. */
  readonly userName?: string;
  /** At a leave: `left`, `gone`, `kicked`, `deleted` (the room was), or the program's own. */
  readonly reason?: string;
}
export type MembershipHook = (tx: Transaction, change: MembershipChange) => void;
/** A room whose members or host changed, once all of the change is written. */
export type PeopleHook = (tx: Transaction, roomId: string) => void;

export class People implements PeopleWatcher {
  readonly #room: PeopleWatcher;
  readonly #hooks: MembershipHook[] = [];
  readonly #peopleHooks: PeopleHook[] = [];

  /** `room`: what tells the room itself. */
  constructor(room: PeopleWatcher) {
    this.#room = room;
  }

  add(hook: MembershipHook): void {
    this.#hooks.push(hook);
  }

  addPeople(hook: PeopleHook): void {
    this.#peopleHooks.push(hook);
  }

  /** Whoever changes members or host says so, once, when it is done. */
  changed(tx: Transaction, roomId: string): void {
    for (const hook of this.#peopleHooks) hook(tx, roomId);
  }

  grown(tx: Transaction, roomId: string, member: Member): void {
    this.#room.grown(tx, roomId, member);
    this.#tell(tx, { kind: 'join', roomId, userId: member.userId, userName: member.name });
  }

  shrunk(tx: Transaction, roomId: string, userId: string, reason: string): void {
    this.#room.shrunk(tx, roomId, userId, reason);
    this.ended(tx, roomId, userId, reason);
  }

  online(tx: Transaction, roomId: string, userId: string, online: number): void {
    this.#room.online(tx, roomId, userId, online);
  }

  /** A membership that ends without a word to the room, as with the room itself. */
  ended(tx: Transaction, roomId: string, userId: string, reason: string): void {
    this.#tell(tx, { kind: 'leave', roomId, userId, reason });
  }

  #tell(tx: Transaction, change: MembershipChange): void {
    for (const hook of this.#hooks) hook(tx, change);
  }
}
