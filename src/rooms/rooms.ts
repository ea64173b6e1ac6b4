/**
 * The rooms plugin: rooms with members, locks, a presenter and a host, on the server's public API
 * alone. This file is what programs and HTTP use; calls.ts is what clients call.
 */
import { isDeepStrictEqual } from 'node:util';
import { RoomwireError } from '../protocol/errors.js';
import type { Lease, RoomFields } from '../protocol/rooms-contract.js';
import { oneOf, wholeNumber } from '../protocol/setting.js';
import type { Plugin, PluginHost, Session, Transaction } from '../server/api.js';
import { actionsFor, type RoomAction, type Consulted } from './access.js';
import type {
  ListQuery,
  OpenRoom,
  RoomPage,
  RoomsApi,
  RoomsOptions,
  RoomsWithin,
  WritableRoom,
  WriteConditions,
} from './api.js';
import { DocsOfGoneRooms } from './docs.js';
import { ownerOf, requireSomebody, type Asker } from './holder.js';
import { host } from './host.js';
import { registerCalls } from './calls.js';
import { Crowd } from './crowd.js';
import { Locks } from './lock.js';
import { People, type MembershipHook, type PeopleHook } from './people.js';
import { Membership } from './membership.js';
import { findMember, page, shownMember } from './members.js';
import { opened, own, writable } from './open-room.js';
import { Presenters } from './presenter.js';
import { Reads } from './reads.js';
import { restoreRooms } from './restore.js';
import { RoomList } from './room-list.js';
import {
  changeRoom,
  createRoom,
  defaultRoom,
  findRoom,
  findRoomCopy,
  getRoom,
  numberOf,
  realChanges,
  removeRoom,
  roomsIn,
  roomTopic,
  setDefaultRoom,
  type Metadata,
  type MetadataChanges,
} from './records.js';
import { Policies, type RoomPolicy } from './policies.js';

export type { Access, AccessQuestion, RoomAction } from './access.js';
export type {
  ListQuery,
  OpenRoom,
  RoomPage,
  RoomsApi,
  RoomsOptions,
  RoomSnapshot,
  RoomsWithin,
  WritableRoom,
  WriteConditions,
} from './api.js';
export type { RoomDocs } from './docs.js';
export type { MembershipChange, MembershipHook, PeopleHook } from './people.js';
export type { Asker } from './holder.js';
export type { PolicyQuestion, RoomPolicy } from './policies.js';
export type { WatchedLock } from '../protocol/http-answers.js';
export type { HeldLock, LockRequest } from './lock.js';
export type { Metadata, MetadataChanges } from './records.js';

const PAGE = 200;

/** The rooms plugin. The contract must use `roomsContract()`. */
export function rooms(options: RoomsOptions = {}): Plugin<'rooms', RoomsApi> {
  oneOf('rooms.membership', options.membership ?? 'many', ['one', 'one-per-user', 'many']);
  for (const name of ['memberTtl', 'hostGrace'] as const) wholeNumber(`rooms.${name}`, options[name] ?? 0);
  return { name: 'rooms', setup: (server) => new Rooms(server, options) };
}

/** `ask`: throws where the asker may not. */
interface Write {
  readonly roomId: string;
  readonly ask: () => void;
  readonly conditions: WriteConditions;
  readonly asker: Asker;
}

class Rooms implements RoomsApi {
  readonly options: RoomsOptions;
  readonly #server: PluginHost;
  readonly #locks: Locks;
  readonly #membership: Membership;
  readonly #policies: Policies;
  readonly #crowd: Crowd;
  readonly #people: People;
  readonly #presenters = new Presenters();
  readonly #gone: DocsOfGoneRooms;
  readonly #reads: Reads;
  readonly #list: RoomList;
  readonly locks: RoomsApi['locks'];

  constructor(server: PluginHost, options: RoomsOptions) {
    if (!Object.hasOwn(server.contract.calls, 'join:room')) {
      throw new TypeError('rooms(): the contract lacks its calls; write defineContract({ use: [roomsContract()], … })');
    }
    this.options = options;
    this.#server = server;
    this.#policies = new Policies(server, options);
    this.#crowd = new Crowd(server);
    this.#people = new People(this.#crowd);
    this.#locks = new Locks(server);
    this.#gone = new DocsOfGoneRooms(server);
    this.#reads = new Reads(server);
    this.#list = new RoomList(server, this.#reads, this.#policies);
    this.#membership = new Membership(
      server,
      { locks: this.#locks, presenters: this.#presenters, policies: this.#policies, people: this.#people },
      {
        membership: options.membership ?? 'many',
        leaveOverview: options.leaveOverview ?? true,
        memberTtl: options.memberTtl ?? 0,
        hostGrace: options.hostGrace ?? 0,
        defaults: options.defaults ?? {},
      },
    );
    this.locks = this.#lockApi();
    registerCalls(server, {
      membership: this.#membership,
      people: this.#people,
      locks: this.#locks,
      presenters: this.#presenters,
      reads: this.#reads,
      memberPage: (tx, roomId, after) => this.#memberPage(tx, roomId, after),
      policies: this.#policies,
    });
    server.onRestore(async () => {
      await this.#locks.restore();
      this.#gone.sweep();
      await restoreRooms(server, {
        crowd: this.#crowd,
        presenters: this.#presenters,
        policies: this.#policies,
        membership: this.#membership,
      });
    });
    server.onSessionEnd((tx, session) => {
      this.#membership.sessionEnded(tx, session);
    });
    server.onResume('room:{id}', (tx, session, topic, refused) => {
      const roomId = topic.slice('room:'.length);
      if (refused) this.#membership.leave(tx, session, roomId, 'forbidden');
      const member = findMember(tx, roomId, session.user.id);
      return member?.sids.includes(session.sid) === true;
    });
  }

  // ---- questions ------------------------------------------------------------------------------------

  onMembership(hook: MembershipHook): void {
    this.#people.add(hook);
  }

  onPeople(hook: PeopleHook): void {
    this.#people.addPeople(hook);
  }

  within(tx: Transaction): RoomsWithin {
    const membership = this.#membership;
    return {
      join: (session, roomId, { create } = {}) => own(tx, membership.join(tx, session, { roomId, create }, {})),
      leave: (session, roomId) => void membership.leave(tx, session, roomId, 'left'),
      read: (roomId) => (findRoom(tx, roomId) === undefined ? undefined : own(tx, membership.snapshot(tx, roomId))),
      isMember: (roomId, userId) => findMember(tx, roomId, userId) !== undefined,
      remove: (roomId, userId, reason = 'left') => membership.takeOut(tx, { roomId, userId }, { reason }),
      inside: (session, roomId) => {
        if (!tx.topics(session).includes(roomTopic(roomId))) throw new RoomwireError('not_member');
        return writable(opened(tx, roomId));
      },
      roomsOf: (session) => roomsIn(tx.topics(session)),
    };
  }

  setPolicy(policy: RoomPolicy): void {
    this.#policies.set(policy);
  }

  /** A transaction of somebody's, after what has to be asked before it. `ask` throws forbidden or room_not_found. */
  async #asked<T>(
    actions: RoomAction | readonly RoomAction[],
    asker: Asker,
    roomId: string,
    work: (tx: Transaction, ask: (only?: readonly RoomAction[]) => void) => T,
  ): Promise<T> {
    const all = typeof actions === 'string' ? [actions] : actions;
    requireSomebody(asker);
    const consulted = new Map<RoomAction, Consulted>();
    for (const action of all) consulted.set(action, await this.#policies.consult(action, asker, roomId));
    return this.#server.transact((tx) =>
      work(tx, (only = all) => {
        for (const action of only) this.#policies.ask(tx, action, asker, roomId, consulted.get(action));
      }),
    );
  }

  /** Reads need no question outside: who may see is known at once. */
  async #read<T>(roomId: string, asker: Asker, work: (tx: Transaction) => T): Promise<T> {
    requireSomebody(asker);
    return this.#server.transact((tx) => {
      getRoom(tx, roomId);
      this.#policies.ask(tx, 'see', asker, roomId);
      return work(tx);
    });
  }

  // ---- RoomsApi ---------------------------------------------------------------------------------------

  async get(roomId: string, asker?: Asker): Promise<Metadata | undefined> {
    requireSomebody(asker);
    return this.#server.transact((tx) => {
      const room = findRoom(tx, roomId);
      return room && this.#policies.sees(tx, asker, room.metadata) ? findRoomCopy(tx, roomId)?.metadata : undefined;
    });
  }

  list(query: ListQuery = {}, asker?: Asker): Promise<RoomPage> {
    return this.#list.page(query, asker);
  }

  async snapshot(roomId: string, asker?: Asker) {
    this.#reads.count(asker, Math.min(this.#server.limits.memberInline, PAGE));
    return this.#read(roomId, asker, (tx) => {
      const snapshot = own(tx, this.#membership.snapshot(tx, roomId));
      const isEmpty = snapshot.memberCount === 0 && snapshot.holders.locks.length === 0;
      const untouched = isEmpty && isDeepStrictEqual(getRoom(tx, roomId).leftAt, tx.position(roomTopic(roomId)));
      return { ...snapshot, untouched };
    });
  }

  create(roomId: string, fields: RoomFields = {}, asker?: Asker): Promise<Metadata> {
    return this.#asked('create', asker, roomId, (tx, ask) => {
      ask();
      const maker = asker?.kind === 'user' ? { userId: asker.user.id, most: this.#server.limits.roomsMade } : undefined;
      const allowed = this.#policies.fieldsFor(asker, roomId, fields);
      return createRoom(tx, roomId, allowed, this.options.defaults ?? {}, maker).metadata;
    });
  }

  update(roomId: string, changes: MetadataChanges, conditions: WriteConditions = {}, asker?: Asker): Promise<Metadata> {
    return this.#asked(actionsFor(changes), asker, roomId, (tx, ask) => {
      const { metadata } = getRoom(tx, roomId);
      const changed = realChanges(metadata, changes);
      const askFor = (): void => ask(Object.keys(changed).length === 0 ? undefined : actionsFor(changed));
      this.#mayWrite(tx, { roomId, ask: askFor, conditions, asker });
      if (asker !== undefined) this.#policies.settable(changes);
      this.#policies.place(asker, changed);
      if (changes.hidden === false && !this.#policies.listed(roomId)) {
        throw new RoomwireError('forbidden', 'the policy keeps this room out of the lists');
      }
      // A permanent lock refuses every write but the one that lifts it.
      if (metadata.locked && changes.locked !== false) throw new RoomwireError('room_locked');
      return changeRoom(tx, roomId, changes);
    });
  }

  read<T>(roomId: string, work: (room: OpenRoom) => T, asker?: Asker): Promise<T> {
    return this.#read(roomId, asker, (tx) => work(opened(tx, roomId)));
  }

  write<T>(
    roomId: string,
    work: (room: WritableRoom) => T,
    conditions: WriteConditions = {},
    asker?: Asker,
  ): Promise<T> {
    return this.#asked('edit', asker, roomId, (tx, ask) => {
      this.#mayWrite(tx, { roomId, ask, conditions, asker });
      const room = opened(tx, roomId);
      if (room.metadata.locked) throw new RoomwireError('room_locked');
      return work(writable(room));
    });
  }

  delete(roomId: string, conditions: WriteConditions = {}, asker?: Asker): Promise<void> {
    return this.#asked('delete', asker, roomId, (tx, ask) => {
      this.#mayWrite(tx, { roomId, ask, conditions, asker });
      const record = getRoom(tx, roomId);
      if (record.metadata.locked) throw new RoomwireError('room_locked');
      this.#membership.dissolve(tx, roomId);
      this.#locks.forget(tx, roomId);
      this.#crowd.forget(tx, roomId);
      removeRoom(tx, record);
      this.#gone.forget(tx, numberOf(record));
      this.#people.changed(tx, roomId);
      tx.afterCommit(() => this.#presenters.note(roomId, null));
    });
  }

  #mayWrite(tx: Transaction, { roomId, ask, conditions: { ifVersion, lock }, asker }: Write): void {
    const { metadata } = getRoom(tx, roomId);
    ask();
    if (ifVersion !== undefined && ![ifVersion].flat().includes(metadata.version)) {
      throw new RoomwireError('conflict', `the room is at version ${metadata.version}`, {
        details: { version: metadata.version },
      });
    }
    this.#locks.requireHolder(tx, roomId, lock ?? {}, asker);
  }

  async defaultRoom(asker?: Asker): Promise<string | null> {
    requireSomebody(asker);
    return this.#server.transact((tx) => {
      const roomId = defaultRoom(tx);
      return roomId !== null && this.#policies.sees(tx, asker, getRoom(tx, roomId).metadata) ? roomId : null;
    });
  }

  async setDefault(roomId: string | null, asker?: Asker): Promise<void> {
    requireSomebody(asker);
    return this.#server.transact((tx) => {
      this.#policies.ask(tx, 'set-default', asker, roomId ?? undefined);
      setDefaultRoom(tx, roomId);
    });
  }

  async members(roomId: string, after = 0, asker?: Asker) {
    this.#reads.count(asker, PAGE);
    return this.#read(roomId, asker, (tx) => this.#memberPage(tx, roomId, after));
  }

  #memberPage(tx: Transaction, roomId: string, after: number) {
    const topic = roomTopic(roomId);
    const members = page(tx, roomId, Number.isFinite(after) ? after : 0, PAGE);
    const last = members.length === PAGE ? members[PAGE - 1] : undefined;
    return {
      members: members.map(shownMember),
      memberCount: getRoom(tx, roomId).memberCount,
      next: last === undefined ? null : String(last.order),
      positions: { [topic]: tx.position(topic) },
    };
  }

  async requireMember(session: Session, roomId: string): Promise<void> {
    if (!session.topics.has(roomTopic(roomId))) throw new RoomwireError('not_member');
  }

  isMember(roomId: string, userId: string): Promise<boolean> {
    return this.#server.transact((tx) => findMember(tx, roomId, userId) !== undefined);
  }

  isHost(roomId: string, userId: string): Promise<boolean> {
    return this.#server.transact((tx) => host(tx, roomId)?.userId === userId);
  }

  kick(roomId: string, userId: string, asker?: Asker): Promise<boolean> {
    return this.#asked('kick', asker, roomId, (tx, ask) => {
      getRoom(tx, roomId);
      ask();
      return this.#membership.kick(tx, roomId, userId);
    });
  }

  presenterOf(roomId: string): string | null {
    return this.#presenters.current(roomId);
  }

  holders() {
    return { ...this.#locks.counts, presenter: this.#presenters.count };
  }

  #lockApi(): RoomsApi['locks'] {
    const run = <T>(
      roomId: string,
      asker: Asker,
      work: (tx: Transaction) => T,
      action: RoomAction = 'lock',
    ): Promise<T> =>
      this.#asked(action, asker, roomId, (tx, ask) => {
        getRoom(tx, roomId);
        ask();
        return work(tx);
      });
    return {
      list: (roomId, asker) => this.#read(roomId, asker, (tx) => this.#locks.list(tx, roomId)),
      watch: (limit) => this.#server.transact((tx) => ({ now: tx.now, locks: this.#locks.watch(tx, limit) })),
      acquire: (request, asker) =>
        run(request.roomId, asker, (tx) => this.#locks.acquire(tx, ownerOf(asker), request) as Lease),
      refresh: (request, asker) => run(request.roomId, asker, (tx) => this.#locks.refresh(tx, request, asker)),
      release: (request, asker) => run(request.roomId, asker, (tx) => this.#locks.release(tx, request, asker)),
      forceRelease: (roomId, target, asker) =>
        run(
          roomId,
          asker,
          (tx) => this.#locks.forceRelease(tx, roomId, target, ownerOf(asker).userId),
          'force-release',
        ),
    };
  }
}
