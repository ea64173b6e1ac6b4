/**
 * A room's state as a value: the join reply, and what each of the server's events makes of it.
 * Pure: the room decides which events count (only the server's, only those after the reply).
 */
import type { JoinReply, LockInfo, Member } from '../protocol/rooms-model.js';
import type { Value } from '../protocol/frames.js';
import type { RoomState } from './types.js';

export const idleRoom: RoomState = {
  status: 'idle',
  metadata: null,
  members: [],
  memberCount: 0,
  complete: true,
  locks: {},
  presenter: null,
  host: null,
};

/** `anew`: after missed events the reply counts even where its version is no newer. */
export function joinedRoom(state: RoomState, reply: JoinReply, anew: boolean): RoomState {
  const { metadata, members, memberCount, complete, holders } = reply;
  const current = state.metadata;
  return {
    status: 'joined',
    metadata: current && !anew && current.version > metadata.version ? current : metadata,
    members,
    memberCount,
    complete,
    ...holders,
    locks: Object.fromEntries(holders.locks.map((lock) => [lock.target, lock])),
  };
}

interface Changes {
  readonly version: number;
  readonly roomId?: string;
  readonly created?: boolean;
}

/** The state after one event of the server; the same object when nothing changed. */
export function reduceRoom(state: RoomState, event: string, data: Value): RoomState {
  switch (event) {
    case 'room:update': {
      const { roomId: _id, created: _created, ...changes } = data as unknown as Changes;
      const { metadata } = state;
      if (!metadata || changes.version <= metadata.version) return state;
      return { ...state, metadata: { ...metadata, ...changes } };
    }
    case 'room:delete':
      return { ...state, status: 'deleted', locks: {}, presenter: null };
    case 'lock:update': {
      const { target, lock } = data as unknown as { target: string; lock: LockInfo | null };
      const { [target]: _old, ...locks } = state.locks;
      return { ...state, locks: lock ? { ...locks, [target]: lock } : locks };
    }
    case 'member:joined': {
      const { member } = data as unknown as { member: Member };
      if (state.members.some(({ userId }) => userId === member.userId)) return changed(state, member);
      return { ...state, members: [...state.members, member], memberCount: state.memberCount + 1 };
    }
    case 'member:left': {
      const { userId } = data as { userId: string };
      const members = state.members.filter((member) => member.userId !== userId);
      // In a partial list, whoever is not on the page was counted all the same.
      if (state.complete && members.length === state.members.length) return state;
      return { ...state, members, memberCount: Math.max(members.length, state.memberCount - 1) };
    }
    case 'member:online': {
      const { userId, online } = data as unknown as Member;
      return changed(state, { userId, online });
    }
    case 'member:mode':
    case 'member:count':
    case 'presenter:update':
    case 'host:update': {
      const { roomId: _id, ...changes } = data as unknown as Partial<RoomState> & { roomId: string };
      return { ...state, ...changes };
    }
    default:
      return state;
  }
}

/** With what one member has become. */
function changed(state: RoomState, changes: Pick<Member, 'userId'> & Partial<Member>): RoomState {
  const members = state.members.map((member) =>
    member.userId === changes.userId ? { ...member, ...changes } : member,
  );
  return { ...state, members };
}
