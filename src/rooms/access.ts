/**
 * Who may do what with rooms, beyond being a member. The default suits a team: everyone signed in
 * lists, creates and joins public rooms, and those of their groups; members edit; the host deletes.
 * A room one may not see is, for that user, not there: nothing about it leaks.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { RoomFields } from '../protocol/rooms-contract.js';
import type { HttpCaller, User } from '../server/api.js';
import type { Metadata } from './records.js';
import { noRoom } from './refusals.js';

export type RoomAction =
  | 'see'
  | 'create'
  | 'join'
  | 'edit'
  /** Say who sees the room and whether it can be written at all. */
  | 'restrict'
  | 'delete'
  | 'lock'
  | 'present'
  | 'force-release'
  | 'kick'
  | 'set-default';

/** What one must be let do to change a field of a room; those of the application's own: `edit`. */
const FIELDS: Readonly<Record<keyof RoomFields, RoomAction>> = {
  description: 'edit',
  frameCount: 'edit',
  locked: 'restrict',
  hidden: 'restrict',
  group: 'restrict',
};

/** What one must be let do for these changes: at least `edit`, also where nothing is changed. */
export function actionsFor(changes: object): readonly RoomAction[] {
  const actions = new Set<RoomAction>();
  for (const field of Object.keys(changes)) {
    actions.add(Object.hasOwn(FIELDS, field) ? FIELDS[field as keyof RoomFields] : 'edit');
  }
  return actions.size === 0 ? ['edit'] : [...actions];
}

/** What was asked outside the transaction came to: yes, no, or why there is no answer. undefined: nothing was asked. */
export type Consulted = boolean | RoomwireError | undefined;

export interface AccessQuestion {
  readonly action: RoomAction;
  readonly user: User;
  /** undefined for `set-default` when there is to be none. */
  readonly roomId: string | undefined;
  /** undefined for `create`. Frozen: it is shared by all who ask about the room. */
  readonly room: Metadata | undefined;
  readonly isMember: boolean;
  readonly isHost: boolean;
  /** Over HTTP, who asks; undefined on the socket. */
  readonly caller: HttpCaller['kind'] | undefined;
  readonly consulted?: Consulted;
}

/** Must be synchronous: it is asked inside transactions. */
export type Access = (question: AccessQuestion) => boolean;

export const defaultAccess: Access = ({ action, user, room, isMember, isHost, caller }) => {
  // Guests exist only on loopback without keys: a developer's own machine.
  if (caller === 'guest') return true;
  switch (action) {
    case 'create':
      return true;
    case 'see':
    case 'join':
      return typeof room?.group !== 'string' || isMember || groupsOf(user).includes(room.group);
    case 'edit':
    case 'lock':
    case 'present':
      return isMember;
    case 'restrict':
    case 'delete':
    case 'force-release':
    case 'kick':
      return isHost;
    case 'set-default':
      return false;
  }
};

export function groupsOf(user: User): readonly string[] {
  const { groups } = user as User & { readonly groups?: unknown };
  return Array.isArray(groups) ? groups.filter((group) => typeof group === 'string') : [];
}

/** Throws forbidden, or room_not_found when the user may not even know of the room. */
export function require(access: Access, question: AccessQuestion): void {
  // The backend's own key may do everything.
  if (question.caller === 'key') return;
  if (question.room !== undefined && !access({ ...question, action: 'see', consulted: undefined })) {
    throw noRoom(question.room.id);
  }
  if (!access(question)) throw new RoomwireError('forbidden', `you may not ${question.action} here`);
}
