/**
 * `client.rooms`: the room table, and how it is kept current. Joining the overview comes first, then
 * the list is fetched while events wait. So nothing falls between the two, and nothing that is held
 * ever gets older.
 */
import type { Positions, Value } from '../protocol/frames.js';
import type { RoomMetadata } from '../protocol/rooms-contract.js';
import { RELOAD_MS } from './bounds.js';
import type { Context } from './context.js';
import { fetchRooms } from './fetch-rooms.js';
import { Follower, type Followed } from './follower.js';
import { Observed } from './observable.js';
import { RoomTable } from './rooms-store.js';
import type { EventInfo, RoomsStatus } from './types.js';

interface List {
  readonly rooms: readonly RoomMetadata[];
  readonly positions: Positions;
}

export class Overview extends RoomTable implements Followed<List> {
  readonly name = 'overview';
  readonly status: Observed<RoomsStatus>;
  input: { readonly group?: string | undefined } = {};
  readonly #context: Context;
  #follower: Follower<List> | undefined;
  #reload: unknown;

  constructor(context: Context) {
    super(context.settings.report);
    this.#context = context;
    this.status = new Observed<RoomsStatus>({ watching: false, loading: false }, context.settings.report);
  }

  async watch({ group }: { readonly group?: string | undefined } = {}): Promise<void> {
    if (this.#follower && group !== this.input.group) {
      const old = this.#follower;
      this.#follower = undefined;
      this.clear();
      await this.#leave(old);
      old.dispose();
    }
    this.input = { group };
    this.#follower ??= new Follower(this.#context, `overview:${group ?? 'public'}`, this);
    if (!this.status.get().watching || this.#follower.busy) await this.#follower.follow();
  }

  async unwatch(): Promise<void> {
    if (this.#follower) await this.#leave(this.#follower);
  }

  loading(): void {
    this.status.merge({ loading: true });
  }

  read(_reply: Value, signal: AbortSignal): Promise<List> {
    return fetchRooms(this.#context, this.input.group, signal);
  }

  apply({ rooms }: List): void {
    this.replace(rooms);
    this.status.merge({ watching: true, loading: false });
  }

  event(data: Value, { event, from }: EventInfo): void {
    if (from !== null) return;
    const { roomId, created, ...changes } = data as unknown as { roomId: string; created?: boolean; version: number };
    if (event === 'room:delete') this.removeRoom(roomId, changes.version);
    else if (event !== 'room:update') return;
    else if (created) this.setRoom(roomId, { ...newRoom, ...changes, id: roomId });
    // A room that came into view: only the list has all of it.
    else if (!this.updateRoom(roomId, changes)) this.#reloadSoon();
  }

  ended(): void {
    this.#context.settings.timers.clearTimeout(this.#reload);
    this.#reload = undefined;
    this.status.merge({ watching: false, loading: false });
  }

  #leave(follower: Follower<List>): Promise<void> {
    this.ended();
    return follower.leave();
  }

  #reloadSoon(): void {
    this.#reload ??= this.#context.settings.timers.setTimeout(() => {
      this.#reload = undefined;
      this.#follower?.again('gap');
    }, RELOAD_MS);
  }
}

/** What a room is until its creation event says more. */
const newRoom: Omit<RoomMetadata, 'id' | 'version'> = {
  description: null,
  frameCount: 0,
  locked: false,
  hidden: false,
  isDefault: false,
  metadataLocked: null,
  presenterSid: null,
  group: null,
};
