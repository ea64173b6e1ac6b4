/** One client's view of a room that it shares with the connection's other clients. */
import type { RoomFields } from '../protocol/rooms-model.js';
import type { AnyHandler } from './emitter.js';
import { Owned, type Owner } from './owned.js';
import type { FollowedRoom } from './room.js';
import type { CallOptions, Lock, LockOptions, Published, RoomState } from './types.js';

export class RoomHandle {
  readonly id: string;
  readonly topic: string;
  readonly state: Owned<RoomState>;
  readonly presenter: {
    take(): Promise<void>;
    release(): Promise<void>;
    give(sid: string): Promise<void>;
  };
  readonly #room: FollowedRoom;
  readonly #owner: Owner;

  constructor(room: FollowedRoom, owner: Owner) {
    this.id = room.id;
    this.topic = room.topic;
    this.state = new Owned(room.state, owner);
    this.presenter = {
      take: () => room.ask('presenter:take'),
      release: () => room.ask('presenter:release'),
      give: (sid) => room.ask('presenter:give', sid),
    };
    this.#room = room;
    this.#owner = owner;
  }

  on(event: string, handler: AnyHandler): () => void {
    this.#owner.insist();
    return this.#owner.until(this.#room.on(event, handler));
  }

  async publish(event: string, data: unknown, options?: CallOptions): Promise<Published> {
    this.#owner.insist();
    return this.#room.publish(event, data, options);
  }

  volatile(event: string, slot: string, data: unknown): void {
    this.#owner.insist();
    this.#room.volatile(event, slot, data);
  }

  async join({ create }: { readonly create?: boolean | RoomFields | undefined } = {}): Promise<RoomState> {
    this.#owner.insist();
    return this.#room.join(this.#owner, create);
  }

  async leave(): Promise<void> {
    this.#owner.insist();
    return this.#room.leave();
  }

  async lock(target: string, options?: LockOptions): Promise<Lock> {
    this.#owner.insist();
    return this.#room.lock(this.#owner, target, options);
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
}
