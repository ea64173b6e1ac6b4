/**
 * What another plugin, such as policy(), rules about rooms: who may do what, asked before the options'
 * `access`; what has to be asked far away, before the transaction; which rooms no list shows. The same
 * for calls and for HTTP. Used by rooms.ts, calls.ts and membership.ts.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { PluginHost, Session, Transaction, User } from '../server/api.js';
import { defaultAccess, require, type Access, type AccessQuestion, type RoomAction, type Verdict } from './access.js';
import type { Asker } from './holder.js';
import { host } from './host.js';
import { findMember } from './members.js';
import { getRoom } from './records.js';

export interface Consultation {
  readonly action: RoomAction;
  readonly roomId: string;
  readonly user: User;
  /** Of the one who asks on the socket. */
  readonly session: Session | undefined;
}

export interface RoomRules {
  /** Like `access`: synchronous, inside a transaction. undefined: no word on this, `access` decides. */
  access(question: AccessQuestion): boolean | undefined;
  /** Asked before the transaction; what comes of it is the question's `consulted`. undefined: nothing to ask. */
  consult(consultation: Consultation): boolean | undefined | Promise<boolean | undefined>;
  /** False: no list shows this room; it is `hidden`, whatever its maker wants. */
  listed(roomId: string): boolean;
}

export type Verdicts = Readonly<Partial<Record<RoomAction, Verdict>>>;

const NONE: Verdicts = {};

interface RoomInput {
  readonly roomId: string;
  readonly create?: unknown;
  readonly sid?: string;
}

export class Rules {
  readonly #host: PluginHost;
  readonly #access: Access;
  readonly #derived: readonly string[];
  #given: RoomRules | undefined;
  /** By a call's checked input: what was asked before its transaction. */
  readonly #verdicts = new WeakMap<object, Verdicts>();

  constructor(
    pluginHost: PluginHost,
    { access = defaultAccess, derived = [] }: { readonly access?: Access; readonly derived?: readonly string[] },
  ) {
    this.#host = pluginHost;
    this.#access = access;
    this.#derived = derived;
  }

  /** Throws a TypeError the second time: two rulers would have to agree on which is asked. */
  give(rules: RoomRules): void {
    if (this.#given !== undefined) throw new TypeError('rooms: another plugin governs them already');
    this.#given = rules;
    const guard = (call: string, actions: (input: RoomInput) => readonly RoomAction[]): void =>
      this.#host.guard(call, ({ session, input }) => this.#consultFor(session, input as RoomInput, actions));
    guard('join:room', ({ create }) => (create === undefined || create === false ? ['join'] : ['join', 'create']));
    guard('lock:acquire', () => ['lock']);
    guard('lock:force', () => ['force-release']);
    guard('member:kick', () => ['kick']);
    guard('presenter:take', () => ['present']);
    guard('presenter:give', () => ['present']);
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
  askMaker(user: User, roomId: string, { create, join }: Verdicts): void {
    const question = { user, roomId, room: undefined, isMember: false, isHost: false, caller: undefined };
    require(this.access, { ...question, action: 'create', consulted: create });
    if (this.#given?.access({ ...question, action: 'join', consulted: join }) === false) {
      throw new RoomwireError('forbidden', 'you may not join here');
    }
  }

  /** Throws forbidden or room_not_found. */
  ask(tx: Transaction, action: RoomAction, asker: Asker, roomId: string | undefined, consulted?: Verdict): void {
    if (asker === undefined) return;
    const { kind, user } = asker;
    const room = roomId === undefined || action === 'create' ? undefined : getRoom(tx, roomId).metadata;
    require(this.access, {
      action,
      user,
      roomId,
      room,
      isMember: room !== undefined && findMember(tx, room.id, user.id) !== undefined,
      isHost: room !== undefined && host(tx, room.id)?.userId === user.id,
      caller: kind,
      consulted,
    });
  }

  /** Over HTTP, before the transaction. */
  async consult(action: RoomAction, asker: Asker, roomId: string): Promise<Verdict> {
    if (this.#given === undefined || asker === undefined || asker.kind === 'key') return undefined;
    return this.#verdict({ action, roomId, user: asker.user, session: undefined });
  }

  /** What was asked for a call with this input. */
  verdicts(input: object): Verdicts {
    return this.#verdicts.get(input) ?? NONE;
  }

  /** A guard that refuses nothing: who is refused and why is decided in the transaction, where it is known. */
  #consultFor(
    session: Session,
    input: RoomInput,
    actions: (input: RoomInput) => readonly RoomAction[],
  ): true | Promise<true> {
    // Who is given the presenter's part must be one who may present.
    const asking = input.sid === undefined ? session : this.#host.session(input.sid);
    if (asking === undefined) return true;
    const { user } = asking;
    const wanted = actions(input);
    const verdicts = wanted.map((action) => this.#verdict({ action, roomId: input.roomId, user, session: asking }));
    const note = (found: readonly Verdict[]): true => {
      this.#verdicts.set(input, Object.fromEntries(wanted.map((action, i) => [action, found[i]])));
      return true;
    };
    if (!verdicts.some((verdict) => verdict instanceof Promise)) return note(verdicts as Verdict[]);
    return Promise.all(verdicts.map(async (verdict) => verdict)).then(note);
  }

  /** An error is kept for the transaction: it may find that the question was not needed. */
  #verdict(consultation: Consultation): Verdict | Promise<Verdict> {
    const failed = (error: unknown): Verdict => {
      if (error instanceof RoomwireError) return error;
      throw error;
    };
    try {
      const verdict = this.#given?.consult(consultation);
      return verdict instanceof Promise ? verdict.catch(failed) : verdict;
    } catch (error) {
      return failed(error);
    }
  }
}
