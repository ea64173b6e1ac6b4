/**
 * Who waits for a lock, in the order they asked. The queue is a document, so that a release in the
 * same batch already sees who came before it; the calls that wait are this process's own, and a
 * restart ends them with their connections.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { Later, PluginHost, Timer, Transaction } from '../server/api.js';
import { keyOf, holdingOf, type Owner, type Holding } from './holder.js';
import { rows } from './rows.js';

interface Waiter extends Owner {
  /** Of its Later, which counts from one in each run of the server. */
  readonly id: number;
  /** The run it waits in: lines outlive a run that was killed, its calls do not. */
  readonly run: string;
  readonly ttl: number;
  readonly msg: string | null;
  /** Store time in ms when it began to wait. */
  readonly since: number;
}

/** A call that waits, and what ends its wait. */
interface Waiting {
  readonly later: Later;
  timer: Timer | undefined;
}

const WAITERS = 'lock-waiters';
const PAGE = 1_000;

export class LockQueue {
  readonly #server: PluginHost;
  /** By the id of its Later. However a wait ends, it goes out of here through `#forget`, its timer with it. */
  readonly #calls = new Map<number, Waiting>();

  constructor(host: PluginHost) {
    this.#server = host;
  }

  /** Calls that wait, whatever for. */
  get length(): number {
    return this.#calls.size;
  }

  /** Nobody waits after a restart. */
  async restore(): Promise<void> {
    const sweep = (tx: Transaction): boolean => {
      const lines = tx.list(WAITERS, { limit: PAGE });
      for (const [key] of lines) tx.delete(WAITERS, key);
      return lines.length < PAGE;
    };
    while (!(await this.#server.transact(sweep)));
  }

  /** Those of this run whose calls still wait. */
  #waiters(tx: Transaction, holding: Holding): Waiter[] {
    const waiters = tx.read<readonly Waiter[]>(WAITERS, keyOf(holding)) ?? [];
    return waiters.filter(({ id, run }) => run === this.#server.run && this.#calls.get(id)?.later.wanted === true);
  }

  #set(tx: Transaction, holding: Holding, waiters: readonly Waiter[]): void {
    if (waiters.length === 0) tx.delete(WAITERS, keyOf(holding));
    else tx.set(WAITERS, keyOf(holding), waiters);
  }

  isEmpty(tx: Transaction, holding: Holding): boolean {
    return this.lengthFor(tx, holding) === 0;
  }

  /** Calls that wait for this one. */
  lengthFor(tx: Transaction, holding: Holding): number {
    return this.#waiters(tx, holding).length;
  }

  /** Throws limit_reached. After `waitMs`, at most `callMaxMs`, the waiter is refused with what `refusal` finds then. */
  add(
    tx: Transaction,
    holding: Holding,
    {
      later,
      owner,
      ttl,
      msg,
      waitMs,
      refusal,
    }: {
      readonly later: Later;
      readonly owner: Owner;
      readonly ttl: number;
      readonly msg: string | null;
      readonly waitMs: number;
      readonly refusal: (tx: Transaction) => RoomwireError;
    },
  ): void {
    const { lockWaiters, callMaxMs } = this.#server.limits;
    const waiters = this.#waiters(tx, holding);
    // Or one session could fill the line. A repetition under the call's key does not come here: it waits with the first.
    if (waiters.some(({ sid }) => sid !== null && sid === owner.sid)) {
      throw new RoomwireError('limit_reached', 'this session waits for this lock already: one place in line each');
    }
    if (waiters.length >= lockWaiters)
      throw new RoomwireError('limit_reached', `a lock has at most ${lockWaiters} waiters`);
    const { id } = later;
    const waiting: Waiting = { later, timer: undefined };
    this.#calls.set(id, waiting);
    // Whatever becomes of this transaction: the call is answered at some time, and then it waits no more.
    later.onGone(() => this.#leave(holding, id));
    this.#set(tx, holding, [...waiters, { ...owner, id, run: this.#server.run, ttl, msg, since: tx.now }]);
    tx.afterCommit(() => {
      // Gone already, or granted in the same batch.
      if (this.#calls.get(id) !== waiting) return;
      waiting.timer = this.#server.after(Math.min(waitMs, callMaxMs), () => {
        this.#write(holding, (late) => this.remove(late, holding, (one) => one === id, refusal));
      });
    });
  }

  /** The first in line, taken out of it. */
  next(tx: Transaction, holding: Holding): { readonly waiter: Waiter; readonly later: Later } | undefined {
    const [waiter, ...others] = this.#waiters(tx, holding);
    if (waiter === undefined) return undefined;
    this.#set(tx, holding, others);
    const { later } = this.#calls.get(waiter.id) as Waiting;
    tx.afterCommit(() => this.#forget(waiter.id));
    return { waiter, later };
  }

  /** Refuses those waiters of a lock, or of all locks in a room, that `which` names. */
  remove(
    tx: Transaction,
    where: Holding,
    which: (id: number, sid: string | null) => boolean,
    refusal: (tx: Transaction) => RoomwireError,
  ): void {
    const waiters = this.#waiters(tx, where);
    const left = waiters.filter(({ id, sid }) => !which(id, sid));
    if (left.length === waiters.length) return;
    this.#set(tx, where, left);
    const error = refusal(tx);
    for (const { id, sid } of waiters) {
      if (!which(id, sid)) continue;
      this.#calls.get(id)?.later.refuse(tx, error);
      tx.afterCommit(() => this.#forget(id));
    }
  }

  /** The locks of a room that somebody waits for. */
  waitedFor(tx: Transaction, roomId: string): Holding[] {
    return Array.from(rows(tx, WAITERS, keyOf({ roomId, kind: 'lock' })), ([key]) => holdingOf(key));
  }

  #forget(id: number): void {
    this.#calls.get(id)?.timer?.cancel();
    this.#calls.delete(id);
  }

  /** It cancelled, ran out of time or vanished. */
  #leave(holding: Holding, id: number): void {
    this.#forget(id);
    this.#write(holding, (tx) => {
      const stored = tx.read<readonly Waiter[]>(WAITERS, keyOf(holding)) ?? [];
      if (stored.some((waiter) => waiter.id === id && waiter.run === this.#server.run))
        this.#set(tx, holding, this.#waiters(tx, holding));
    });
  }

  /** A queue that could not be written still holds nobody who is not there: `#waiters` looks. */
  #write(holding: Holding, work: (tx: Transaction) => void): void {
    this.#server.transact(work).catch((error: unknown) => {
      const { roomId, target } = holding;
      this.#server.log.warn({ err: error, room: roomId, target }, 'a lock queue could not be written');
    });
  }
}
