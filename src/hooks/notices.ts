/**
 * `join` and `leave`: what the backend is told happened, at least once and in order for each user. A
 * notice is written in the same commit as the membership and deleted once the backend has it, so with a
 * durable store it outlives the server; its id is the same in every try, also after a restart.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { MembershipChange } from '../rooms/rooms.js';
import type { PluginHost, Transaction } from '../server/api.js';
import type { Backend } from './backend.js';
import { BackendError } from './post.js';

const TABLE = 'hooks-notices';
const PAGE = 1_000;
/** Users whose notices are on their way at once. */
const AT_ONCE = 16;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** Older ones are given up: who was away a day has to ask for the members anyway. */
const MAX_AGE_MS = 24 * 3_600_000;

interface Notice extends MembershipChange {
  /** Store time, ms. */
  readonly at: number;
}
interface Waiting {
  readonly key: string;
  readonly notice: Notice;
}

export class Notices {
  readonly #host: PluginHost;
  readonly #backend: Backend;
  readonly #most: number;
  /** By user, each in order; the first is on its way or waits for its next try. */
  readonly #waiting = new Map<string, Waiting[]>();
  /** Users whose first notice may be sent now. */
  readonly #ready: string[] = [];
  /** Of this run, until those of earlier ones are read. */
  #early: Waiting[] | undefined = [];
  #count = 0;
  #sending = 0;
  #stopped = false;
  /** Since the backend was last told. */
  #untold = 0;
  sent = 0;
  /** Not told: too many waited, too old, or the backend would not have them. */
  lost = 0;

  constructor(host: PluginHost, backend: Backend, most: number) {
    this.#host = host;
    this.#backend = backend;
    this.#most = most;
  }

  get waiting(): number {
    return this.#count;
  }

  /** In the transaction of the change. */
  add(tx: Transaction, change: MembershipChange): void {
    if (this.#count >= this.#most) return tx.afterCommit(() => this.#lose('too many notices wait'));
    const notice = { ...change, at: tx.now };
    const key = String(tx.nextVersion()).padStart(16, '0');
    tx.set(TABLE, key, notice);
    tx.afterCommit(() =>
      this.#early === undefined ? this.#queue({ key, notice }) : this.#early.push({ key, notice }),
    );
  }

  /** Those of an earlier run go out first. */
  async restore(): Promise<void> {
    const found = new Map<string, Waiting>();
    for (let after = ''; ;) {
      const from = after;
      const page = await this.#host.transact((tx) => tx.list<Notice>(TABLE, { after: from, limit: PAGE }));
      for (const [key, notice] of page) found.set(key, { key, notice });
      const last = page[page.length - 1];
      if (last === undefined || page.length < PAGE) break;
      [after] = last;
    }
    // Rooms may have ended memberships while they were restored: some of these were found, some are newer.
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const waiting of early) found.set(waiting.key, waiting);
    for (const waiting of found.values()) this.#queue(waiting);
  }

  stop(): void {
    this.#stopped = true;
  }

  #queue(waiting: Waiting): void {
    const { userId } = waiting.notice;
    this.#count++;
    const before = this.#waiting.get(userId);
    if (before !== undefined) {
      before.push(waiting);
      return;
    }
    this.#waiting.set(userId, [waiting]);
    this.#ready.push(userId);
    this.#pump();
  }

  #pump(): void {
    if (this.#stopped) return;
    while (this.#sending < AT_ONCE) {
      const userId = this.#ready.shift();
      if (userId === undefined) return;
      this.#sending++;
      void this.#send(userId, 0);
    }
  }

  async #send(userId: string, tries: number): Promise<void> {
    const list = this.#waiting.get(userId) as Waiting[];
    const { key, notice } = list[0] as Waiting;
    let again: number | undefined;
    try {
      if (this.#host.now() - notice.at > MAX_AGE_MS) this.#lose('too old');
      else await this.#post(key, notice);
    } catch (error) {
      const isLater = error instanceof RoomwireError || (error instanceof BackendError && error.trouble !== 'wrong');
      if (isLater) again = Math.max(waitAfter(tries), error instanceof BackendError ? error.retryAfterMs : 0);
      else this.#lose('the backend would not have it');
    }
    this.#sending--;
    if (this.#stopped) return;
    if (again !== undefined) {
      // Its place is free meanwhile: one that always fails holds up its own user alone.
      this.#host.after(again, () => {
        if (this.#stopped) return;
        this.#sending++;
        void this.#send(userId, tries + 1);
      });
      return this.#pump();
    }
    this.#count--;
    list.shift();
    if (list.length === 0) this.#waiting.delete(userId);
    else this.#ready.push(userId);
    this.#pump();
    await this.#forget(key);
  }

  async #post(key: string, { kind, roomId, userId, userName, reason, at }: Notice): Promise<void> {
    const untold = this.#untold;
    await this.#backend.ask({
      type: kind,
      id: `notice-${key}`,
      body: {
        roomId,
        user: { id: userId, name: userName },
        reason,
        at,
        ...(untold === 0 ? {} : { lost: untold }),
      },
      userId,
      // The waits between are this file's.
      retries: 0,
      read: ({ status }) => {
        if (status >= 300) throw new BackendError('wrong', `answered ${status}`);
      },
    });
    this.sent++;
    this.#untold -= untold;
  }

  async #forget(key: string): Promise<void> {
    try {
      await this.#host.transact((tx) => tx.delete(TABLE, key));
    } catch (error) {
      this.#host.log.warn({ err: error, notice: key }, 'a notice of the hooks will be sent again after a restart');
    }
  }

  #lose(why: string): void {
    this.lost++;
    this.#untold++;
    // Each thousandth, when there are many.
    if (this.lost === 1 || this.lost % 1_000 === 0) {
      this.#host.log.error({ lost: this.lost }, `a notice for the backend is lost: ${why}`);
    }
  }
}

function waitAfter(tries: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** tries, LONGEST_WAIT_MS) * (0.5 + Math.random() / 2);
}
