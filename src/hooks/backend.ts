/**
 * The backend as the hooks see it: requests that are retried under one id, few enough at once, each
 * user's share bounded; and a circuit that opens when nothing answers, so that a dead backend costs
 * nobody a time-out each. connect.ts, authorize.ts, proxy.ts and notices.ts ask it.
 */
import { randomUUID } from 'node:crypto';
import { RoomwireError } from '../protocol/errors.js';
import type { Log, PluginHost } from '../server/api.js';
import { BackendError, Poster, type Answer } from './post.js';

export type HookType = 'connect' | 'join' | 'leave' | 'authorize' | 'call';

/** What happened to requests of one kind since the start. */
export interface HookCounts {
  /** Asked for; those that a remembered answer spared are not among them. */
  requests: number;
  /** Tries beyond the first. */
  retries: number;
  /** Ended without an answer, or with a wrong one. */
  failures: number;
  /** Not sent: too many were under way. */
  refused: number;
}

export interface BackendOptions {
  readonly url: URL;
  readonly secret: string;
  readonly timeoutMs: number;
  readonly retries: number;
  /** Requests under way at once. */
  readonly atOnce: number;
  /** Requests that wait for their turn. */
  readonly waiting: number;
}

export interface Ask<T> {
  readonly type: HookType;
  /** Plain data; `type` is added. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Whose share it is of. */
  readonly userId: string;
  /** Default: a new one. */
  readonly id?: string | undefined;
  readonly timeoutMs?: number;
  readonly retries?: number;
  /** Asked before each further try. */
  readonly isWanted?: () => boolean;
  /** Makes of the answer what is wanted. Throws BackendError for one that is none. */
  readonly read: (answer: Answer) => T;
}

/** Failed tries in a row that open the circuit, and ms until one try may see whether it can close. */
const OPENS_AT = 5;
const OPEN_MS = 2_000;
const BACKOFF_MS = 100;
const BACKOFF_MAX_MS = 5_000;
/** One user's share of the requests under way or waiting: nobody keeps all others from the backend. */
const SHARE = 1 / 16;
/** For those who are told to come later. */
const RETRY_MS = 1_000;

export class Backend {
  readonly #options: BackendOptions;
  readonly #host: PluginHost;
  readonly #log: Log;
  readonly #poster: Poster;
  readonly counts: Readonly<Record<HookType, HookCounts>> = {
    connect: noCounts(),
    join: noCounts(),
    leave: noCounts(),
    authorize: noCounts(),
    call: noCounts(),
  };
  /** Asked for and not answered yet, also those between two tries; and by user. */
  #asked = 0;
  readonly #ofUser = new Map<string, number>();
  /** Tries on their way, and those that wait until there is room. */
  #underWay = 0;
  readonly #queue: (() => void)[] = [];
  /** Failed tries in a row; the circuit is open from OPENS_AT on. */
  #failed = 0;
  #openUntil = 0;
  #isProbing = false;
  /** Of host.now(); failures within a second are one line. */
  #loggedAt = -Infinity;
  #unlogged = 0;

  constructor(options: BackendOptions, host: PluginHost) {
    this.#options = options;
    this.#host = host;
    this.#log = host.log;
    this.#poster = new Poster(options.url, options.secret, options.atOnce, (ms, fn) => host.after(ms, fn));
  }

  get isDown(): boolean {
    return this.#failed >= OPENS_AT;
  }

  get underWay(): number {
    return this.#underWay;
  }

  get waiting(): number {
    return this.#asked - this.#underWay;
  }

  /**
   * Asks, again under the same id while that may help and tries are left. Rejects with
   * BackendError, and with too_many (a RoomwireError) when there is no room.
   */
  async ask<T>({ type, body, userId, id = randomUUID(), isWanted, read, ...options }: Ask<T>): Promise<T> {
    const counts = this.counts[type];
    const { atOnce, waiting } = this.#options;
    const most = atOnce + waiting;
    const ofUser = this.#ofUser.get(userId) ?? 0;
    if (this.#asked >= most || ofUser >= Math.max(1, Math.floor(most * SHARE))) {
      counts.refused++;
      throw new RoomwireError('too_many', 'too many questions to the backend wait', {
        details: { retryAfterMs: RETRY_MS },
      });
    }
    counts.requests++;
    this.#asked++;
    this.#ofUser.set(userId, ofUser + 1);
    try {
      const text = JSON.stringify({ type, ...body });
      const { timeoutMs = this.#options.timeoutMs, retries = this.#options.retries } = options;
      for (let tries = 0; ; tries++) {
        try {
          return read(await this.#try(id, text, timeoutMs));
        } catch (error) {
          const isLast = tries >= retries || isWanted?.() === false || this.isDown;
          if (!(error instanceof BackendError) || error.trouble === 'wrong' || isLast) throw error;
          counts.retries++;
          await this.#pause(Math.max(backoff(tries), error.retryAfterMs));
        }
      }
    } catch (error) {
      counts.failures++;
      this.#note(error, type, id);
      throw error;
    } finally {
      this.#asked--;
      const left = (this.#ofUser.get(userId) as number) - 1;
      if (left === 0) this.#ofUser.delete(userId);
      else this.#ofUser.set(userId, left);
    }
  }

  close(): void {
    this.#poster.close();
  }

  async #try(id: string, body: string, timeoutMs: number): Promise<Answer> {
    // Who waits is handed the place of another, which stays counted.
    if (this.#underWay >= this.#options.atOnce) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#underWay++;
    try {
      this.#pass();
      const answer = await this.#poster.post({ id, body, timeoutMs });
      this.#answered();
      return answer;
    } catch (error) {
      this.#failedTry(error);
      throw error;
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#underWay--;
      else next();
    }
  }

  /** Throws while the circuit is open; after a while one try may find out. */
  #pass(): void {
    if (!this.isDown) return;
    if (this.#isProbing || this.#host.now() < this.#openUntil) throw new CircuitOpen();
    this.#isProbing = true;
  }

  #answered(): void {
    if (this.isDown) this.#log.info({}, 'the backend of the hooks answers again');
    this.#failed = 0;
    this.#isProbing = false;
  }

  #failedTry(error: unknown): void {
    if (error instanceof CircuitOpen) return;
    // An answer is one, however wrong: the backend is there for others.
    if (error instanceof BackendError && error.trouble !== 'down') return this.#answered();
    this.#isProbing = false;
    this.#openUntil = this.#host.now() + OPEN_MS;
    this.#failed++;
    if (this.#failed === OPENS_AT) this.#log.error({ err: error }, 'the backend of the hooks does not answer');
  }

  #note(error: unknown, hook: HookType, id: string): void {
    // Said once, when it opened.
    if (error instanceof CircuitOpen) return;
    const now = this.#host.now();
    if (now - this.#loggedAt < 1_000) {
      this.#unlogged++;
      return;
    }
    this.#log.warn({ err: error, hook, id, unlogged: this.#unlogged }, 'a hook failed');
    this.#loggedAt = now;
    this.#unlogged = 0;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#host.after(ms, resolve));
  }
}

class CircuitOpen extends BackendError {
  constructor() {
    super('down', 'the backend does not answer; not asked');
  }
}

function backoff(tries: number): number {
  return Math.min(BACKOFF_MS * 2 ** tries, BACKOFF_MAX_MS) * (0.5 + Math.random() / 2);
}

function noCounts(): HookCounts {
  return { requests: 0, retries: 0, failures: 0, refused: 0 };
}
