/**
 * The locks of the open room and who holds them, running down. The room tells who takes and who releases;
 * that a lease was renewed is told to nobody, so while somebody holds one it is asked for once a second.
 */
import type { LockInfo } from '../../protocol/rooms-contract.js';
import { byId, h, seconds, setText } from './dom.js';
import { isolated } from './isolated.js';
import { KeyedRows, type Row } from './keyed-rows.js';
import { Poll } from './poll.js';
import { locksOf } from './rest.js';

export interface RoomLocksOptions {
  readonly token: string | undefined;
  /** Store time in ms. */
  readonly now: () => number;
}

export class RoomLocks {
  readonly #options: RoomLocksOptions;
  readonly #rows: KeyedRows<LockInfo>;
  readonly #poll = new Poll(() => this.#ask());
  #roomId: string | undefined;
  #locks: readonly LockInfo[] = [];

  constructor(options: RoomLocksOptions) {
    this.#options = options;
    this.#rows = new KeyedRows(
      byId('room-locks', HTMLUListElement),
      ({ target }) => target,
      (target) => this.#row(target),
    );
  }

  open(roomId: string): void {
    this.close();
    this.#roomId = roomId;
  }

  close(): void {
    this.#roomId = undefined;
    this.show({});
  }

  /** What the room says. */
  show(locks: Readonly<Record<string, LockInfo>>): void {
    const known = new Map(this.#locks.map((lock) => [lock.target, lock]));
    this.#locks = Object.values(locks).map((lock) => {
      const before = known.get(lock.target);
      // The same lease, and what was asked since is newer.
      return before?.timestamp === lock.timestamp && before.expiresAt > lock.expiresAt ? before : lock;
    });
    if (this.#locks.length > 0) this.#poll.start();
    else this.#poll.stop();
    this.tick();
  }

  /** Called a few times a second. */
  tick(): void {
    this.#rows.show(this.#locks);
  }

  async #ask(): Promise<void> {
    const roomId = this.#roomId;
    if (roomId === undefined) return;
    const asked = await locksOf(roomId, this.#options.token);
    if (roomId !== this.#roomId) return;
    const leases = new Map(asked.map((lock) => [lock.target, lock]));
    // Who holds what is the room's to say: this answer may be older than what it said meanwhile.
    this.#locks = this.#locks.map((lock) => {
      const found = leases.get(lock.target);
      return found?.timestamp === lock.timestamp ? found : lock;
    });
    this.tick();
  }

  #row(target: string): Row<LockInfo> {
    const holder = h('span', { class: 'name' });
    const left = h('span', { class: 'quiet number' });
    return {
      element: h('li', { 'data-testid': 'room-lock', 'data-target': target }, h('code', {}, target), holder, left),
      show: ({ userName, msg, expiresAt }) => {
        setText(holder, userName);
        holder.title = isolated(msg ?? '');
        setText(left, `${seconds(expiresAt - this.#options.now())} left`);
      },
    };
  }
}
