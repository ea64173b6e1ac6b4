/**
 * Locks: leases on a target in a room. Validate, answer, then tell: the room hears of every target
 * (`lock:update`); `trajectory:meta` is part of the metadata too, which the overview hears of
 * (`room:update`).
 */
import type { WatchedLock } from '../protocol/http-answers.js';
import { RoomwireError } from '../protocol/errors.js';
import { METADATA_TARGET, type Lease, type LockInfo } from '../protocol/rooms-contract.js';
import type { Later, PluginHost, Timer, Transaction } from '../server/api.js';
import {
  allHeld,
  check,
  end,
  grant,
  heldIn,
  holderOf,
  keyOf,
  recordOf,
  refusal as refused,
  renew,
  holdingOf,
  type Bearer,
  type Held,
  type Owner,
  type Holding,
} from './holder.js';
import { LockQueue } from './lock-queue.js';
import { findRoom, getRoom, roomTopic, updateRoom } from './records.js';
import { noRoom } from './refusals.js';

export interface LockRequest {
  readonly roomId: string;
  readonly target?: string | undefined;
  /** Ms. Default DEFAULT_TTL; held between limits.lockMinMs and limits.lockMaxMs. */
  readonly ttl?: number | undefined;
  readonly msg?: string | null | undefined;
  /** Ms to wait in line while another holds it. Default 0: refused at once. */
  readonly wait?: number | undefined;
}
export interface HeldLock {
  readonly roomId: string;
  readonly target?: string | undefined;
  readonly token: number;
}

export const DEFAULT_TTL = 30_000;
const PAGE = 1_000;

export class Locks {
  readonly #server: PluginHost;
  readonly #timers = new Map<string, Timer>();
  readonly #queue: LockQueue;

  constructor(host: PluginHost) {
    this.#server = host;
    this.#queue = new LockQueue(host);
  }

  /** Gives every stored lease its timer. */
  async restore(): Promise<void> {
    await this.#queue.restore();
    let after = '';
    for (;;) {
      const from = after;
      const page = await this.#server.transact((tx) => allHeld(tx, from, PAGE));
      for (const [, holding, held] of page) if (holding.kind === 'lock') this.#schedule(holding, held);
      if (page.length < PAGE) return;
      after = page[page.length - 1]?.[0] as string;
    }
  }

  /** Every lease has its timer. */
  get counts(): { readonly lock: number; readonly waiting: number } {
    return { lock: this.#timers.size, waiting: this.#queue.length };
  }

  /** With `later`, who finds it held may wait in line for `wait` ms, and gets that instead of a lease. */
  acquire(
    tx: Transaction,
    owner: Owner,
    { roomId, target, ttl, msg = null, wait = 0 }: LockRequest,
    later?: () => Later,
  ): Lease | Later {
    if (getRoom(tx, roomId).metadata.locked) throw new RoomwireError('room_locked');
    const { locks } = this.#server.limits;
    const holding = lockOf(roomId, target);
    if (heldIn(tx, roomId, 'lock').length >= locks && recordOf(tx, holding) === undefined) {
      throw new RoomwireError('limit_reached', `a room has at most ${locks} locks`);
    }
    // An ended lease whose timer has not come yet is the first waiter's, not a newcomer's.
    if (holderOf(tx, holding) === undefined && !this.#queue.isEmpty(tx, holding)) this.#end(tx, holding);
    const lease = { ttl: this.#ttl(ttl ?? DEFAULT_TTL), msg };
    if (wait <= 0 || later === undefined || holderOf(tx, holding) === undefined) {
      return this.#tell(tx, holding, grant(tx, holding, owner, lease));
    }
    const call = later();
    const refusal = (late: Transaction): RoomwireError => {
      if (findRoom(late, roomId) === undefined) return noRoom(roomId);
      const current = holderOf(late, holding);
      return current === undefined ? new RoomwireError('lock_held') : refused(late, holding, current);
    };
    this.#queue.add(tx, holding, { later: call, owner, ...lease, waitMs: wait, refusal });
    return call;
  }

  refresh(tx: Transaction, { roomId, target, token, ttl, msg }: HeldLock & LockRequest, bearer: Bearer): Lease {
    const holding = lockOf(roomId, target);
    const before = check(tx, holding, token, bearer);
    // Without a wish the lease goes on for as long as it was given last.
    const held = renew(tx, holding, before, { ttl: this.#ttl(ttl ?? before.ttl ?? DEFAULT_TTL), msg });
    if (held.msg !== before.msg) return this.#tell(tx, holding, held);
    tx.afterCommit(() => this.#schedule(holding, held));
    return leaseOf(holding, held);
  }

  message(
    tx: Transaction,
    { roomId, target, token, msg }: HeldLock & { readonly msg: string | null },
    bearer: Bearer,
  ): Lease {
    const holding = lockOf(roomId, target);
    const before = check(tx, holding, token, bearer);
    if (before.msg === msg) return leaseOf(holding, before);
    return this.#tell(tx, holding, renew(tx, holding, before, { msg }));
  }

  release(
    tx: Transaction,
    { roomId, target, token }: HeldLock,
    bearer: Bearer,
  ): { readonly target: string; readonly released: true } {
    const holding = lockOf(roomId, target);
    check(tx, holding, token, bearer);
    this.#end(tx, holding);
    return { target: holding.target, released: true };
  }

  /** Whatever its token: for administrators, into the audit trail. False when nobody held it. */
  forceRelease(tx: Transaction, roomId: string, target: string | undefined, by: string): boolean {
    const holding = lockOf(roomId, target);
    const held = holderOf(tx, holding);
    if (held === undefined) return false;
    this.#end(tx, holding);
    const entry = {
      event: 'lock_forced',
      user: by,
      target: `${roomId} ${holding.target}`,
      reason: `held by ${held.userId}`,
    } as const;
    tx.afterCommit(() => this.#server.audit(entry));
    return true;
  }

  /** Ends what a session holds and waits for in a room: it left, or its grace is over. */
  releaseAllOf(tx: Transaction, roomId: string, sid: string): void {
    const notThere = () => new RoomwireError('not_member');
    for (const holding of this.#queue.waitedFor(tx, roomId)) {
      this.#queue.remove(tx, holding, (_, waiting) => waiting === sid, notThere);
    }
    for (const [holding, held] of heldIn(tx, roomId, 'lock')) if (held.sid === sid) this.#end(tx, holding);
  }

  /** Ends all locks of a room that is being deleted, untold but to those who wait. */
  forget(tx: Transaction, roomId: string): void {
    const gone = () => noRoom(roomId);
    for (const holding of this.#queue.waitedFor(tx, roomId)) this.#queue.remove(tx, holding, () => true, gone);
    for (const [holding] of heldIn(tx, roomId)) {
      end(tx, holding);
      this.#unschedule(tx, holding);
    }
  }

  /** The locks of a room as others see them. */
  list(tx: Transaction, roomId: string): LockInfo[] {
    return heldIn(tx, roomId, 'lock')
      .filter(([, held]) => held.expiresAt === null || held.expiresAt > tx.now)
      .map(([holding, held]) => infoOf(holding, held));
  }

  /** Of all rooms, the one held longest first; at most `limit`. Every lease has its timer, so nothing else is looked at. */
  watch(tx: Transaction, limit: number): WatchedLock[] {
    const found: WatchedLock[] = [];
    for (const key of this.#timers.keys()) {
      const holding = holdingOf(key);
      const held = holderOf(tx, holding);
      if (held === undefined) continue;
      const { roomId } = holding;
      if (found.push({ roomId, ...infoOf(holding, held), waiting: this.#queue.lengthFor(tx, holding) }) === limit)
        break;
    }
    return found;
  }

  /**
   * A write to what `target` guards: the current token from its holder, or no token while nobody holds it. Throws
   * lock_held when another holds it, lock_lost for an old token, not_holder for another's.
   */
  requireHolder(
    tx: Transaction,
    roomId: string,
    { target, token }: { readonly target?: string | undefined; readonly token?: number | undefined },
    bearer: Bearer,
  ): void {
    const holding = lockOf(roomId, target);
    if (token !== undefined) check(tx, holding, token, bearer);
    else {
      const current = holderOf(tx, holding);
      if (current !== undefined) {
        throw new RoomwireError(
          'lock_held',
          `${holding.target} is held by ${current.userName}: send the lock's token`,
          {
            details: { ...infoOf(holding, current) },
          },
        );
      }
    }
  }

  #ttl(ttl: number): number {
    const { lockMinMs, lockMaxMs } = this.#server.limits;
    return Math.min(Math.max(ttl, lockMinMs), lockMaxMs);
  }

  #tell(tx: Transaction, holding: Holding, held: Held): Lease {
    announce(tx, holding, held);
    tx.afterCommit(() => this.#schedule(holding, held));
    return leaseOf(holding, held);
  }

  /** Ends a lease. Whoever waits first has it in the same moment: nobody gets in between. */
  #end(tx: Transaction, holding: Holding): void {
    end(tx, holding);
    this.#unschedule(tx, holding);
    const next = this.#queue.next(tx, holding);
    if (next === undefined) return announce(tx, holding, undefined);
    const { waiter, later } = next;
    const { userId, userName, sid, ttl, msg, since } = waiter;
    const held = grant(tx, holding, { userId, userName, sid }, { ttl, msg });
    const lease = this.#tell(tx, holding, held);
    // Who gave up in the meantime holds nothing.
    const unclaimed = (): void => void this.#giveBack(holding, held.token);
    later.answer(tx, { ...lease, waited: tx.now - since }, unclaimed);
  }

  #unschedule(tx: Transaction, holding: Holding): void {
    tx.afterCommit(() => {
      this.#timers.get(keyOf(holding))?.cancel();
      this.#timers.delete(keyOf(holding));
    });
  }

  async #giveBack(holding: Holding, token: number): Promise<void> {
    try {
      await this.#server.transact((tx) => {
        if (holderOf(tx, holding)?.token === token) this.#end(tx, holding);
      });
    } catch (error) {
      this.#server.log.warn(
        { err: error, room: holding.roomId, target: holding.target },
        'a lock nobody wants stays until its lease ends',
      );
    }
  }

  #schedule(holding: Holding, held: Held): void {
    const key = keyOf(holding);
    this.#timers.get(key)?.cancel();
    const ms = (held.expiresAt as number) - this.#server.now();
    this.#timers.set(
      key,
      this.#server.after(ms, () => this.#expire(holding)),
    );
  }

  /** The lease is over unless it was renewed meanwhile: the store's clock decides, not the timer. */
  #expire(holding: Holding): void {
    this.#timers.delete(keyOf(holding));
    this.#server
      .transact((tx) => {
        const record = recordOf(tx, holding);
        if (typeof record?.expiresAt !== 'number') return;
        if (record.expiresAt <= tx.now) this.#end(tx, holding);
        else tx.afterCommit(() => this.#schedule(holding, record));
      })
      .catch((error: unknown) => {
        this.#server.log.warn(
          { err: error, room: holding.roomId, target: holding.target },
          'a lock could not be expired; trying again',
        );
        this.#timers.set(
          keyOf(holding),
          this.#server.after(1_000, () => this.#expire(holding)),
        );
      });
  }
}

type LockHolding = Holding & { readonly target: string };

function lockOf(roomId: string, target = METADATA_TARGET): LockHolding {
  return { roomId, kind: 'lock', target };
}

function leaseOf({ target = '' }: Holding, { token, expiresAt }: Held): Lease {
  return { target, token, expiresAt: expiresAt as number };
}

function infoOf({ target = '' }: Holding, { userId, userName, sid, msg, since, expiresAt }: Held): LockInfo {
  return { target, userId, userName, sid, msg, timestamp: since / 1000, expiresAt: expiresAt as number };
}

function announce(tx: Transaction, holding: Holding, held: Held | undefined): void {
  const { roomId, target } = holding;
  const lock = held === undefined ? null : infoOf(holding, held);
  tx.publish(roomTopic(roomId), 'lock:update', { roomId, target, lock });
  if (target !== METADATA_TARGET) return;
  updateRoom(tx, roomId, {
    metadataLocked: lock === null ? null : { msg: lock.msg, userName: lock.userName, timestamp: lock.timestamp },
  });
}
