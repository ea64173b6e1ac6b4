/**
 * A held lock: a lease renewed at a third of its length, and a signal that aborts the moment the
 * lease may be over. Its end is counted by this client's own clock from before the request left, so
 * the client stops believing in the lock before the server does.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { Lease, LockInfo } from '../protocol/rooms-contract.js';
import type { Value } from '../protocol/frames.js';
import { DEFAULT_LEASE_MS, MIN_REFRESH_MS } from './bounds.js';
import { call, type Context } from './context.js';
import { isError } from './error-kinds.js';
import type { Lock, LockOptions } from './types.js';

export interface LockHost {
  readonly id: string;
  readonly locks: Set<HeldLock>;
}

export async function acquireLock(
  context: Context,
  room: LockHost,
  target: string,
  options: LockOptions = {},
): Promise<HeldLock> {
  const { ttl = DEFAULT_LEASE_MS, msg, signal, wait } = options;
  const { timeoutMs = (wait ?? 0) + context.settings.callTimeoutMs } = options;
  const asked = context.settings.timers.now();
  let held: HeldLock | undefined;
  await call(
    context,
    'lock:acquire',
    { roomId: room.id, target, ttl, msg, wait },
    {
      signal,
      timeoutMs,
      // At once: the lock:update of this acquisition may be in the same message.
      onAck: (data, late) => {
        const lease = data as unknown as Lease;
        // The lease began when the waiting ended; the server counts that from after we asked.
        held = new HeldLock(context, room, ttl, lease);
        held.extend(lease, asked + (lease.waited ?? 0));
        // Granted, but nobody waits for it any more.
        if (late) held.release().catch(() => undefined);
      },
    },
  );
  return held as unknown as HeldLock;
}

export class HeldLock implements Lock {
  readonly target: string;
  readonly token: number;
  readonly #context: Context;
  readonly #room: LockHost;
  readonly #ttl: number;
  readonly #controller = new AbortController();
  readonly signal = this.#controller.signal;
  #expiresAt = 0;
  /** Own clock: from here on the lease may be over. */
  #until = 0;
  /** The lock:update of our own acquisition went by; before it, updates are of earlier holders. */
  #seen = false;
  #over = false;
  #refreshing: Promise<void> | undefined;
  #refreshTimer: unknown;
  #expiryTimer: unknown;

  constructor(context: Context, room: LockHost, ttl: number, { target, token }: Lease) {
    this.target = target;
    this.token = token;
    this.#context = context;
    this.#room = room;
    this.#ttl = ttl;
    room.locks.add(this);
  }

  get expiresAt(): number {
    return this.#expiresAt;
  }

  refresh(): Promise<void> {
    return (this.#refreshing ??= this.#renew('lock:refresh', { ttl: this.#ttl }).finally(
      () => (this.#refreshing = undefined),
    ));
  }

  message(msg: string | null): Promise<void> {
    return this.#renew('lock:msg', { msg });
  }

  async release(): Promise<boolean> {
    if (this.#over) return false;
    this.#end();
    try {
      const reply = await this.#call('lock:release');
      return (reply as { released: boolean }).released;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }

  /** The server's word about this target: null, or who has it now. */
  heard(lock: LockInfo | null, ownSid: string | undefined): void {
    if (lock !== null && lock.sid === ownSid && lock.expiresAt >= this.#expiresAt) this.#seen = true;
    else if (this.#seen && lock?.sid !== ownSid) this.lose('the lock moved on');
  }

  lose(message: string): void {
    if (this.#over) return;
    this.#end();
    this.#controller.abort(new RoomwireError('lock_lost', message));
  }

  /** Events were missed: ask at once whether the lock is still ours. */
  check(): void {
    this.refresh().catch(() => undefined);
  }

  async #renew(name: string, input: object): Promise<void> {
    if (this.#over) throw new RoomwireError('lock_lost');
    const asked = this.#timers.now();
    try {
      // Past the lease's end an answer means nothing.
      const lease = await this.#call(name, input, this.#left());
      if (!this.#over) this.extend(lease as unknown as Lease, asked, name === 'lock:refresh');
    } catch (error) {
      if (isGone(error)) this.lose(error.message);
      else if (!this.#over && name === 'lock:refresh') this.#refreshLater();
      throw error;
    }
  }

  #call(name: string, input?: object, timeoutMs?: number): Promise<Value> {
    const { target, token } = this;
    return call(this.#context, name, { roomId: this.#room.id, target, token, ...input }, { resend: true, timeoutMs });
  }

  extend({ expiresAt }: Lease, asked: number, renewed = true): void {
    const left = expiresAt - this.#context.connection.storeNow();
    this.#expiresAt = expiresAt;
    // A message does not lengthen the lease beyond what expiresAt says; our request's ttl neither.
    this.#until = Math.min(renewed ? asked + this.#ttl : this.#until, this.#timers.now() + left);
    this.#refreshLater();
    this.#timers.clearTimeout(this.#expiryTimer);
    this.#expiryTimer = this.#timers.setTimeout(() => this.lose('the lease ended'), Math.max(0, this.#left()));
  }

  #refreshLater(): void {
    this.#timers.clearTimeout(this.#refreshTimer);
    this.#refreshTimer = this.#timers.setTimeout(() => this.check(), Math.max(MIN_REFRESH_MS, this.#left() / 3));
  }

  #end(): void {
    this.#over = true;
    this.#room.locks.delete(this);
    this.#timers.clearTimeout(this.#refreshTimer);
    this.#timers.clearTimeout(this.#expiryTimer);
  }

  get #timers() {
    return this.#context.settings.timers;
  }

  /** Ms that the lease lasts for sure. */
  #left(): number {
    return this.#until - this.#timers.now();
  }
}

function isGone(error: unknown): error is RoomwireError {
  return isError(error, 'lock_lost', 'not_holder', 'not_member', 'room_not_found');
}
