/**
 * The outbox: rows that a backend inserts in its own transaction are published, then deleted. A round takes what is there,
 * publishes all of it in one transaction, each row with its id as key, and only then deletes: at least once into the log,
 * exactly once by key. A row that is no event is set aside in its table, so that it holds up nobody. The database's side is
 * outbox-postgres.ts.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { Plugin, PluginHost, Timer, Transaction } from '../server/api.js';
import { openOutbox, type OutboxRow, type OutboxTable, type Refusal } from './outbox-postgres.js';

export interface OutboxOptions {
  /** `postgres://user@host/database`; keep it in the environment. Needs the package `pg`. */
  readonly url: string;
  /** Default `roomwire_outbox`. */
  readonly table?: string | undefined;
}

export interface OutboxStats {
  /** The database answers, and its rows are this server's to take. */
  readonly up: boolean;
  readonly published: number;
  /** Set aside since the start. */
  readonly refused: number;
  /** As of the last round: rows that wait, and for how long the first has. */
  readonly waiting: number;
  readonly lagSeconds: number;
}

export interface OutboxApi {
  stats(): OutboxStats;
}

/** Between two looks, where the database says nothing of itself: it does at each commit. */
const LOOK_MS = 1_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;
/** Rows of one transaction. */
const ROUND = 500;

/** Throws a TypeError for an address that is none. */
export function outbox({ url, table = 'roomwire_outbox' }: OutboxOptions): Plugin<'outbox', OutboxApi> {
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new TypeError('outbox: write it as postgres://user@host/database');
  }
  if (!/^[a-z_][a-z0-9_]{0,50}$/.test(table)) throw new TypeError('outbox: the table is a plain lower-case name');
  return {
    name: 'outbox',
    setup(server) {
      const worker = new Worker(server, () => openOutbox({ url, table, changed: () => worker.wake() }));
      server.onOpen(() => worker.wake());
      server.onClose(() => worker.stop());
      return { stats: () => worker.stats() };
    },
  };
}

class Worker {
  readonly #server: PluginHost;
  readonly #open: () => Promise<OutboxTable>;
  #table: OutboxTable | undefined;
  #running: Promise<void> | undefined;
  /** Something came while a round was under way. */
  #again = false;
  #stopped = false;
  #timer: Timer | undefined;
  #failures = 0;
  #published = 0;
  #refused = 0;
  #waiting = 0;
  #lagSeconds = 0;
  /** Published and, as the database went away, not deleted: a key alone would forget them after a while. */
  readonly #done = new Set<string>();

  constructor(server: PluginHost, open: () => Promise<OutboxTable>) {
    this.#server = server;
    this.#open = open;
  }

  stats(): OutboxStats {
    const up = this.#table !== undefined && this.#failures === 0;
    return {
      up,
      published: this.#published,
      refused: this.#refused,
      waiting: this.#waiting,
      lagSeconds: this.#lagSeconds,
    };
  }

  wake(): void {
    this.#again = true;
    if (this.#running !== undefined || this.#stopped) return;
    this.#timer?.cancel();
    this.#running = this.#run().finally(() => (this.#running = undefined));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
    await this.#table?.close();
  }

  async #run(): Promise<void> {
    let wait = LOOK_MS;
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false;
        await this.#round();
      }
      if (this.#failures > 0) this.#server.log.info({}, 'the outbox is taken again');
      this.#failures = 0;
    } catch (error) {
      wait = this.#failed(error);
    }
    if (this.#stopped) return;
    this.#timer = this.#server.after(wait, () => this.wake());
  }

  /** Ms until the next try. */
  #failed(error: unknown): number {
    const isLeaving = error instanceof RoomwireError && error.name === 'draining';
    if (this.#failures++ === 0 && !isLeaving)
      this.#server.log.error({ err: error }, 'the outbox cannot be taken; trying again');
    const table = this.#table;
    // Of the store's refusals the database knows nothing.
    if (!(error instanceof RoomwireError)) {
      this.#table = undefined;
      void table?.close();
    }
    return Math.min(FIRST_RETRY_MS * 2 ** Math.min(this.#failures, 10), LONGEST_RETRY_MS);
  }

  async #round(): Promise<void> {
    const table = (this.#table ??= await this.#open());
    if (!(await table.isOurs())) return;
    const { rows, waiting, lagSeconds } = await table.read(ROUND);
    this.#waiting = waiting;
    this.#lagSeconds = lagSeconds;
    if (rows.length === 0) return;
    const refusals = await this.#publish(table, rows);
    for (const refusal of refusals) this.#server.log.error({ outbox: refusal }, 'a row of the outbox is no event');
    const aside = new Set(refusals.map(({ id }) => id));
    const published = rows.filter(({ id }) => !aside.has(id)).map(({ id }) => id);
    this.#refused += refusals.length;
    for (const id of published) this.#done.add(id);
    await table.finish(published, refusals);
    for (const id of published) this.#done.delete(id);
    this.#waiting = Math.max(0, waiting - rows.length);
    if (this.#waiting === 0) this.#lagSeconds = 0;
    // There may be more.
    this.#again ||= rows.length === ROUND;
  }

  /** All in one transaction, in the rows' order. Rejects where the server takes nothing now: then nothing was published. */
  async #publish(table: OutboxTable, rows: readonly OutboxRow[]): Promise<Refusal[]> {
    const events = rows
      .filter(({ id }) => !this.#done.has(id))
      .map((row) => ({ row, append: this.#prepared(table, row) }));
    if (events.length === 0) return [];
    const refused = await this.#server.transact((tx) =>
      events.flatMap(({ row, append }) => {
        const error = typeof append === 'function' ? refusalIn(() => append(tx)) : append;
        return error === undefined ? [] : [refusalOf(row, error)];
      }),
    );
    this.#published += events.length - refused.length;
    return refused;
  }

  #prepared(table: OutboxTable, { id, topic, event, data }: OutboxRow): ((tx: Transaction) => unknown) | Error {
    try {
      // Another table's ids begin anew.
      const options = { key: id, keyScope: ['outbox', table.identity] };
      return this.#server.prepare(topic, event, JSON.parse(data), options);
    } catch (error) {
      if (isLater(error)) throw error;
      return error as Error;
    }
  }
}

/** Why this event cannot be appended, now or ever. What is about the transaction goes on. */
function refusalIn(append: () => unknown): Error | undefined {
  try {
    append();
    return undefined;
  } catch (error) {
    if (error instanceof RoomwireError && !isLater(error)) return error;
    throw error;
  }
}

function isLater(error: unknown): boolean {
  return error instanceof RoomwireError && error.code >= 200;
}

function refusalOf({ id, topic, event }: OutboxRow, error: Error): Refusal {
  const { code, name } = error instanceof RoomwireError ? error : { code: 105, name: 'invalid_data' };
  return { id, topic, event, code, name, reason: error.message };
}
