/**
 * `client.rooms`: the room table, and how it is kept current. Joining the overview comes first, then
 * the list is fetched while events wait. So nothing falls between the two, and nothing that is held
 * ever gets older. Of each group's list there is a follower of its own; the table is of the one that is watched.
 */
import type { RoomwireError } from '../protocol/errors.js';
import type { Positions, Value } from '../protocol/frames.js';
import type { RoomMetadata } from '../protocol/rooms-model.js';
import { RELOAD_MS } from './bounds.js';
import type { Alarm } from './clock.js';
import type { Context } from './context.js';
import { fetchRooms } from './fetch-rooms.js';
import { Follower, type Followed } from './follower.js';
import { Observed } from './observable.js';
import type { Owner } from './owned.js';
import { RoomTable } from './rooms-store.js';
import type { EventInfo, RoomsStatus } from './types.js';

interface List {
  readonly rooms: readonly RoomMetadata[];
  readonly positions: Positions;
}

type Group = string | undefined;

export class Overview extends RoomTable {
  declare readonly status: Observed<RoomsStatus>;
  readonly #context: Context;
  /** Those that are watched, or yet to be left. */
  readonly #lists = new Map<Group, Follower<List>>();
  #watched: Follower<List> | undefined;
  /** Of the clients that share it, those that asked to watch. */
  readonly #watchers = new Set<Owner>();
  readonly #alarm: Alarm;
  /** The list is to be fetched again, in a while. */
  #reloads = false;

  constructor(context: Context) {
    super(context.settings.report);
    this.#context = context;
    this.#alarm = context.settings.clock.alarm();
    this.status = new Observed<RoomsStatus>({ watching: false, loading: false }, context.settings.report);
  }

  async watch(owner: Owner, group: Group): Promise<void> {
    this.#watchers.add(owner);
    let list = this.#lists.get(group);
    if (!list) this.#lists.set(group, (list = this.#follower(group)));
    if (list !== this.#watched) {
      const old = this.#watched;
      this.#watched = list;
      if (old) {
        this.#stop();
        this.clear();
        // Only the server hears of it; if it cannot, it is told later.
        old.unfollow().catch(() => undefined);
      }
    } else if (this.status.get().watching && !list.joining) return;
    await list.follow();
  }

  async unwatch(): Promise<void> {
    this.#watchers.clear();
    this.#stop();
    await this.#watched?.unfollow();
  }

  /** A client that shares it is closed: the list goes where it alone had it watched. */
  disown(owner: Owner): void {
    if (this.#watchers.delete(owner) && this.#watchers.size === 0) this.unwatch().catch(() => undefined);
  }

  end(error: RoomwireError): void {
    for (const list of this.#lists.values()) list.end(error);
  }

  #follower(group: Group): Follower<List> {
    const watched = (): boolean => this.#lists.get(group) === this.#watched;
    const kept = (): void => {
      if (watched()) this.status.merge({ watching: true, loading: false });
    };
    const followed: Followed<List> = {
      name: 'overview',
      input: { group },
      read: (_reply, signal) => fetchRooms(this.#context, group, signal),
      reading: () => watched() && this.status.merge({ loading: true }),
      apply: ({ rooms }) => {
        if (watched()) this.replace(rooms);
        kept();
      },
      kept,
      onEvent: (data, info) => watched() && this.#event(data, info),
      left: () => {
        // Another group's, for which there may be no other time.
        if (!watched() && !this.#lists.get(group)?.wanted) this.#lists.delete(group);
      },
      ended: () => watched() && this.#stop(),
    };
    return new Follower(this.#context, `overview:${group ?? 'public'}`, followed);
  }

  #event(data: Value, { event, from }: EventInfo): void {
    if (from !== null) return;
    const { roomId, created, ...changes } = data as unknown as { roomId: string; created?: boolean; version: number };
    if (event === 'room:delete') this.removeRoom(roomId, changes.version);
    else if (event !== 'room:update') return;
    else if (created) this.setRoom(roomId, { ...changes, id: roomId } as RoomMetadata);
    // A room that came into view: only the list has all of it.
    else if (!this.updateRoom(roomId, changes)) {
      if (this.#reloads) return;
      this.#reloads = true;
      this.#alarm(RELOAD_MS, () => {
        this.#reloads = false;
        this.#watched?.again('gap');
      });
    }
  }

  #stop(): void {
    this.#alarm();
    this.#reloads = false;
    this.status.merge({ watching: false, loading: false });
  }
}
