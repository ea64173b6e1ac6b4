/**
 * What clients call: each call of roomsContract() with its handler. All are atomic: the change, the
 * reply and what the others are told are one commit.
 */
import type { ShapeOf } from '../protocol/contract.js';
import { RoomwireError } from '../protocol/errors.js';
import { METADATA_TARGET, type roomsContract } from '../protocol/rooms-contract.js';
import type { AtomicOptions, Later, PluginHost, Session, Transaction, User } from '../server/api.js';
import type { RoomAction, Consulted } from './access.js';
import { entries } from './entries.js';
import { giveHost, host } from './host.js';
import type { Locks } from './lock.js';
import { findMember } from './members.js';
import type { People } from './people.js';
import type { Membership } from './membership.js';
import type { Presenters } from './presenter.js';
import type { Reads } from './reads.js';
import { roomTopic } from './records.js';
import type { ConsultedActions, Policies } from './policies.js';

/** On one page. */
const MEMBERS = 200;

export interface CallParts {
  readonly membership: Membership;
  readonly people: People;
  readonly locks: Locks;
  readonly presenters: Presenters;
  readonly memberPage: (tx: Transaction, roomId: string, after: number) => unknown;
  readonly policies: Policies;
  readonly reads: Reads;
}

/** `consulted`: what was asked before the transaction. */
interface More {
  readonly later: () => Later;
  readonly consulted: ConsultedActions;
}

type Calls = ShapeOf<ReturnType<typeof roomsContract>>['calls'];

export function registerCalls(server: PluginHost, parts: CallParts): void {
  const { membership, people, locks, presenters, memberPage, policies, reads } = parts;
  /** Inputs were checked against the contract; here they get their types back. */
  const handle = <N extends keyof Calls>(
    name: N,
    handler: (tx: Transaction, session: Session, input: Calls[N]['input'], more: More) => unknown,
    options?: AtomicOptions,
  ): void => {
    server.handleAtomic(
      name,
      (tx, { input, session, later, consulted }) => handler(tx, session, input, { later, consulted: consulted ?? {} }),
      options,
    );
  };

  /** Throws forbidden or room_not_found. */
  const ask = (
    tx: Transaction,
    action: RoomAction,
    user: User,
    { roomId }: { roomId: string },
    consulted?: Consulted,
  ) => policies.ask(tx, action, { kind: 'user', user }, roomId, consulted);

  /** Throws not_member, or room_not_found where the user may not even know of the room. */
  const requireInside = (tx: Transaction, session: Session, roomId: string): void => {
    if (tx.topics(session).includes(roomTopic(roomId))) return;
    ask(tx, 'see', session.user, { roomId });
    throw new RoomwireError('not_member');
  };
  /** For calls with a lock's token, which is good only in the session that got it. */
  const inside = <T extends { readonly roomId: string }>(tx: Transaction, session: Session, input: T): T => {
    requireInside(tx, session, input.roomId);
    return input;
  };

  const perSession = { perSession: true };
  const sessionKeys = { sessionKeys: true };
  handle('join:overview', (tx, session, { group }) => membership.joinOverview(tx, session, group), perSession);
  handle('leave:overview', (tx, session, { group }) => membership.leaveOverview(tx, session, group), perSession);
  const countEntry = entries(server);
  handle(
    'join:room',
    (tx, session, input, { consulted }) => {
      countEntry(tx, session, input);
      return membership.join(tx, session, input, consulted);
    },
    perSession,
  );
  handle('leave:room', (tx, session, { roomId }) => membership.leave(tx, session, roomId, 'left'), perSession);
  // Before its transaction, which may run again.
  server.callPolicy('room:members', ({ session: { user } }) => {
    reads.count({ kind: 'user', user }, MEMBERS);
    return true;
  });
  handle('room:members', (tx, session, { roomId, after }) => {
    requireInside(tx, session, roomId);
    return memberPage(tx, roomId, Number(after ?? 0));
  });

  const acquire = (
    tx: Transaction,
    session: Session,
    input: Calls['lock:acquire']['input'],
    { later, consulted }: More,
  ) => {
    requireInside(tx, session, input.roomId);
    ask(tx, 'lock', session.user, input, consulted.lock);
    return locks.acquire(tx, { userId: session.user.id, userName: session.user.name, sid: session.sid }, input, later);
  };
  handle('lock:acquire', acquire, sessionKeys);
  handle('lock:refresh', (tx, session, input) => locks.refresh(tx, inside(tx, session, input), session), sessionKeys);
  handle('lock:msg', (tx, session, input) => locks.message(tx, inside(tx, session, input), session), sessionKeys);
  handle('lock:release', (tx, session, input) => locks.release(tx, inside(tx, session, input), session), sessionKeys);

  const force = (tx: Transaction, session: Session, input: Calls['lock:force']['input'], { consulted }: More) => {
    const { roomId, target = METADATA_TARGET } = input;
    requireInside(tx, session, roomId);
    ask(tx, 'force-release', session.user, input, consulted['force-release']);
    return { target, released: locks.forceRelease(tx, roomId, target, session.user.id) };
  };
  handle('lock:force', force, sessionKeys);

  handle(
    'presenter:take',
    (tx, session, input, { consulted }) => {
      const { roomId } = input;
      requireInside(tx, session, roomId);
      ask(tx, 'present', session.user, input, consulted.present);
      return presenters.take(tx, roomId, session);
    },
    perSession,
  );
  handle('presenter:release', (tx, session, { roomId }) => {
    requireInside(tx, session, roomId);
    return presenters.release(tx, roomId, session.sid);
  });
  handle('presenter:give', (tx, session, input, { consulted }) => {
    const { roomId, sid } = input;
    requireInside(tx, session, roomId);
    const to = server.session(sid);
    if (to === undefined || !tx.topics(to).includes(roomTopic(roomId))) {
      throw new RoomwireError('not_member', 'that session is not in this room');
    }
    ask(tx, 'present', to.user, input, consulted.present);
    return presenters.give(tx, roomId, session.sid, to);
  });

  handle('host:give', (tx, session, { roomId, userId }) => {
    requireInside(tx, session, roomId);
    if (host(tx, roomId)?.userId !== session.user.id) throw new RoomwireError('not_holder', 'you are not the host');
    const member = findMember(tx, roomId, userId);
    if (member === undefined) throw new RoomwireError('not_member', 'that user is not in this room');
    if (giveHost(tx, roomId, member)) people.changed(tx, roomId);
    return { userId };
  });
  handle('member:kick', (tx, session, input, { consulted }) => {
    const { roomId, userId } = input;
    requireInside(tx, session, roomId);
    ask(tx, 'kick', session.user, input, consulted.kick);
    return { kicked: membership.kick(tx, roomId, userId) };
  });
}
