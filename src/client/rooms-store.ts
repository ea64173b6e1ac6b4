/**
 * The list of rooms, by version: what is not newer than what is held, or than what was deleted, is
 * not applied. So pages, events and the application may write in any order.
 */
import type { RoomMetadata } from '../protocol/rooms-model.js';
import { MAX_DELETED_ROOMS } from './bounds.js';
import { Observed } from './observable.js';

export type Changes = Readonly<Record<string, unknown>> & { readonly version?: number };

export class RoomTable {
  /** The same immutable array until something changes. */
  declare readonly list: Observed<readonly RoomMetadata[]>;
  readonly #rooms = new Map<string, RoomMetadata>();
  /** The version at which a room was deleted: nothing up to it brings the room back. */
  readonly #deleted = new Map<string, number>();

  constructor(report: (error: unknown) => void) {
    this.list = new Observed<readonly RoomMetadata[]>([], report);
  }

  get(id: string): RoomMetadata | undefined {
    return this.#rooms.get(id);
  }

  setRoom(id: string, metadata: RoomMetadata): void {
    if (this.#write(id, metadata, metadata.version)) this.#changed();
  }

  /** False when the room is not known: its other fields must be fetched. */
  updateRoom(id: string, changes: Changes): boolean {
    const room = this.#rooms.get(id);
    if (!room) return !this.#isNewer(id, changes.version);
    // Without a version it is the application's own word, as of what it saw.
    if (this.#write(id, { ...room, ...changes }, changes.version)) this.#changed();
    return true;
  }

  removeRoom(id: string, version = this.#version(id)): void {
    if (this.#version(id) > version) return;
    this.#bury(id, version);
    this.#changed();
  }

  /** Takes over a whole list: a room that is not on it is gone, and a newer one on it is news. */
  replace(rooms: readonly RoomMetadata[]): void {
    const listed = new Set(rooms.map(({ id }) => id));
    for (const [id, { version }] of this.#rooms) if (!listed.has(id)) this.#bury(id, version);
    for (const room of rooms) this.#write(room.id, room, room.version);
    this.#changed();
  }

  clear(): void {
    this.#rooms.clear();
    this.#deleted.clear();
    this.#changed();
  }

  #version(id: string): number {
    return Math.max(this.#rooms.get(id)?.version ?? 0, this.#deleted.get(id) ?? 0);
  }

  #isNewer(id: string, version = Infinity): boolean {
    return version > this.#version(id);
  }

  #write(id: string, room: RoomMetadata, version: number | undefined): boolean {
    if (!this.#isNewer(id, version)) return false;
    this.#deleted.delete(id);
    this.#rooms.set(id, { ...room, id });
    return true;
  }

  #bury(id: string, version: number): void {
    this.#rooms.delete(id);
    this.#deleted.delete(id);
    this.#deleted.set(id, version);
    if (this.#deleted.size > MAX_DELETED_ROOMS) this.#deleted.delete(this.#deleted.keys().next().value as string);
  }

  #changed(): void {
    this.list.set([...this.#rooms.values()]);
  }
}
