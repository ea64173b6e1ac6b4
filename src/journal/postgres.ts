/**
 * The log in PostgreSQL. One statement adds a record if the one before it stands there with its hash, so the database is the
 * judge of who writes; everybody else looks for what is new again and again. Nothing is notified (NOTIFY locks the whole
 * instance at commit) and no session is relied on: poolers in transaction mode will do. The tables: postgres-schema.ts.
 */
import { randomUUID } from 'node:crypto';
import { StoreError } from '../store/store.js';
import { checkedParts, Handle, type Added, type Page } from './handle.js';
import {
  BrokenLog,
  checkedName,
  type Announced,
  type JournalOptions,
  type JournalRecord,
  type JournalSnapshot,
  type JournalState,
} from './journal.js';
import {
  Connection,
  loadPg,
  messageOf,
  serverOf,
  stateOf,
  type Ask,
  type Row,
  type Server,
} from './postgres-connection.js';
import {
  announcedIn,
  announceIn,
  appendFirst,
  appendTo,
  dropTable,
  FORMAT,
  makeLog,
  makeNodes,
  makeSegment,
  pageOf,
  stateOf as stateQuery,
  tablesOf,
  type Tables,
} from './postgres-schema.js';
import { Snapshots } from './postgres-snapshots.js';

export interface PostgresOptions extends JournalOptions {
  /** Between two looks for new records, ms. Default 50. */
  readonly pollMs?: number;
  /** Of a log that is made: records of a table. Default 16,384. */
  readonly segment?: number;
}

const MAX_BYTES = 1_048_576;
const OLDEST = 120_000;
const TRY_AGAIN_MS = 1_000;

/** Rejected tables and rights, wrong passwords, no such database: waiting helps none of them. */
const PERMANENT = /^(28|3D|42|3F|0A)/;
const NO_TABLE = '42P01';
const NO_SCHEMA = '3F000';

interface Facts extends JournalState {
  readonly segment: number;
  readonly segments: readonly number[];
  readonly row: Row;
}

/** `url` as `pg` takes it; several hosts with commas between them are tried in turn until one is the primary. */
export function postgresJournal(url: string, options: PostgresOptions = {}): PostgresJournal {
  return new PostgresJournal(url, options);
}

export class PostgresJournal extends Handle {
  readonly maxBytes = MAX_BYTES;
  readonly #url: string;
  readonly #options: PostgresOptions;
  readonly #schema: string;
  readonly #tables: Tables;
  /** Of the log, once it is known: part of where each record stands. */
  #segment = 1;
  #server: Server | undefined;
  /** Appends have a connection of their own: no page is in their way. */
  #writer: Connection | undefined;
  #reader: Connection | undefined;
  readonly #snapshots: Snapshots;
  readonly #read: Ask = (text, values) => (this.#reader as Connection).ask(text, values);

  constructor(url: string, options: PostgresOptions) {
    super({ pollMs: options.pollMs ?? 50, tell: options.tell });
    this.#url = url;
    this.#options = options;
    this.#schema = checkedName(options.name);
    this.#tables = tablesOf(this.#schema);
    this.#snapshots = new Snapshots(this.#schema, (text, values) => this.ask(text, values));
  }

  /** Asks the server something else: for what tells how it is set. */
  async ask(text: string, values?: readonly unknown[]): Promise<readonly Row[]> {
    if (this.#reader === undefined) throw new StoreError('unusable', 'the log is not open');
    try {
      return await this.#reader.ask(text, values);
    } catch (error) {
      throw refusal(error);
    }
  }

  /** Deletes the log, its snapshots and its schema. */
  async remove(): Promise<void> {
    await this.ask(`drop schema if exists "${this.#schema}" cascade`);
  }

  // ---- open ----------------------------------------------------------------------------------------

  protected async connect(): Promise<void> {
    const pg = await loadPg();
    const options = { url: this.#url, tell: this.tell, look: (ask: Ask) => this.#look(ask) };
    this.#writer = new Connection(pg, options);
    this.#reader = new Connection(pg, options);
    let isTold = false;
    while (!this.isClosed) {
      try {
        return await this.#prepare();
      } catch (error) {
        if (error instanceof StoreError && error.kind === 'unusable') throw error;
        const code = stateOf(error);
        if (PERMANENT.test(code ?? '') && !isRace(error))
          throw new StoreError('unusable', `PostgreSQL refuses the log: ${messageOf(error)}`, error);
        // It answers, as one does that has yet to start, or has no connection left.
        const isNew: boolean = code !== undefined && !isRace(error) && !isTold;
        if (isNew) this.tell(`PostgreSQL cannot keep the log yet, trying on: ${messageOf(error)}`);
        isTold ||= isNew;
        await this.pause(isRace(error) ? 10 : TRY_AGAIN_MS);
      }
    }
  }

  protected disconnect(): Promise<void> {
    this.#writer?.close();
    this.#reader?.close();
    return Promise.resolve();
  }

  async #prepare(): Promise<void> {
    const reader = this.#reader as Connection;
    const [server] = await reader.ask(`select current_setting('server_version_num')::int as version`);
    checkVersion(Number(server?.['version']));
    const [found] = await reader.ask(
      `select to_regclass('${this.#tables.journal}') is null as missing,
       (select count(*)::int from pg_class where relkind = 'r'
        and relnamespace = to_regnamespace('"${this.#schema}"')) as others`,
    );
    if (found?.['missing'] === true && found['others'] !== 0) throw notOurs(this.#schema, 'it holds other tables');
    const { mustExist = false } = this.#options;
    if (found?.['missing'] === true && mustExist)
      throw new StoreError('unusable', `there is no log there (schema ${this.#schema}): no node has started on it`);
    if (found?.['missing'] === true)
      await reader.ask(makeLog(this.#schema, { id: randomUUID(), segment: this.#options.segment ?? 16_384 }));
    const { row } = await this.#facts(this.#read);
    const { format, segment, settled, unlogged } = row;
    if (typeof format !== 'number' || typeof segment !== 'number' || settled === undefined)
      throw notOurs(this.#schema, 'its table journal is not ours');
    if (format !== FORMAT) throw notOurs(this.#schema, `it has format ${format}, and this version reads ${FORMAT}`);
    if (unlogged === true) throw notOurs(this.#schema, 'it has unlogged tables, which forget at a crash');
    this.#segment = segment;
    if (!mustExist) await reader.ask(makeNodes(this.#schema));
  }

  /** A new connection: is it the server that we knew, and does it have what we knew? */
  async #look(ask: Ask): Promise<void> {
    const server = await serverOf(ask);
    const known = this.#server;
    this.#server = server;
    await this.recognise({ page: (after) => this.#pageBy(ask, after), state: () => this.#facts(ask) });
    if (known === undefined || (known.system === server.system && known.timeline === server.timeline)) return;
    const what = known.system === server.system ? 'failed over' : 'was replaced by another server';
    this.tell(
      `PostgreSQL ${what} (timeline ${known.timeline ?? '?'} → ${server.timeline ?? '?'}): the log's end is as it was`,
    );
  }

  // ---- records -------------------------------------------------------------------------------------

  protected async state(): Promise<JournalState> {
    try {
      return await this.#facts(this.#read);
    } catch (error) {
      const code = stateOf(error);
      throw code === NO_TABLE || code === NO_SCHEMA ? this.gone(`the schema ${this.#schema}`) : refusal(error);
    }
  }

  async #facts(ask: Ask, tries = 3): Promise<Facts> {
    const [row] = await ask(stateQuery(this.#schema));
    if (row === undefined) throw notOurs(this.#schema, 'its table journal is empty');
    // Behind a pooler the server may be another one each time.
    if (row['standby'] === true) throw new StoreError('refused', 'a standby answers, not the primary');
    const segments = row['segments'] as number[];
    if (segments.length === 0) throw notOurs(this.#schema, 'its records are gone');
    const bound = (which: string, number: number): string =>
      `(select ${which}(seq)::float8 from ${this.#tables.segment(number)})`;
    const headIn = async (numbers: readonly number[]): Promise<number> => {
      const [found] = await ask(
        `select greatest(0, ${numbers.map((number) => bound('max', number)).join(', ')}) as head`,
      );
      return found?.['head'] as number;
    };
    try {
      // The newest may have been made before its first record; more are empty only in a log that was cut.
      const head = (await headIn(segments.slice(-2))) || (await headIn(segments));
      const [oldest] = await ask(`select ${bound('min', segments[0] as number)} as first`);
      return {
        id: row['id'] as string,
        first: (oldest?.['first'] ?? head + 1) as number,
        head,
        segment: row['segment'] as number,
        segments,
        row,
      };
    } catch (error) {
      // Truncated in between.
      if (stateOf(error) === NO_TABLE && tries > 1) return this.#facts(ask, tries - 1);
      throw error;
    }
  }

  protected async page(after: number): Promise<Page> {
    try {
      return await this.#pageBy(this.#read, after);
    } catch (error) {
      throw refusal(error);
    }
  }

  async #pageBy(ask: Ask, after: number): Promise<Page> {
    const from = async (segment: number): Promise<readonly Row[]> => {
      try {
        return await ask(pageOf(this.#tables.segment(segment)), [after]);
      } catch (error) {
        // Not made yet, or truncated: what the others hold tells which.
        if (stateOf(error) === NO_TABLE) return [];
        throw error;
      }
    };
    const segment = this.#segmentOf(after);
    const rows = [...(await from(segment))];
    const held = rows[0]?.['seq'] === after ? (rows.shift()?.['hash'] as Uint8Array) : undefined;
    if (rows.length === 0 && this.#segmentOf(after + 1) !== segment) rows.push(...(await from(segment + 1)));
    return { held, records: rows as unknown as JournalRecord[] };
  }

  protected async add(record: JournalRecord): Promise<Added> {
    const { seq, id, prev, hash, bytes } = record;
    const places = [this.#segmentOf(seq - 1), this.#segmentOf(seq)] as const;
    const values = [seq, id, prev, hash, bytes];
    const text = seq === 1 ? appendFirst(this.#tables) : appendTo(this.#tables, places);
    const writer = this.#writer as Connection;
    const add = async (): Promise<Added> => {
      // All but the first of a segment are of one text.
      const isOften = places[0] === places[1] && seq !== 1;
      const rows = isOften
        ? await writer.askAgain(text, values)
        : await writer.ask(text, seq === 1 ? [...values, this.log] : values);
      if (rows.length === 0) return 'not';
      // Ahead of time, so that no append waits for it.
      if (seq % this.#segment === this.#segment >> 1) void this.#make(places[1] + 1).catch(() => undefined);
      return 'added';
    };
    try {
      return await add().catch(async (error: unknown) => {
        if (stateOf(error) !== NO_TABLE || places[0] === places[1]) throw error;
        // It is new, unless it was truncated with what it follows: that one is never made again.
        await writer.ask(`select from ${this.#tables.segment(places[0])} limit 1`);
        await this.#make(places[1]);
        return await add();
      });
    } catch (error) {
      const code = stateOf(error) ?? '';
      // Its table is not there, nor what it follows.
      if (code === NO_TABLE || code === NO_SCHEMA) return 'not';
      if (code === '53100') return 'full';
      if (error instanceof StoreError && error.kind === 'unusable' && !this.isClosed) throw error;
      if (/^(42|22|54|0A)/.test(code))
        throw new StoreError('unusable', `PostgreSQL refuses records: ${messageOf(error)}`, error);
      throw new StoreError('unknown', `the record may be in the log: ${messageOf(error)}`, error);
    }
  }

  /**
   * What is read may have been committed by this server alone: the writer's connection broke while it waited for a
   * synchronous standby. A commit of our own waits for all commits before it.
   */
  protected async settle(): Promise<void> {
    await this.ask(`update ${this.#tables.journal} set settled = settled + 1`);
  }

  async #make(segment: number): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        await (this.#reader as Connection).ask(makeSegment(this.#schema, segment));
        return;
      } catch (error) {
        if (!isRace(error) || tries === 10) throw error;
      }
    }
  }

  #segmentOf(seq: number): number {
    return Math.floor(seq / this.#segment);
  }

  async truncate(before: number): Promise<void> {
    this.check();
    const { head, segments } = (await this.state()) as Facts;
    const end = Math.min(before, head);
    for (const segment of segments) {
      if ((segment + 1) * this.#segment > end) break;
      await this.ask(dropTable(this.#tables.segment(segment)));
    }
  }

  async saveSnapshot(at: number, parts: AsyncIterable<Uint8Array>): Promise<void> {
    this.check();
    await this.#snapshots.save(at, checkedParts(this, parts));
  }

  loadSnapshot(): Promise<JournalSnapshot | undefined> {
    this.check();
    return this.#snapshots.load();
  }

  async announce(node: string, bytes: Uint8Array): Promise<void> {
    this.check();
    await this.ask(announceIn(this.#tables), [node, bytes]);
  }

  async announced(): Promise<readonly Announced[]> {
    this.check();
    return (await this.ask(announcedIn(this.#tables))) as unknown as readonly Announced[];
  }
}

/** Throws for a server that lacks what the log needs. */
export function checkVersion(version: number): void {
  if (version >= OLDEST) return;
  const name = `${Math.floor(version / 10_000)}`;
  throw new StoreError(
    'unusable',
    `PostgreSQL ${name} is too old for the log: 12 is the oldest, 15 and later are tested`,
  );
}

function notOurs(schema: string, why: string): StoreError {
  return new StoreError(
    'unusable',
    `the schema ${schema} cannot keep the log: ${why}. Give the log another name, or drop the schema if nobody needs it`,
  );
}

/** Two nodes made the same table at once: one of them does it again. */
function isRace(error: unknown): boolean {
  return ['23505', '42P06', '42P07', 'XX000', '40001', '40P01'].includes(stateOf(error) ?? '');
}

function refusal(error: unknown): StoreError {
  if (error instanceof StoreError || error instanceof BrokenLog) return error;
  return new StoreError('refused', messageOf(error), error);
}
