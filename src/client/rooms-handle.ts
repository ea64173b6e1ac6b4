/** One client's view of the list of rooms that it shares with the connection's other clients. */
import type { RoomMetadata } from '../protocol/rooms-model.js';
import type { Overview } from './overview.js';
import { Owned, type Owner } from './owned.js';
import type { Changes } from './rooms-store.js';
import type { RoomsStatus } from './types.js';

export class RoomsHandle {
  declare readonly status: Owned<RoomsStatus>;
  readonly #overview: Overview;
  readonly #owner: Owner;

  constructor(overview: Overview, owner: Owner) {
    this.status = new Owned(overview.status, owner);
    this.#overview = overview;
    this.#owner = owner;
  }

  get(id?: string): unknown {
    return id === undefined ? this.list() : this.#overview.get(id);
  }

  list(): readonly RoomMetadata[] {
    return this.#overview.list.get();
  }

  subscribe(listener: (rooms: readonly RoomMetadata[]) => void): () => void {
    return this.#owner.until(this.#overview.list.subscribe(listener));
  }

  setRoom(id: string, metadata: RoomMetadata): void {
    this.#open.setRoom(id, metadata);
  }

  updateRoom(id: string, changes: Changes): void {
    this.#open.updateRoom(id, changes);
  }

  removeRoom(id: string): void {
    this.#open.removeRoom(id);
  }

  async watch({ group }: { readonly group?: string | undefined } = {}): Promise<void> {
    await this.#open.watch(this.#owner, group);
  }

  async unwatch(): Promise<void> {
    await this.#open.unwatch();
  }

  get #open(): Overview {
    this.#owner.insist();
    return this.#overview;
  }
}
