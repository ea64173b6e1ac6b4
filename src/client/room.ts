/**
 * A room as this connection sees it: joined with one call whose reply is the whole state at a position,
 * kept current by the server's events after it, and joined again by itself when events were missed.
 * Clients that share the connection share it, each through a handle of its own (room-handle.ts).
 */
import { RoomwireError } from '../protocol/errors.js';
import type { Position, Value } from '../protocol/frames.js';
import type { RoomFields } from '../protocol/rooms-model.js';
import { call, type Context } from './context.js';
import type { AnyHandler } from './emitter.js';
import { Follower, type Followed } from './follower.js';
import { acquireLock, type HeldLock } from './lock.js';
import { Observed } from './observable.js';
import { isError } from './error-kinds.js';
import type { JoinReply } from '../protocol/rooms-model.js';
import { idleRoom, joinedRoom, reduceRoom } from './room-state.js';
import type { Owner } from './owned.js';
import { Stream } from './stream.js';
import type { EventInfo, LockOptions, RoomState } from './types.js';

export class FollowedRoom extends Stream implements Followed<JoinReply> {
  declare readonly id: string;
  readonly name = 'room';
  declare readonly input: { readonly roomId: string };
  declare readonly state: Observed<RoomState>;
  readonly held = new Set<HeldLock>();
  readonly #follower: Follower<JoinReply>;
  /** Of the clients that share it, those that asked to join. */
  readonly #joiners = new Set<Owner>();

  constructor(context: Context, id: string) {
    super(context, `room:${id}`);
    this.id = id;
    this.input = { roomId: id };
    this.state = new Observed(idleRoom, context.settings.report);
    this.#follower = new Follower(context, this.topic, this);
  }

  /** While it is joined, again or for the first time, the server would refuse what is published. */
  get joining(): boolean {
    return this.#follower.joining;
  }

  override on(event: string, handler: AnyHandler): () => void {
    const off = super.on(event, handler);
    this.#follower.hear();
    return () => {
      off();
      this.#follower.hear();
    };
  }

  async join(owner: Owner, create: boolean | RoomFields | undefined): Promise<RoomState> {
    this.#joiners.add(owner);
    await this.#follower.follow(create === undefined ? undefined : { create });
    return this.state.get();
  }

  /** For all that share it. */
  leave(): Promise<void> {
    this.#joiners.clear();
    return this.#follower.unfollow();
  }

  async lock(owner: Owner, target: string, options?: LockOptions): Promise<HeldLock> {
    const lock = await acquireLock(this.context, this, target, options);
    lock.disown = owner.until(() => lock.giveUp('this client is closed'));
    // It was closed meanwhile.
    lock.signal.throwIfAborted();
    return lock;
  }

  /** A client that shares it is closed: the room goes where it alone had joined it. */
  disown(owner: Owner): void {
    if (this.#joiners.delete(owner) && this.#joiners.size === 0) this.leave().catch(() => undefined);
  }

  end(error: RoomwireError): void {
    this.#follower.end(error);
  }

  reading(missing: boolean): void {
    // A second join of a room that misses nothing leaves it as it is.
    if (missing || this.state.get().status !== 'joined') this.state.merge({ status: 'joining' });
  }

  read(reply: Value): JoinReply {
    return reply as unknown as JoinReply;
  }

  apply(reply: JoinReply, position: Position, missed: string | undefined): void {
    this.state.set(joinedRoom(this.state.get(), reply, missed !== undefined));
    if (missed === undefined) return;
    for (const lock of this.held) lock.check();
    this.notify('reset', { reason: missed, position });
  }

  override onEvent(data: Value, info: EventInfo, included?: boolean): void {
    // Anyone may publish under these names; only the server (from: null) says what the room is.
    if (info.from === null && !included) {
      this.state.set(reduceRoom(this.state.get(), info.event, data));
      if (info.event === 'lock:update') this.#lockUpdate(data);
      if (info.event === 'room:delete') this.end(new RoomwireError('room_not_found', 'the room was deleted'));
    }
    super.onEvent(data, info);
  }

  left(): void {
    this.#ended('left');
  }

  ended(error: RoomwireError, before: boolean): void {
    this.#joiners.clear();
    // A first join that failed leaves the room as it was; who called it knows.
    if (!before) return this.state.merge({ status: 'idle' });
    this.#ended(isError(error, 'room_not_found') ? 'deleted' : 'removed');
    this.notify('removed', { code: error.code, reason: error.message });
  }

  async ask(name: string, sid?: string): Promise<void> {
    await call(this.context, name, { ...this.input, sid });
  }

  #lockUpdate(data: Value): void {
    const { target } = data as { target: string };
    const { sid } = this.context.connection.state.get();
    for (const lock of this.held) {
      if (lock.target === target) lock.heard(this.state.get().locks[target] ?? null, sid);
    }
  }

  #ended(status: 'left' | 'deleted' | 'removed'): void {
    for (const lock of this.held) lock.lose('the room was left');
    this.state.merge({ status });
  }
}
