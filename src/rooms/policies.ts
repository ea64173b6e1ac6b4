/**
 * Who may do what with rooms: another plugin's policy, such as policy()'s, then the options' `access`. What has to be
 * consulted outside is asked before the transaction. The same for calls and for HTTP.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { RoomFields } from '../protocol/rooms-contract.js';
import type { CallAllowed, PluginHost, Session, Transaction, User } from '../server/api.js';
import {
  defaultAccess,
  groupsOf,
  require,
  type Access,
  type AccessQuestion,
  type RoomAction,
  type Consulted,
} from './access.js';
import type { Asker } from './holder.js';
import { host } from './host.js';
import { findMember } from './members.js';
import { getRoom, newMetadata, type Metadata } from './records.js';
import { idTaken } from './refusals.js';

export interface PolicyQuestion {
  readonly action: RoomAction;
  readonly roomId: string;
  readonly user: User;
  /** Of the one who asks on the socket. */
  readonly session: Session | undefined;
}

export interface RoomPolicy {
  /** Like `access`: synchronous, inside a transaction. undefined: no word on this, `access` decides. */
  access(question: AccessQuestion): boolean | undefined;
  /** Asked before the transaction; what comes of it is the question's `consulted`. undefined: nothing to ask. */
  consult(question: PolicyQuestion): boolean | undefined | Promise<boolean | undefined>;
  /** False: no list shows this room; it is `hidden`, whatever its maker wants. */
  listed(roomId: string): boolean;
}

export type ConsultedActions = Readonly<Partial<Record<RoomAction, Consulted>>>;

interface RoomInput {
  readonly roomId: string;
  readonly create?: unknown;
  readonly sid?: string;
}

export class Policies {
  readonly #server: PluginHost;
  readonly #access: Access;
  readonly #derived: readonly string[];
  readonly #defaults: Readonly<Record<string, unknown>>;
  #given: RoomPolicy | undefined;

  constructor(
    pluginHost: PluginHost,
    {
      access = defaultAccess,
      derived = [],
      defaults = {},
    }: {
      readonly access?: Access;
      readonly derived?: readonly string[];
      readonly defaults?: Readonly<Record<string, unknown>>;
    },
  ) {
    this.#server = pluginHost;
    this.#access = access;
    this.#derived = derived;
    this.#defaults = defaults;
  }

  /** Throws a TypeError the second time: two rulers would have to agree on which is asked. */
  set(policy: RoomPolicy): void {
    if (this.#given !== undefined) throw new TypeError('rooms: another plugin has set their policy already');
    this.#given = policy;
    const consult = (call: string, actions: (input: RoomInput) => readonly RoomAction[]): void =>
      this.#server.callPolicy(call, ({ session, input }) => this.#consultFor(session, input as RoomInput, actions));
    consult('join:room', ({ create }) => (create === undefined || create === false ? ['join'] : ['join', 'create']));
    consult('lock:acquire', () => ['lock']);
    consult('lock:force', () => ['force-release']);
    consult('member:kick', () => ['kick']);
    consult('presenter:take', () => ['present']);
    consult('presenter:give', () => ['present']);
  }

  readonly access: Access = (question) => this.#given?.access(question) ?? this.#access(question);

  listed(roomId: string): boolean {
    return this.#given?.listed(roomId) ?? true;
  }

  /** Throws forbidden for fields that only the program sets. */
  settable(fields: object): void {
    const field = this.#derived.find((name) => (fields as Readonly<Record<string, unknown>>)[name] !== undefined);
    if (field !== undefined) throw new RoomwireError('forbidden', `${field} is set by the server alone`);
  }

  /** Who makes a room by joining it must be let do both. Throws forbidden. */
  askMaker(user: User, roomId: string, { create, join }: ConsultedActions): void {
    const question = { user, roomId, room: undefined, isMember: false, isHost: false, caller: undefined };
    require(this.access, { ...question, action: 'create', consulted: create });
    if (this.#given?.access({ ...question, action: 'join', consulted: join }) === false) {
      throw new RoomwireError('forbidden', 'you may not join here');
    }
  }

  /**
   * The fields a new room is to have, as far as its maker may give them. Throws forbidden for fields of the program's and for a
   * group of others, and room_exists for an id that is kept for those who see such rooms.
   */
  fieldsFor(maker: Asker, roomId: string, fields: RoomFields): RoomFields {
    if (maker !== undefined) this.settable(fields);
    this.place(maker, fields);
    if (maker?.kind === 'user') {
      const room = newMetadata(roomId, fields, this.#defaults);
      const made = { user: maker.user, roomId, room, isMember: true, isHost: true, caller: undefined };
      if (!this.access({ ...made, action: 'see' })) throw idTaken();
    }
    return this.listed(roomId) ? fields : { ...fields, hidden: true };
  }

  /** Throws forbidden where a user puts a room into a group that is not theirs. */
  place(asker: Asker, { group }: { readonly group?: string | null | undefined }): void {
    if (asker?.kind !== 'user' || typeof group !== 'string' || groupsOf(asker.user).includes(group)) return;
    throw new RoomwireError('forbidden', `you are not in the group '${group}'`);
  }

  /** Whether they may know of the room. */
  sees(tx: Transaction, asker: Asker, room: Metadata): boolean {
    if (asker === undefined || asker.kind === 'key') return true;
    return this.access({ ...this.#questionOf(tx, asker, room), action: 'see' });
  }

  /** Whether they may show a hidden room again, and so find it in a list. What a backend alone grants counts as a no: it is asked for one room at a time. */
  mayShow(tx: Transaction, asker: Asker, room: Metadata): boolean {
    if (asker === undefined || asker.kind === 'key') return true;
    return this.sees(tx, asker, room) && this.access({ ...this.#questionOf(tx, asker, room), action: 'restrict' });
  }

  #questionOf(tx: Transaction, { kind, user }: NonNullable<Asker>, room: Metadata | undefined) {
    return {
      user,
      roomId: room?.id,
      room,
      isMember: room !== undefined && findMember(tx, room.id, user.id) !== undefined,
      isHost: room !== undefined && host(tx, room.id)?.userId === user.id,
      caller: kind,
    };
  }

  /** Throws forbidden or room_not_found. */
  ask(tx: Transaction, action: RoomAction, asker: Asker, roomId: string | undefined, consulted?: Consulted): void {
    if (asker === undefined) return;
    const room = roomId === undefined || action === 'create' ? undefined : getRoom(tx, roomId).metadata;
    require(this.access, { ...this.#questionOf(tx, asker, room), roomId, action, consulted });
  }

  /** Over HTTP, before the transaction. */
  async consult(action: RoomAction, asker: Asker, roomId: string): Promise<Consulted> {
    if (this.#given === undefined || asker === undefined || asker.kind === 'key') return undefined;
    return this.#consulted({ action, roomId, user: asker.user, session: undefined });
  }

  /** Refuses nothing: who is refused and why is decided in the transaction, where it is known. */
  #consultFor(
    session: Session,
    input: RoomInput,
    actions: (input: RoomInput) => readonly RoomAction[],
  ): true | CallAllowed | Promise<CallAllowed> {
    // Who is given the presenter's part must be one who may present.
    const asking = input.sid === undefined ? session : this.#server.session(input.sid);
    if (asking === undefined) return true;
    const { user } = asking;
    const wanted = actions(input);
    const found = wanted.map((action) => this.#consulted({ action, roomId: input.roomId, user, session: asking }));
    const told = (all: readonly Consulted[]): CallAllowed => ({
      consulted: Object.fromEntries(wanted.map((action, i) => [action, all[i]])),
    });
    if (!found.some((one) => one instanceof Promise)) return told(found as Consulted[]);
    return Promise.all(found.map(async (one) => one)).then(told);
  }

  /** An error is kept for the transaction: it may find that the question was not needed. */
  #consulted(question: PolicyQuestion): Consulted | Promise<Consulted> {
    const failed = (error: unknown): Consulted => {
      if (error instanceof RoomwireError) return error;
      throw error;
    };
    try {
      const consulted = this.#given?.consult(question);
      return consulted instanceof Promise ? consulted.catch(failed) : consulted;
    } catch (error) {
      return failed(error);
    }
  }
}
