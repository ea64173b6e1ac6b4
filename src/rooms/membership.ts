/**
 * Joining and leaving: one transaction each, so that the reply, the membership, the subscription and
 * what the others see are one moment of the log. `join:room` answers everything in one reply:
 * metadata, members, holders and the position from which events follow.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { Holders, Member, RoomFields } from '../protocol/rooms-contract.js';
import type { Position } from '../protocol/frames.js';
import type { PluginHost, Session, Transaction } from '../server/api.js';
import { groupsOf, require } from './access.js';
import { host, hostIfNone, moveHost } from './host.js';
import type { Locks } from './lock.js';
import type { MemberWatch } from './member-watch.js';
import { enter, findMember, page, remove, setSids, shownMember } from './members.js';
import type { Presenters } from './presenter.js';
import { createRoom, findRoom, getRoom, overviewTopic, roomTopic, type Metadata } from './records.js';
import type { Rules, Verdicts } from './rules.js';

export interface MembershipOptions {
  /** Whether a session may be in several rooms at once. Default `many`. */
  readonly membership: 'one' | 'many';
  /** Whether joining a room leaves the overviews. Default true. */
  readonly leaveOverview: boolean;
  /** Ms a member stays after the last of the user's sessions ended. Default 0. */
  readonly memberTtl: number;
  /** Ms until the host moves on when the host's sessions ended but the member stays. Default 0. */
  readonly hostGrace: number;
  readonly defaults: Readonly<Record<string, unknown>>;
}

export interface JoinReply {
  readonly status: 'joined';
  readonly room: string;
  readonly roomId: string;
  readonly created: boolean;
  readonly metadata: Metadata;
  readonly members: readonly Member[];
  readonly memberCount: number;
  readonly complete: boolean;
  readonly holders: Holders;
  readonly positions: Readonly<Record<string, Position>>;
}

/** Members in the join reply of a room too large to name them all: each of thousands of joins has to look them up. */
const CROWD_PAGE = 50;

export class Membership {
  readonly #host: PluginHost;
  readonly #locks: Locks;
  readonly #presenters: Presenters;
  readonly #rules: Rules;
  readonly #options: MembershipOptions;
  readonly #news: MemberWatch;

  constructor(
    pluginHost: PluginHost,
    parts: {
      readonly locks: Locks;
      readonly presenters: Presenters;
      readonly rules: Rules;
      readonly news: MemberWatch;
    },
    options: MembershipOptions,
  ) {
    this.#host = pluginHost;
    this.#locks = parts.locks;
    this.#presenters = parts.presenters;
    this.#rules = parts.rules;
    this.#news = parts.news;
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
    verdicts: Verdicts,
  ): JoinReply {
    const { membership, leaveOverview, defaults } = this.#options;
    const { access } = this.#rules;
    const { user } = session;
    const { roomsMade, roomsPerUser, roomMembers } = this.#host.limits;
    const found = findRoom(tx, roomId);
    const question = { user, roomId, isMember: false, isHost: false, caller: undefined };
    let created = false;
    if (found !== undefined) {
      const isMember = findMember(tx, roomId, user.id) !== undefined;
      const isHost = isMember && host(tx, roomId)?.userId === user.id;
      const { join: consulted } = verdicts;
      require(access, { ...question, action: 'join', room: found.metadata, isMember, isHost, consulted });
      if (!isMember && found.memberCount >= roomMembers) {
        throw new RoomwireError('limit_reached', `the room has ${roomMembers} members, which is the most`);
      }
    } else if (create !== undefined && create !== false) {
      this.#rules.askMaker(user, roomId, verdicts);
      const fields = { ...(create === true ? {} : create), ...(this.#rules.listed(roomId) ? {} : { hidden: true }) };
      createRoom(tx, roomId, fields, defaults, { userId: user.id, most: roomsMade });
      created = true;
    } else throw new RoomwireError('room_not_found', `no room '${roomId}': join with create to make it`);

    const topic = roomTopic(roomId);
    for (const other of tx.topics(session)) {
      if (leaveOverview && other.startsWith('overview:')) tx.unsubscribe(session, other, { reason: 'joined a room' });
      // Safely: the old room is left in the same transaction that joins the new one.
      if (membership === 'one' && other.startsWith('room:') && other !== topic) {
        this.leave(tx, session, other.slice('room:'.length), 'joined another room');
      }
    }
    const member = enter(tx, this.#news, { roomId, session, most: roomsPerUser });
    hostIfNone(tx, roomId, member);
    tx.subscribe(session, topic);
    return { status: 'joined', room: topic, created, ...this.snapshot(tx, roomId) };
  }

  /** Everything about a room at this point of the batch. */
  snapshot(tx: Transaction, roomId: string) {
    const { metadata, memberCount, crowded } = getRoom(tx, roomId);
    const { memberInline } = this.#host.limits;
    const members = page(tx, roomId, 0, crowded ? Math.min(CROWD_PAGE, memberInline) : memberInline).map(shownMember);
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
      const { sids } = setSids(tx, this.#news, roomId, member, others);
      if (sids.length === 0) tx.afterCommit(() => this.expectBack(roomId, userId));
      return;
    }
    remove(tx, this.#news, roomId, member, reason);
    moveHost(tx, roomId, userId);
  }

  /** Ends the membership of someone who has no session left, when the time is over; the host may move before. */
  expectBack(roomId: string, userId: string): void {
    const { memberTtl, hostGrace } = this.#options;
    const later = (ms: number, work: (tx: Transaction) => void): void => {
      this.#host.after(ms, () => {
        this.#host
          .transact((tx) => {
            if (findMember(tx, roomId, userId)?.sids.length === 0) work(tx);
          })
          .catch((error: unknown) => {
            this.#host.log.warn({ err: error, room: roomId }, 'a membership could not be ended; trying again');
            later(1_000, work);
          });
      });
    };
    if (hostGrace < memberTtl) later(hostGrace, (tx) => moveHost(tx, roomId, userId, true));
    later(memberTtl, (tx) => {
      const member = findMember(tx, roomId, userId);
      if (member === undefined) return;
      remove(tx, this.#news, roomId, member, 'gone');
      moveHost(tx, roomId, userId);
    });
  }

  /** Removes a user with all its sessions. False when it was no member. */
  kick(tx: Transaction, roomId: string, userId: string): boolean {
    const member = findMember(tx, roomId, userId);
    if (member === undefined) return false;
    for (const sid of member.sids) {
      const session = this.#host.session(sid);
      if (session !== undefined) tx.unsubscribe(session, roomTopic(roomId), { code: 'forbidden', reason: 'kicked' });
      this.#locks.releaseAllOf(tx, roomId, sid);
      this.#presenters.drop(tx, roomId, sid);
    }
    remove(tx, this.#news, roomId, member, 'kicked');
    moveHost(tx, roomId, userId);
    return true;
  }
}
