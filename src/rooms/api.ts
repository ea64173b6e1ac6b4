/** What the rooms plugin gives programs and HTTP, as `server.plugins.rooms` and in every handler's context. */
import type { JoinReply } from '../protocol/rooms-model.js';
import type { WatchedLock } from '../protocol/http-answers.js';
import type * as v from 'valibot';
import type { Position } from '../protocol/frames.js';
import type { Lease, LockInfo, Member, RoomFields } from '../protocol/rooms-contract.js';
import type { Session, Transaction } from '../server/api.js';
import type { Access } from './access.js';
import type { RoomDocs } from './docs.js';
import type { Asker } from './holder.js';
import type { HeldLock, LockRequest } from './lock.js';
import type { MembershipHook, PeopleHook } from './people.js';
import type { Membership, MembershipOptions } from './membership.js';
import type { Metadata, MetadataChanges } from './records.js';
import type { RoomPolicy } from './policies.js';

export interface RoomsOptions extends Partial<MembershipOptions> {
  /** The application's own metadata fields, as given to `roomsContract`: HTTP checks changes with them. */
  readonly metadata?: v.ObjectEntries;
  /** Their values in a new room. */
  readonly defaults?: Readonly<Record<string, unknown>>;
  /** Fields that the program alone sets, such as a `frameCount` it derives from what it stores; others are refused. */
  readonly derived?: readonly string[];
  /** Who may do what; see `defaultAccess`. */
  readonly access?: Access;
}

/** What a write carries: the version it builds on, the lock it is made under. */
export interface WriteConditions {
  /** One of these, where it is a list. */
  readonly ifVersion?: number | readonly number[] | undefined;
  /** Which lock guards what is written (default trajectory:meta), and its token; without one nobody may hold it. */
  readonly lock?: { readonly target?: string | undefined; readonly token?: number | undefined } | undefined;
}

export interface RoomPage {
  readonly rooms: readonly Metadata[];
  /** Where the next page begins; null: this was the last. */
  readonly next: string | null;
  readonly positions: Readonly<Record<string, Position>>;
}

export interface ListQuery {
  readonly after?: string | undefined;
  /** Default 100, at most 1,000. */
  readonly limit?: number | undefined;
  /** Rooms of this group instead of the public ones. */
  readonly group?: string | undefined;
  /** With those hidden rooms that the asker may show again. */
  readonly hidden?: boolean | undefined;
  /** Part of the id or description, whatever its case. */
  readonly search?: string | undefined;
}

export type RoomSnapshot = ReturnType<Membership['snapshot']> & {
  /** Nobody is in it, nothing is held, and nothing was told since its version: it is as that left it. */
  readonly untouched: boolean;
};

/** A room inside a transaction. */
export interface OpenRoom {
  readonly tx: Transaction;
  readonly metadata: Metadata;
  /** What the program keeps of it: gone with the room. */
  readonly docs: RoomDocs;
}
export interface WritableRoom extends OpenRoom {
  /** Changes the metadata, told as `room:update` where it is a real change. */
  readonly change: (changes: MetadataChanges) => Metadata;
  /** To all in the room, from the server. */
  readonly publish: (event: string, data: unknown) => void;
}

/** Rooms inside a transaction, such as that of an atomic handler: with its other effects or not at all. */
export interface RoomsWithin {
  /** As `join:room`. Throws room_not_found, forbidden, limit_reached. */
  join(
    session: Session,
    roomId: string,
    options?: { readonly create?: boolean | RoomFields | undefined },
  ): JoinReply<Metadata>;
  /** As `leave:room`; leaving a room one is not in is no change. */
  leave(session: Session, roomId: string): void;
  /** As the transaction has left it so far; undefined when there is no such room. */
  read(roomId: string): ReturnType<Membership['snapshot']> | undefined;
  isMember(roomId: string, userId: string): boolean;
  /** Ends a membership on all the user's devices. False when there was none. */
  remove(roomId: string, userId: string, reason?: string): boolean;
  /** The room, for a session that is in it. Throws not_member. */
  inside(session: Session, roomId: string): WritableRoom;
  /** The rooms a session is in. */
  roomsOf(session: Session): string[];
}

export interface RoomsApi {
  within(tx: Transaction): RoomsWithin;
  /** undefined: there is none, or the asker may not see it. */
  get(roomId: string, asker?: Asker): Promise<Metadata | undefined>;
  /** A page by id: fewer than `limit` when few of the rooms it looked at fit. Positions are of before the first was read. Rejects with too_many. */
  list(query?: ListQuery, asker?: Asker): Promise<RoomPage>;
  snapshot(roomId: string, asker?: Asker): Promise<RoomSnapshot>;
  create(roomId: string, fields?: RoomFields, asker?: Asker): Promise<Metadata>;
  update(roomId: string, changes: MetadataChanges, conditions?: WriteConditions, asker?: Asker): Promise<Metadata>;
  /** Reads what the program keeps of a room, in one transaction. Rejects with room_not_found, also for who may not see it. */
  read<T>(roomId: string, work: (room: OpenRoom) => T, asker?: Asker): Promise<T>;
  /**
   * Writes what the program keeps of a room, allowed and refused as `update` is: access to `edit`, the version, the lock, the
   * permanent lock. `work` runs in the transaction that decides it.
   */
  write<T>(roomId: string, work: (room: WritableRoom) => T, conditions?: WriteConditions, asker?: Asker): Promise<T>;
  delete(roomId: string, conditions?: WriteConditions, asker?: Asker): Promise<void>;
  /** null: none, or one that the asker may not see. */
  defaultRoom(asker?: Asker): Promise<string | null>;
  setDefault(roomId: string | null, asker?: Asker): Promise<void>;
  members(
    roomId: string,
    after?: number,
    asker?: Asker,
  ): Promise<{ members: Member[]; memberCount: number; next: string | null; positions: Record<string, Position> }>;
  /** Rejects with not_member. */
  requireMember(session: Session, roomId: string): Promise<void>;
  isMember(roomId: string, userId: string): Promise<boolean>;
  isHost(roomId: string, userId: string): Promise<boolean>;
  kick(roomId: string, userId: string, asker?: Asker): Promise<boolean>;
  /** Session id of a room's presenter, as of the last commit. */
  presenterOf(roomId: string): string | null;
  /** How many locks are held, rooms have a presenter, and calls wait in line for a lock; for metrics. */
  holders(): { readonly lock: number; readonly presenter: number; readonly waiting: number };
  locks: {
    list(roomId: string, asker?: Asker): Promise<LockInfo[]>;
    /** Of all rooms, the one held longest first; at most `limit`. `now`: store time, ms. */
    watch(limit: number): Promise<{ readonly now: number; readonly locks: readonly WatchedLock[] }>;
    acquire(request: LockRequest, asker?: Asker): Promise<Lease>;
    refresh(request: HeldLock & LockRequest, asker?: Asker): Promise<Lease>;
    release(request: HeldLock, asker?: Asker): Promise<{ target: string; released: true }>;
    /** Whatever its token. False when nobody held it. */
    forceRelease(roomId: string, target?: string, asker?: Asker): Promise<boolean>;
  };
  /** Runs in the transaction in which a membership begins or ends; it writes only through that. */
  onMembership(hook: MembershipHook): void;
  /**
   * Runs in every transaction that changes who is a member of a room or who is its host, once for each change and
   * when it is complete. A reconnect or a second device is none. A room that is deleted is told too, and reads as undefined.
   */
  onPeople(hook: PeopleHook): void;
  /** Policies of another plugin, asked before the options' `access`. Throws a TypeError the second time. */
  setPolicy(policy: RoomPolicy): void;
  readonly options: RoomsOptions;
}
