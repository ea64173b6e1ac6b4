/**
 * The list of rooms that components show. The client keeps one, of one group: that of the component
 * mounted last. Joining a room may end the watch; for whom still shows the list it is begun again.
 */
import type { Client } from '../client/types.js';
import type { RoomwireError } from '../protocol/errors.js';
import type { RoomMetadata } from '../protocol/rooms-model.js';
import { insist } from './insist.js';
import { Listeners, Stay } from './stay.js';
import type { RoomsView } from './types.js';

type View = RoomsView<RoomMetadata>;
type Group = string | undefined;

/** On a server, and until there is a client. */
export const noRooms: View = { rooms: [], watching: false, loading: true, error: undefined };

export class KeptList {
  readonly #client: Client;
  readonly #listeners = new Listeners();
  /** In the order of mounting. */
  readonly #stays = new Map<Group, Stay>();
  /** What the client's list is of; null: of nothing yet. */
  #group: Group | null = null;
  /** A watch that still counts has the latest. */
  #turn = 0;
  #busy = false;
  #error: RoomwireError | undefined;
  #view = noRooms;

  constructor(client: Client) {
    this.#client = client;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    const { rooms } = this.#client;
    const stops = [rooms.subscribe(listener), rooms.status.subscribe(listener)];
    this.#listeners.add(listener);
    return () => {
      for (const stop of stops) stop();
      this.#listeners.delete(listener);
    };
  };

  /** The same object until something changes. The rooms of another group are not shown. */
  get(group: Group): View {
    if (group !== this.#group) return noRooms;
    const { watching, loading } = this.#client.rooms.status.get();
    const error = this.#error;
    const view = { rooms: this.#client.rooms.list(), watching, loading: loading || !(watching || error), error };
    const same = (Object.keys(view) as (keyof View)[]).every((key) => view[key] === this.#view[key]);
    return same ? this.#view : (this.#view = view);
  }

  retain(group: Group): () => void {
    const stay = this.#stays.get(group) ?? new Stay(() => this.#end(group));
    // Last comes who was mounted last.
    this.#stays.delete(group);
    this.#stays.set(group, stay);
    const release = stay.retain();
    const stop = this.#client.rooms.status.subscribe(() => this.#soon());
    this.#soon();
    return () => {
      stop();
      release();
    };
  }

  /** After the effects of all components, and after what the client is in the middle of. */
  #soon(): void {
    queueMicrotask(() => this.#watch());
  }

  /** Has the list watched whose component was mounted last, unless it is. */
  #watch(): void {
    const wanted = [...this.#stays].filter(([, stay]) => stay.wanted).at(-1);
    if (!wanted) return;
    const [group] = wanted;
    if (group === this.#group && (this.#busy || this.#error || this.#client.rooms.status.get().watching)) return;
    const turn = ++this.#turn;
    this.#group = group;
    this.#busy = true;
    this.#error = undefined;
    this.#listeners.tell();
    void insist(this.#client, {
      wanted: () => turn === this.#turn,
      run: async () => {
        await this.#client.rooms.watch({ group });
        this.#settled(turn, undefined, false);
      },
      failed: (error, again) => this.#settled(turn, error, again),
    });
  }

  #settled(turn: number, error: RoomwireError | undefined, again: boolean): void {
    if (turn !== this.#turn) return;
    this.#error = error;
    this.#busy = again;
    this.#listeners.tell();
    // The server may have ended it as soon as it had begun.
    if (!error) this.#soon();
  }

  #end(group: Group): void {
    this.#stays.delete(group);
    if (group !== this.#group) return;
    const turn = ++this.#turn;
    this.#busy = false;
    this.#error = undefined;
    this.#watch();
    // Another list of the client's takes the place of this one.
    if (turn !== this.#turn || this.#stays.size > 0) return;
    void insist(this.#client, {
      wanted: () => turn === this.#turn,
      run: () => this.#client.rooms.unwatch(),
      // Without a connection for long enough the session ends, and the watch with it.
      failed: () => undefined,
    });
  }
}
