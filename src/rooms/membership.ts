/**
 * Joining and leaving: one transaction each, so that the reply, the membership, the subscription and
 * what the others see are one moment of the log. `join:room` answers everything in one reply:
 * metadata, members, holders and the position from which events follow.
 */
import type { ErrorName } from '../protocol/codes.js';
import { RoomwireError } from '../protocol/errors.js';
import type { RoomFields } from '../protocol/rooms-contract.js';
import type { JoinReply } from '../protocol/rooms-model.js';
import type { PluginHost, Session, Timer, Transaction, User } from '../server/api.js';
import { groupsOf, require } from './access.js';
import { host, hostIfNone, moveHost } from './host.js';
import type { Locks } from './lock.js';
import type { People } from './people.js';
import {
  enter,
  erase,
  everyone,
  findMember,
  firstMembers,
  remove,
  setSids,
  shownMember,
  type MemberRecord,
} from './members.js';
import type { Presenters } from './presenter.js';
import { createRoom, findRoom, getRoom, overviewTopic, roomTopic, type Metadata } from './records.js';
import { noRoom } from './refusals.js';
import type { Policies, ConsultedActions } from './policies.js';

export interface MembershipOptions {
  /**
   * Whether joining a room leaves the others. Default `many`: it does not. `one`: it leaves those this session is in;
   * `one-per-user`: those the user is in, on whatever device, also one that sleeps.
   */
  readonly membership: 'one' | 'one-per-user' | 'many';
  /** Whether joining a room leaves the overviews. Default true. */
  readonly leaveOverview: boolean;
  /** Ms a member stays after the last of the user's sessions ended. Default 0. */
  readonly memberTtl: number;
  /** Ms until the host moves on when the host's sessions ended but the member stays. Default 0. */
  readonly hostGrace: number;
  readonly defaults: Readonly<Record<string, unknown>>;
}

/** With `one-per-user`: user id → the room they are in. */
const ROOM_OF = 'members-room';
/** Members in the join reply of a room too large to name them all: each of thousands of joins has to look them up. */
const CROWD_PAGE = 50;

export class Membership {
  readonly #server: PluginHost;
  readonly #locks: Locks;
  readonly #presenters: Presenters;
  readonly #policies: Policies;
  readonly #options: MembershipOptions;
  readonly #people: People;
  /** By room and user who has no session: what will end. */
  readonly #awaited = new Map<string, Timer[]>();

  constructor(
    pluginHost: PluginHost,
    parts: {
      readonly locks: Locks;
      readonly presenters: Presenters;
      readonly policies: Policies;
      readonly people: People;
    },
    options: MembershipOptions,
  ) {
    this.#server = pluginHost;
    this.#locks = parts.locks;
    this.#presenters = parts.presenters;
    this.#policies = parts.policies;
    this.#people = parts.people;
    this.#options = options;
  }

  joinOverview(tx: Transaction, session: Session, group: string | undefined) {
    if (group !== undefined && group !== 'public' && !groupsOf(session.user).includes(group)) {
      throw new RoomwireError('forbidden', `you are not in the group '${group}'`);
    }
    const topic = overviewTopic(group);
    tx.subscribe(session, topic);
    return { status: 'joined' as const, room: topic, positions: { [topic]: tx.position(topic) } };
  }

  leaveOverview(tx: Transaction, session: Session, group: string | undefined) {
    const topic = overviewTopic(group);
    if (tx.topics(session).includes(topic)) tx.unsubscribe(session, topic);
    return { status: 'left' as const, room: topic };
  }

  join(
    tx: Transaction,
    session: Session,
    { roomId, create }: { readonly roomId: string; readonly create?: boolean | RoomFields | undefined },
    consulted: ConsultedActions,
  ): JoinReply<Metadata> {
    const { membership, leaveOverview } = this.#options;
    const { access } = this.#policies;
    const { user } = session;
    const { roomsPerUser, roomMembers } = this.#server.limits;
    const found = findRoom(tx, roomId);
    const isMember = findMember(tx, roomId, user.id) !== undefined;
    const isHost = isMember && host(tx, roomId)?.userId === user.id;
    const question = { user, roomId, room: found?.metadata, isMember, isHost, caller: undefined };
    const isWanted = create !== undefined && create !== false;
    let created = false;
    // One that the user may not see is none to join.
    if (found !== undefined && (!isWanted || access({ ...question, action: 'see' }))) {
      require(access, { ...question, action: 'join', consulted: consulted.join });
      if (!isMember && found.memberCount >= roomMembers) {
        throw new RoomwireError('limit_reached', `the room has ${roomMembers} members, which is the most`);
      }
    } else if (isWanted) {
      this.#policies.askMaker(user, roomId, consulted);
      this.#make(tx, { roomId, user, fields: create === true ? {} : create });
      created = true;
    } else throw noRoom(roomId);

    const topic = roomTopic(roomId);
    for (const other of tx.topics(session)) {
      if (leaveOverview && other.startsWith('overview:')) tx.unsubscribe(session, other, { reason: 'joined a room' });
      // Safely: the old room is left in the same transaction that joins the new one.
      if (membership !== 'many' && other.startsWith('room:') && other !== topic) {
        this.leave(tx, session, other.slice('room:'.length), 'joined another room');
      }
    }
    if (membership === 'one-per-user') this.#settle(tx, user.id, roomId);
    const isNew = findMember(tx, roomId, user.id) === undefined;
    // Back in time.
    if (!isNew) tx.afterCommit(() => this.#forgetAwaited(roomId, user.id));
    const member = enter(tx, this.#people, { roomId, session, most: roomsPerUser });
    const hosts = hostIfNone(tx, roomId, member);
    tx.subscribe(session, topic);
    if (isNew || hosts) this.#people.changed(tx, roomId);
    return { status: 'joined', room: topic, created, ...this.snapshot(tx, roomId) };
  }

  /** Throws room_not_found for an id that cannot be had: who joins is told of it as of any room that they may not see. */
  #make(
    tx: Transaction,
    { roomId, user, fields }: { readonly roomId: string; readonly user: User; readonly fields: RoomFields },
  ): void {
    const maker = { userId: user.id, most: this.#server.limits.roomsMade };
    try {
      const allowed = this.#policies.fieldsFor({ kind: 'user', user }, roomId, fields);
      createRoom(tx, roomId, allowed, this.#options.defaults, maker);
    } catch (error) {
      throw error instanceof RoomwireError && error.name === 'room_exists' ? noRoom(roomId) : error;
    }
  }

  /** The user's one room is another now. */
  #settle(tx: Transaction, userId: string, roomId: string): void {
    const previous = tx.read<string>(ROOM_OF, userId);
    if (previous === roomId) return;
    if (previous !== undefined) this.takeOut(tx, { roomId: previous, userId }, { reason: 'joined another room' });
    tx.set(ROOM_OF, userId, roomId);
  }

  /** Everything about a room at this point of the batch. */
  snapshot(tx: Transaction, roomId: string) {
    const room = getRoom(tx, roomId);
    const { metadata, memberCount, crowded } = room;
    const { memberInline } = this.#server.limits;
    const most = crowded ? Math.min(CROWD_PAGE, memberInline) : memberInline;
    const members = firstMembers(tx, room, most).map(shownMember);
    const topic = roomTopic(roomId);
    return {
      roomId,
      metadata,
      members,
      memberCount,
      complete: !crowded,
      holders: {
        locks: this.#locks.list(tx, roomId),
        presenter: this.#presenters.of(tx, roomId),
        host: host(tx, roomId),
      },
      positions: { [topic]: tx.position(topic) },
    };
  }

  /** Leaving a room one is not in is no change. */
  leave(tx: Transaction, session: Session, roomId: string, reason: string) {
    const topic = roomTopic(roomId);
    if (tx.topics(session).includes(topic)) {
      tx.unsubscribe(session, topic, { reason });
      this.#depart(tx, roomId, session, reason, 0);
    }
    return { status: 'left' as const, room: topic };
  }

  /** The session is over: what it held ends; its member stays for `memberTtl`. */
  sessionEnded(tx: Transaction, session: Session): void {
    for (const topic of tx.topics(session)) {
      if (!topic.startsWith('room:')) continue;
      tx.unsubscribe(session, topic);
      this.#depart(tx, topic.slice('room:'.length), session, 'gone', this.#options.memberTtl);
    }
  }

  #depart(tx: Transaction, roomId: string, session: Session, reason: string, memberTtl: number): void {
    if (findRoom(tx, roomId) === undefined) return;
    this.#locks.releaseAllOf(tx, roomId, session.sid);
    this.#presenters.drop(tx, roomId, session.sid);
    const { id: userId } = session.user;
    const member = findMember(tx, roomId, userId);
    if (member === undefined) return;
    if (member.sids.some((sid) => sid !== session.sid) || memberTtl > 0) {
      const others = member.sids.filter((sid) => sid !== session.sid);
      const { sids } = setSids(tx, this.#people, roomId, member, others);
      if (sids.length === 0) tx.afterCommit(() => this.expectBack(roomId, userId));
      return;
    }
    this.#remove(tx, roomId, member, reason);
  }

  /** Of a membership that has a session again, or is over. */
  #forgetAwaited(roomId: string, userId: string): void {
    const key = `${roomId}\0${userId}`;
    for (const timer of this.#awaited.get(key) ?? []) timer.cancel();
    this.#awaited.delete(key);
  }

  #remove(tx: Transaction, roomId: string, member: MemberRecord, reason: string): void {
    const { userId } = member;
    tx.afterCommit(() => this.#forgetAwaited(roomId, userId));
    remove(tx, this.#people, roomId, member, reason);
    this.#forgetRoomOf(tx, roomId, userId);
    moveHost(tx, roomId, userId);
    this.#people.changed(tx, roomId);
  }

  /** Ends the membership of someone who has no session left, when the time is over; the host may move before. */
  expectBack(roomId: string, userId: string): void {
    const { memberTtl, hostGrace } = this.#options;
    const key = `${roomId}\0${userId}`;
    this.#forgetAwaited(roomId, userId);
    const timers: Timer[] = [];
    this.#awaited.set(key, timers);
    const later = (ms: number, work: (tx: Transaction) => void, done = (): void => undefined): void => {
      const run = (): void => {
        this.#server
          .transact((tx) => {
            if (findMember(tx, roomId, userId)?.sids.length === 0) work(tx);
          })
          .then(done)
          .catch((error: unknown) => {
            this.#server.log.warn({ err: error, room: roomId }, 'a membership could not be ended; trying again');
            later(1_000, work, done);
          });
      };
      timers.push(this.#server.afterAwake(ms, run));
    };
    if (hostGrace < memberTtl) {
      later(hostGrace, (tx) => {
        if (moveHost(tx, roomId, userId, true)) this.#people.changed(tx, roomId);
      });
    }
    const end = (tx: Transaction): void => {
      const member = findMember(tx, roomId, userId);
      if (member !== undefined) this.#remove(tx, roomId, member, 'gone');
    };
    later(memberTtl, end, () => {
      if (this.#awaited.get(key) === timers) this.#awaited.delete(key);
    });
  }

  /** Removes a user with all its sessions. False when it was no member. */
  kick(tx: Transaction, roomId: string, userId: string): boolean {
    return this.takeOut(tx, { roomId, userId }, { code: 'forbidden', reason: 'kicked' });
  }

  takeOut(
    tx: Transaction,
    { roomId, userId }: { readonly roomId: string; readonly userId: string },
    why: { readonly code?: ErrorName; readonly reason: string },
  ): boolean {
    const member = findMember(tx, roomId, userId);
    if (member === undefined) return false;
    for (const sid of member.sids) {
      const session = this.#server.session(sid);
      if (session !== undefined) tx.unsubscribe(session, roomTopic(roomId), why);
      this.#locks.releaseAllOf(tx, roomId, sid);
      this.#presenters.drop(tx, roomId, sid);
    }
    this.#remove(tx, roomId, member, why.reason);
    return true;
  }

  /** Without a word to the room: it is going itself. */
  dissolve(tx: Transaction, roomId: string): void {
    for (const member of everyone(tx, getRoom(tx, roomId))) {
      erase(tx, roomId, member);
      if (member.sids.length === 0) tx.afterCommit(() => this.#forgetAwaited(roomId, member.userId));
      this.#forgetRoomOf(tx, roomId, member.userId);
      this.#people.ended(tx, roomId, member.userId, 'deleted');
    }
  }

  #forgetRoomOf(tx: Transaction, roomId: string, userId: string): void {
    if (this.#options.membership === 'one-per-user' && tx.read(ROOM_OF, userId) === roomId) tx.delete(ROOM_OF, userId);
  }
}
