/** One client's view of a room that it shares with the connection's other clients. */
import type { RoomFields } from '../protocol/rooms-model.js';
import type { AnyHandler } from './emitter.js';
import { Owned, type Owner } from './owned.js';
import type { FollowedRoom } from './room.js';
import type { CallOptions, Lock, LockOptions, Published, RoomState } from './types.js';

export class RoomHandle {
  declare readonly id: string;
  declare readonly topic: string;
  declare readonly state: Owned<RoomState>;
  declare readonly presenter: {
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
      take: async () => this.#open.ask('presenter:take'),
      release: async () => this.#open.ask('presenter:release'),
      give: async (sid) => this.#open.ask('presenter:give', sid),
    };
    this.#room = room;
    this.#owner = owner;
  }

  on(event: string, handler: AnyHandler): () => void {
    return this.#owner.until(this.#open.on(event, handler));
  }

  async publish(event: string, data: unknown, options?: CallOptions): Promise<Published> {
    return this.#open.publish(event, data, options);
  }

  volatile(event: string, slot: string, data: unknown): void {
    this.#open.volatile(event, slot, data);
  }

  async join({ create }: { readonly create?: boolean | RoomFields | undefined } = {}): Promise<RoomState> {
    return this.#open.join(this.#owner, create);
  }

  async leave(): Promise<void> {
    return this.#open.leave();
  }

  async lock(target: string, options?: LockOptions): Promise<Lock> {
    return this.#open.lock(this.#owner, target, options);
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

  get #open(): FollowedRoom {
    this.#owner.insist();
    return this.#room;
  }
}
