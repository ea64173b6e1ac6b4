/**
 * A lock as components show and use it: what the room tells of its holder, and the lease of this
 * session, asked for once for all of them and given back when the last has gone. A lease that was
 * lost is no longer `mine` at once, whatever the server has yet to tell.
 */
import type { Client, Lock } from '../client/types.js';
import { RoomwireError } from '../protocol/errors.js';
import type { LockInfo } from '../protocol/rooms-model.js';
import { closedRoom, type KeptRoom } from './kept-room.js';
import { Listeners, Stay } from './stay.js';
import type { AcquireOptions, LockView } from './types.js';

/** On a server, and until there is a client. */
export const unknownLock: LockView = {
  status: 'free',
  holder: null,
  deadline: null,
  lock: null,
  error: undefined,
  acquire: () => Promise.resolve(null),
  release: () => Promise.resolve(false),
};

/** Of a client that is closed. */
export const closedLock: LockView = { ...unknownLock, error: closedRoom.error };

interface Asking {
  readonly abort: AbortController;
  /** Wall-clock ms; null: no longer than for the answer. */
  readonly until: number | null;
  readonly answer: Promise<Lock | null>;
}

export class KeptLock {
  readonly #client: Client;
  readonly #room: KeptRoom;
  readonly #target: string;
  readonly #listeners = new Listeners();
  readonly #stay = new Stay(() => void this.#release());
  #asking: Asking | undefined;
  #held: Lock | undefined;
  /** The last lease of ours, which is over although the server may not have told yet. */
  #over: LockInfo | undefined;
  #error: RoomwireError | undefined;
  #view = unknownLock;
  /** What `#view` was made of. */
  #made: readonly unknown[] = [];
  readonly #acquire = (options?: AcquireOptions): Promise<Lock | null> => this.#ask(options);
  readonly #giveBack = (): Promise<boolean> => this.#release();

  constructor(client: Client, room: KeptRoom, target: string) {
    this.#client = client;
    this.#room = room;
    this.#target = target;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    const unsubscribe = this.#room.subscribe(listener);
    this.#listeners.add(listener);
    return () => {
      unsubscribe();
      this.#listeners.delete(listener);
    };
  };

  /** The same object until something changes, such as the end of a lease that was renewed. */
  readonly get = (): LockView => {
    const made = [
      this.#info(),
      this.#mySid(),
      this.#asking,
      this.#held,
      this.#held?.expiresAt,
      this.#over,
      this.#error,
    ];
    if (made.length !== this.#made.length || made.some((part, i) => part !== this.#made[i])) {
      this.#made = made;
      this.#view = this.#look();
    }
    return this.#view;
  };

  /** Who may hold a lock is in the room. */
  retain(): () => void {
    // In this order, so that the lock is given back before the room is left.
    const releases = [this.#stay.retain(), this.#room.retain()];
    return () => {
      for (const release of releases) release();
    };
  }

  #look(): LockView {
    const info = this.#info();
    const held = this.#held;
    const base = { holder: info ?? null, lock: held ?? null, error: this.#error };
    const actions = { acquire: this.#acquire, release: this.#giveBack };
    if (held) return { ...base, status: 'mine', deadline: this.#wallClock(held.expiresAt), ...actions };
    if (this.#asking) return { ...base, status: 'waiting', deadline: this.#asking.until, ...actions };
    // Ours and over; or nobody's.
    if (!info || isSame(info, this.#over)) return { ...base, status: 'free', holder: null, deadline: null, ...actions };
    // Without its token it is not ours to use, whichever session has it.
    return { ...base, status: 'other', deadline: this.#wallClock(info.expiresAt), ...actions };
  }

  /** What the room tells, while it is told anything. */
  #info(): LockInfo | undefined {
    const { status, locks } = this.#room.get();
    return status === 'joined' ? locks[this.#target] : undefined;
  }

  #mySid(): string | undefined {
    return this.#client.state.get().sid;
  }

  #wallClock(storeTime: number): number {
    return Date.now() + storeTime - this.#client.now();
  }

  #ask(options: AcquireOptions = {}): Promise<Lock | null> {
    if (this.#held) return Promise.resolve(this.#held);
    if (this.#asking) return this.#asking.answer;
    const abort = new AbortController();
    const until = options.wait ? Date.now() + options.wait : null;
    this.#error = undefined;
    const asking: Asking = { abort, until, answer: this.#answer(options, abort.signal, () => this.#asking === asking) };
    this.#asking = asking;
    this.#listeners.tell();
    return asking.answer;
  }

  /** `current`: nothing else was asked for since. */
  async #answer(options: AcquireOptions, signal: AbortSignal, current: () => boolean): Promise<Lock | null> {
    let lock: Lock | undefined;
    let failure: RoomwireError | undefined;
    try {
      await this.#room.settled(signal);
      lock = await this.#room.room.lock(this.#target, { ...options, signal });
    } catch (error) {
      failure = error instanceof RoomwireError ? error : new RoomwireError('bad_request', String(error));
    }
    if (!current()) {
      // Given up while the answer was on its way.
      lock?.release().catch(() => undefined);
      return null;
    }
    this.#asking = undefined;
    this.#error = failure;
    const handle = lock && this.#hold(lock);
    this.#listeners.tell();
    return handle ?? null;
  }

  #hold(lock: Lock): Lock {
    const lost = (): void => {
      if (this.#held === handle) this.#end(lock.signal.reason as RoomwireError);
    };
    const handle: Lock = {
      target: lock.target,
      token: lock.token,
      signal: lock.signal,
      get expiresAt() {
        return lock.expiresAt;
      },
      refresh: () => lock.refresh(),
      message: (msg) => lock.message(msg),
      release: () => {
        if (this.#held === handle) this.#end(undefined);
        return lock.release();
      },
    };
    this.#held = handle;
    lock.signal.addEventListener('abort', lost);
    if (lock.signal.aborted) lost();
    return handle;
  }

  #end(error: RoomwireError | undefined): void {
    this.#held = undefined;
    const info = this.#info();
    this.#over = info?.sid === this.#mySid() ? info : undefined;
    this.#error = error;
    this.#listeners.tell();
  }

  async #release(): Promise<boolean> {
    const asking = this.#asking;
    this.#asking = undefined;
    asking?.abort.abort();
    if (asking) this.#listeners.tell();
    // What cannot be told to the server ends with the lease.
    return (await this.#held?.release().catch(() => false)) ?? false;
  }
}

/** The same lease, whatever was renewed in it. */
function isSame(info: LockInfo, other: LockInfo | undefined): boolean {
  return other !== undefined && info.sid === other.sid && info.timestamp === other.timestamp;
}
