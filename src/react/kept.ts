/** What the components of one client share. Like the client's rooms, it stays once it was asked for. */
import type { Client } from '../client/types.js';
import { KeptList } from './kept-list.js';
import { KeptLock } from './kept-lock.js';
import { KeptRoom } from './kept-room.js';

export class Kept {
  readonly client: Client;
  readonly list: KeptList;
  readonly #rooms = new Map<string, KeptRoom>();
  readonly #locks = new Map<KeptRoom, Map<string, KeptLock>>();

  constructor(client: Client) {
    this.client = client;
    this.list = new KeptList(client);
  }

  /** Undefined once the client is closed: for a render that is an error to show, not to throw. */
  room(id: string): KeptRoom | undefined {
    let room = this.#rooms.get(id);
    if (!room && this.client.state.get().status !== 'closed') {
      this.#rooms.set(id, (room = new KeptRoom(this.client, id)));
    }
    return room;
  }

  lock(id: string, target: string): KeptLock | undefined {
    const room = this.room(id);
    if (!room) return undefined;
    let locks = this.#locks.get(room);
    if (!locks) this.#locks.set(room, (locks = new Map<string, KeptLock>()));
    let lock = locks.get(target);
    if (!lock) locks.set(target, (lock = new KeptLock(this.client, room, target)));
    return lock;
  }
}

const all = new WeakMap<Client, Kept>();

/** The same for every provider of a client. */
export function keptOf(client: Client): Kept {
  let kept = all.get(client);
  if (!kept) all.set(client, (kept = new Kept(client)));
  return kept;
}
