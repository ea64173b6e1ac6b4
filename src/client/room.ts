/**
 * A room as this client sees it: joined with one call whose reply is the whole state at a position,
 * kept current by the server's events after it, and joined again by itself when events were missed.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { Position, Value } from '../protocol/frames.js';
import type { RoomFields } from '../protocol/rooms-contract.js';
import { call, type Context } from './context.js';
import { Follower, type Followed } from './follower.js';
import { acquireLock, type HeldLock } from './lock.js';
import { Observed } from './observable.js';
import { isError } from './error-kinds.js';
import { idleRoom, joinedRoom, reduceRoom, type JoinReply } from './room-state.js';
import { Stream } from './stream.js';
import type { EventInfo, Lock, LockOptions, RoomState } from './types.js';

export class FollowedRoom extends Stream implements Followed<JoinReply> {
  readonly id: string;
  readonly name = 'room';
  readonly input: { readonly roomId: string };
  readonly state: Observed<RoomState>;
  readonly locks = new Set<HeldLock>();
  readonly presenter = {
    take: () => this.#ask('presenter:take'),
    release: () => this.#ask('presenter:release'),
    give: (sid: string) => this.#ask('presenter:give', sid),
  };
  readonly #follower: Follower<JoinReply>;

  constructor(context: Context, id: string) {
    super(context, `room:${id}`);
    this.id = id;
    this.input = { roomId: id };
    this.state = new Observed(idleRoom, context.settings.report);
    this.#follower = new Follower(context, this.topic, this);
  }

  /** While it is joined, again or for the first time, the server would refuse what is published. */
  get joining(): Promise<void> | undefined {
    return this.#follower.busy;
  }

  async join({ create }: { readonly create?: boolean | RoomFields | undefined } = {}): Promise<RoomState> {
    await this.#follower.follow({ create });
    return this.state.get();
  }

  async leave(): Promise<void> {
    await this.#follower.leave();
    if (!this.#follower.wanted) this.#left('left');
  }

  lock(target: string, options?: LockOptions): Promise<HeldLock> {
    return acquireLock(this.context, this, target, options);
  }

  async withLock<R>(target: string, options: LockOptions, run: (lock: Lock) => R | Promise<R>): Promise<R> {
    const lock = await this.lock(target, options);
    try {
      return await run(lock);
    } finally {
      // A release that fails must not hide what `run` did; the lease ends by itself.
      await lock.release().catch(() => false);
    }
  }

  loading(missing: boolean): void {
    // A second join of a room that misses nothing leaves it as it is.
    if (missing || this.state.get().status !== 'joined') this.state.merge({ status: 'joining' });
  }

  read(reply: Value): JoinReply {
    return reply as unknown as JoinReply;
  }

  apply(reply: JoinReply, position: Position, missed: string | undefined): void {
    this.state.set(joinedRoom(this.state.get(), reply, missed !== undefined));
    if (missed === undefined) return;
    for (const lock of this.locks) lock.check();
    this.tell('reset', { reason: missed, position });
  }

  override event(data: Value, info: EventInfo, included?: boolean): void {
    // Anyone may publish under these names; only the server (from: null) says what the room is.
    if (info.from === null && !included) {
      this.state.set(reduceRoom(this.state.get(), info.event, data));
      if (info.event === 'lock:update') this.#lockUpdate(data);
      if (info.event === 'room:delete') this.#follower.end(new RoomwireError('room_not_found', 'the room was deleted'));
    }
    super.event(data, info);
  }

  ended(error: RoomwireError, before: boolean): void {
    // A first join that failed leaves the room as it was; who called it knows.
    if (!before) {
      this.state.merge({ status: 'idle' });
      return;
    }
    this.#left(isError(error, 'room_not_found') ? 'deleted' : 'removed');
    this.tell('removed', { code: error.code, reason: error.message });
  }

  #lockUpdate(data: Value): void {
    const { target } = data as { target: string };
    const { sid } = this.context.connection.state.get();
    for (const lock of this.locks) {
      if (lock.target === target) lock.heard(this.state.get().locks[target] ?? null, sid);
    }
  }

  #left(status: 'left' | 'deleted' | 'removed'): void {
    for (const lock of this.locks) lock.lose('the room was left');
    this.state.merge({ status });
  }

  async #ask(name: string, sid?: string): Promise<void> {
    await call(this.context, name, { ...this.input, sid });
  }
}
