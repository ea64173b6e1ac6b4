/**
 * A room that components are in: joined once for all of them, left when the last has gone. What it
 * shows is of this stay alone: until the join's reply there is nothing, and never what an earlier
 * stay left behind.
 */
import type { Client, EventInfo, RemovedInfo, Room } from '../client/types.js';
import { RoomwireError } from '../protocol/errors.js';
import { insist, isTemporary } from './insist.js';
import { Listeners, Stay } from './stay.js';
import type { RoomView, UseRoomOptions } from './types.js';

/** On a server, and until there is a client. */
export const nowhere: RoomView = {
  status: 'joining',
  loading: true,
  metadata: null,
  members: [],
  memberCount: 0,
  complete: true,
  locks: {},
  presenter: null,
  host: null,
  error: undefined,
  room: null,
  retry: () => undefined,
};

/** Of a client that is closed. */
export const closedRoom: RoomView = {
  ...nowhere,
  status: 'refused',
  loading: false,
  error: new RoomwireError('disconnected', 'this client is closed'),
};

/** As `room.on`; through a closed client nothing is heard, and an effect must not throw for it. */
export function hear(room: Room, event: string, handler: (data: unknown, info: EventInfo) => void): () => void {
  try {
    return room.on(event as '*', handler);
  } catch {
    return () => undefined;
  }
}

export class KeptRoom {
  readonly room: Room;
  readonly #client: Client;
  readonly #listeners = new Listeners();
  readonly #stay = new Stay(() => this.#leave());
  /** A join that still counts has the latest. */
  #turn = 0;
  #joining = false;
  /** The room's state is of this stay. */
  #entered = false;
  #create: UseRoomOptions['create'];
  #error: RoomwireError | undefined;
  #unlisten: () => void = () => undefined;
  #view: RoomView | undefined;
  /** What `#view` was made of. */
  #made: readonly unknown[] = [];

  constructor(client: Client, id: string) {
    this.#client = client;
    this.room = client.room(id);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    const unsubscribe = this.room.state.subscribe(listener);
    this.#listeners.add(listener);
    return () => {
      unsubscribe();
      this.#listeners.delete(listener);
    };
  };

  /** The same object until something changes. */
  readonly get = (): RoomView => {
    const made = [this.room.state.get(), this.#entered, this.#joining, this.#error];
    if (!this.#view || made.some((part, i) => part !== this.#made[i])) {
      this.#made = made;
      this.#view = this.#look();
    }
    return this.#view;
  };

  retain(create?: UseRoomOptions['create']): () => void {
    const first = !this.#stay.wanted;
    const release = this.#stay.retain();
    this.#create ||= create;
    // Who was removed is not let in again by a component more, but by a new stay.
    if (first ? !this.#within() : create && !this.#entered) this.#enter();
    return release;
  }

  readonly retry = (): void => {
    if (this.#stay.wanted && !this.#within()) this.#enter();
  };

  /** Resolves when the join has succeeded or failed. */
  async settled(signal: AbortSignal): Promise<void> {
    while (this.get().status === 'joining' && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const unsubscribe = this.subscribe(done);
        signal.addEventListener('abort', done);
        function done(): void {
          unsubscribe();
          signal.removeEventListener('abort', done);
          resolve();
        }
      });
    }
  }

  #look(): RoomView {
    const state = this.#entered ? this.room.state.get() : nowhere;
    const { retry, room } = this;
    let status: RoomView['status'] = state.status === 'idle' ? 'joining' : state.status;
    const loading = status === 'joining';
    // Read again after missed events, what it shows stays, or all under it would be mounted anew.
    if (loading && this.#entered) status = 'joined';
    else if (loading && this.#error && !this.#joining) status = 'refused';
    return { ...state, status, loading: loading && status !== 'refused', error: this.#error, room, retry };
  }

  /** In the room, or about to be. */
  #within(): boolean {
    return this.#joining || (this.#entered && ['joined', 'joining'].includes(this.room.state.get().status));
  }

  #enter(): void {
    if (this.#joining) return;
    this.#joining = true;
    this.#error = undefined;
    this.#unlisten();
    this.#unlisten = this.#listen();
    this.#tell();
    const turn = ++this.#turn;
    // After the effects of all components: what they listen to is heard from the join on, and one that creates counts.
    queueMicrotask(() => void this.#join(turn));
  }

  #listen(): () => void {
    const stops = [
      hear(this.room, 'removed', (removed) => {
        const { code, reason } = removed as RemovedInfo;
        this.#error = new RoomwireError(code, reason);
        // It went with a connection that was refused, for one: the room itself would have us.
        if (isTemporary(this.#error)) {
          this.#entered = false;
          this.#enter();
        }
        this.#tell();
      }),
      // Joined by the application itself.
      this.room.state.subscribe(({ status }) => {
        if (status === 'joined' && !this.#joining) this.#joined();
      }),
    ];
    return () => stops.forEach((stop) => stop());
  }

  async #join(turn: number): Promise<void> {
    const wanted = (): boolean => turn === this.#turn;
    let create: UseRoomOptions['create'];
    await insist(this.#client, {
      wanted,
      run: async () => {
        create = this.#create;
        await this.room.join({ create });
        if (wanted()) this.#joined();
      },
      failed: (error, again) => {
        this.#error = error;
        this.#joining = again;
        this.#entered &&= again;
        this.#tell();
      },
    });
    // Refused, while a component came that would have it created.
    if (wanted() && !this.#entered && create !== this.#create) this.#enter();
  }

  #joined(): void {
    if (this.#entered && !this.#joining) return;
    this.#entered = true;
    this.#joining = false;
    this.#error = undefined;
    this.#tell();
  }

  #leave(): void {
    const turn = ++this.#turn;
    const within = this.#within();
    this.#unlisten();
    this.#joining = this.#entered = false;
    this.#create = this.#error = undefined;
    if (!within) return;
    void insist(this.#client, {
      wanted: () => turn === this.#turn,
      run: () => this.room.leave(),
      // Without a connection for long enough the session ends, and its stay with it.
      failed: () => undefined,
    });
  }

  #tell(): void {
    this.#listeners.tell();
  }
}
