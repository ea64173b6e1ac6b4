/**
 * Lists of rooms. Each overview has an index of its own, so that nobody pays for rooms that they may not see. A list is read
 * in steps of so many rooms, one step of one list a tick, in turn: a search through thousands keeps nobody waiting.
 * What one asker makes the server look at has a rate (reads.ts). records.ts writes the index.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { Position } from '../protocol/frames.js';
import type { PluginHost, Transaction } from '../server/api.js';
import { groupsOf } from './access.js';
import type { ListQuery, RoomPage } from './api.js';
import { requireSomebody, type Asker } from './holder.js';
import type { Policies } from './policies.js';
import type { Reads } from './reads.js';
import { findRoomCopy, listedIds, listedIn, listRooms, overviewTopic, type Metadata } from './records.js';

/** Rooms of one step, and of one page: a list that found less goes on with the next page. */
const STEP = 100;
const SCAN = 2_000;
/** Lists that may wait for their turn, and ms after which one more may come. */
const WAITING = 256;
const RETRY_MS = 100;

interface Step {
  readonly found: readonly Metadata[];
  /** The last that was looked at; null: there are no more. */
  readonly next: string | null;
  readonly looked: number;
  readonly position: Position;
}

export class RoomList {
  readonly #server: PluginHost;
  readonly #reads: Reads;
  readonly #policies: Policies;
  /** Resolved in turn, one step at a time. */
  readonly #waiting: (() => void)[] = [];
  #stepping = false;

  constructor(host: PluginHost, reads: Reads, policies: Policies) {
    this.#server = host;
    this.#reads = reads;
    this.#policies = policies;
  }

  /** Rejects with forbidden for a group that the asker is not in, and with too_many. */
  async page(
    { after = '', limit = 100, group, hidden = false, search = '' }: ListQuery,
    asker: Asker,
  ): Promise<RoomPage> {
    requireSomebody(asker);
    const all = asker === undefined || asker.kind !== 'user';
    if (group !== undefined && !all && !groupsOf(asker.user).includes(group)) {
      throw new RoomwireError('forbidden', `you are not in the group '${group}'`);
    }
    const most = Math.min(Math.max(1, limit), 1_000);
    const mayShow = (tx: Transaction, room: Metadata): boolean => this.#policies.mayShow(tx, asker, room);
    const wanted = { group, needle: search.toLowerCase(), ...(hidden ? { mayShow } : {}) };
    const rooms: Metadata[] = [];
    let next: string | null = after;
    let looked = 0;
    let position: Position | undefined;
    while (next !== null && rooms.length < most && looked < SCAN) {
      this.#reads.count(asker, STEP);
      const from: string = next;
      const step: Step = await this.#inTurn((tx) => stepOf(tx, wanted, { from, most: most - rooms.length }));
      rooms.push(...step.found);
      looked += step.looked;
      // Before any of the rooms was read: what changes from there on comes as events.
      position ??= step.position;
      ({ next } = step);
    }
    return { rooms, next, positions: { [overviewTopic(group)]: position as Position } };
  }

  async #inTurn(work: (tx: Transaction) => Step): Promise<Step> {
    if (this.#stepping) {
      if (this.#waiting.length >= WAITING) {
        throw new RoomwireError('too_many', 'too many lists of rooms are being read', {
          details: { retryAfterMs: RETRY_MS },
        });
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#stepping = true;
    try {
      return await this.#server.transact(work);
    } finally {
      const turn = this.#waiting.shift();
      if (turn === undefined) this.#stepping = false;
      else turn();
    }
  }
}

interface Wanted {
  readonly group: string | undefined;
  readonly needle: string;
  /** Hidden rooms are wanted, too: those of which it is true. */
  readonly mayShow?: (tx: Transaction, room: Metadata) => boolean;
}

function stepOf(
  tx: Transaction,
  { group, needle, mayShow }: Wanted,
  { from, most }: { readonly from: string; readonly most: number },
): Step {
  const overview = overviewTopic(group);
  const position = tx.position(overview);
  // Hidden rooms are in no overview: they are looked for among all there are.
  const ids = mayShow ? listRooms(tx, from, STEP).map(([id]) => id) : listedIds(tx, overview, from, STEP);
  const found: Metadata[] = [];
  for (const [i, id] of ids.entries()) {
    const metadata = findRoomCopy(tx, id)?.metadata;
    if (metadata === undefined) continue;
    if (listedIn(metadata) !== overview && !(metadata.hidden && mayShow?.(tx, metadata) === true)) continue;
    if (`${id} ${metadata.description ?? ''}`.toLowerCase().includes(needle)) found.push(metadata);
    if (found.length === most) return { found, next: id, looked: i + 1, position };
  }
  const next = ids.length < STEP ? null : (ids[STEP - 1] as string);
  return { found, next, looked: ids.length, position };
}
