/**
 * A held lock: a lease renewed at a third of its length, and a signal that aborts the moment the
 * lease or its session may be over. Both ends are counted by this client's own clock from before
 * what was answered last left, so the client stops believing in the lock before the server does.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { Lease, LockInfo } from '../protocol/rooms-model.js';
import type { Value } from '../protocol/frames.js';
import { abortWith } from './abort-with.js';
import { DEFAULT_LEASE_MS, MIN_REFRESH_MS } from './bounds.js';
import type { Alarm } from './clock.js';
import { call, type Context } from './context.js';
import { isError } from './error-kinds.js';
import { newId } from './new-id.js';
import type { Belief } from './pulse.js';
import type { Lock, LockOptions } from './types.js';

export interface LockHost {
  readonly id: string;
  readonly held: Set<HeldLock>;
}

/**
 * Asks with a key of its own, so that an answer that gets lost is told again: to this session, over whatever
 * connection. What is not wanted any more by then is given back.
 */
export async function acquireLock(
  context: Context,
  room: LockHost,
  target: string,
  options: LockOptions = {},
): Promise<HeldLock> {
  const { clock, callMs } = context.settings;
  const { wait = 0, timeoutMs = wait + callMs } = options;
  const began = clock.now();
  for (let left: number | undefined = options.wait; ;) {
    const asked = clock.now();
    try {
      return await ask(context, room, target, { ...options, wait: left, timeoutMs: began + timeoutMs - asked });
    } catch (error) {
      const now = clock.now();
      left = Math.max(0, began + wait - now);
      // The server lets nobody wait for longer than callMaxMs; and the key was of a session that is gone.
      const { callMaxMs = Infinity } = context.connection.welcome?.limits ?? {};
      const cut = wait > 0 && (now - asked) * 2 > callMaxMs;
      const again = cut && (isError(error, 'deadline') || (isError(error, 'lock_held') && left > 0));
      if (!(again || isError(error, 'key_reused')) || now >= began + timeoutMs) throw error;
    }
  }
}

async function ask(context: Context, room: LockHost, target: string, options: LockOptions): Promise<HeldLock> {
  const { ttl = DEFAULT_LEASE_MS, msg, wait, timeoutMs } = options;
  const { connection, settings } = context;
  const { pulse, welcome } = connection;
  const asked = settings.clock.now();
  const abort = abortWith(options.signal);
  const waits: Belief = { pageLeft: () => abort.abort() };
  pulse.believe(waits);
  let held: HeldLock | undefined;
  try {
    await call(
      context,
      'lock:acquire',
      { roomId: room.id, target, ttl, msg, wait },
      {
        key: newId(),
        signal: abort.signal,
        timeoutMs,
        giveBack: true,
        // At once: the lock:update of this acquisition may be in the same message.
        onAck: (data, late) => {
          const lease = data as unknown as Lease;
          held = new HeldLock(context, room, ttl, lease);
          // The lease began when the waiting ended; the server counts that from after we asked.
          held.extend(lease, asked + (lease.waited ?? 0));
          // Granted, but nobody waits for it any more.
          if (late) held.release().catch(() => undefined);
          // Told again, it may be over or another's.
          else if (connection.welcome !== welcome) held.check();
        },
      },
    );
  } finally {
    abort.abort();
    pulse.beliefs.delete(waits);
  }
  const lock = held as unknown as HeldLock;
  // Over before it was told.
  lock.signal.throwIfAborted();
  return lock;
}

export class HeldLock implements Lock, Belief {
  declare readonly target: string;
  declare readonly token: number;
  readonly #context: Context;
  readonly #room: LockHost;
  readonly #ttl: number;
  readonly #controller = new AbortController();
  readonly signal = this.#controller.signal;
  expiresAt = 0;
  /** Takes it from what its client gives up when it closes. */
  disown: () => void = () => undefined;
  /** Own clock: from here on the lease may be over, whatever the session. */
  #until = 0;
  /** The lock:update of our own acquisition went by; before it, updates are of earlier holders. */
  #seen = false;
  #over = false;
  #refreshing: Promise<void> | undefined;
  /** Own clock; Infinity while it is being refreshed. */
  #refreshAt = Infinity;
  readonly #alarm: Alarm;

  constructor(context: Context, room: LockHost, ttl: number, { target, token }: Lease) {
    this.target = target;
    this.token = token;
    this.#context = context;
    this.#room = room;
    this.#ttl = ttl;
    this.#alarm = this.#clock.alarm();
    room.held.add(this);
    context.connection.pulse.believe(this);
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
      if (isError(error, 'deadline')) this.#giveBack();
      throw error;
    }
  }

  /** The server's word about this target: null, or who has it now. */
  heard(lock: LockInfo | null, ownSid: string | undefined): void {
    if (lock !== null && lock.sid === ownSid && lock.expiresAt >= this.expiresAt) this.#seen = true;
    else if (this.#seen && lock?.sid !== ownSid) this.lose('the lock was taken');
  }

  /** The server has ended it. */
  lose(message: string): void {
    if (this.#over) return;
    this.#end();
    this.#controller.abort(new RoomwireError('lock_lost', message));
  }

  /** Not known to last: the server may hold it all the same. */
  giveUp(message: string): void {
    if (this.#over) return;
    this.lose(message);
    this.#giveBack();
  }

  pageLeft(): void {
    this.giveUp('the page was left');
  }

  /** Ends it when its time is over, and renews it in time. */
  expire(): void {
    const clock = this.#clock;
    const left = this.#left();
    if (left <= 0) return this.giveUp('the lease ended');
    const now = clock.now();
    if (now >= this.#refreshAt) this.check();
    this.#alarm(Math.min(left, this.#refreshAt - now), () => this.expire());
  }

  /** For as long as the server may hold it, or it waits for a connection in vain. */
  #giveBack(): void {
    const { callMs } = this.#context.settings;
    this.#call('lock:release', {}, Math.max(callMs, this.#until - this.#clock.now())).catch(() => undefined);
  }

  /** Events were missed: ask at once whether the lock is still ours. */
  check(): void {
    this.#refreshAt = Infinity;
    this.refresh().catch(() => undefined);
  }

  async #renew(name: string, input: object): Promise<void> {
    if (this.#over) throw new RoomwireError('lock_lost');
    const asked = this.#clock.now();
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
    const left = expiresAt - this.#context.connection.pulse.storeNow();
    this.expiresAt = expiresAt;
    // A message does not lengthen the lease beyond what expiresAt says; our request's ttl neither.
    this.#until = Math.min(renewed ? asked + this.#ttl : this.#until, this.#clock.now() + left);
    this.#refreshLater();
  }

  #refreshLater(): void {
    const now = this.#clock.now();
    this.#refreshAt = now + Math.max(MIN_REFRESH_MS, (this.#until - now) / 3);
    this.expire();
  }

  #end(): void {
    this.#over = true;
    this.#room.held.delete(this);
    this.disown();
    this.#context.connection.pulse.beliefs.delete(this);
    this.#alarm();
  }

  get #clock() {
    return this.#context.settings.clock;
  }

  /** Ms that it lasts for sure: the lease, and the session, which ends when its grace does. */
  #left(): number {
    return Math.min(this.#until, this.#context.connection.pulse.believedUntil) - this.#clock.now();
  }
}

function isGone(error: unknown): error is RoomwireError {
  return isError(error, 'lock_lost', 'not_holder', 'not_member', 'room_not_found');
}
