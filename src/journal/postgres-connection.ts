/**
 * One connection to PostgreSQL's primary, made again after it was lost. It asks one thing at a time, gives up on an answer
 * after five seconds, relies on no state in the session, and lets its owner look at the server first whenever it is a new one.
 */
import { createHash } from 'node:crypto';
import { Socket } from 'node:net';
import type { Client, ClientConfig, QueryResult } from 'pg';
import { StoreError } from '../store/store.js';

const ANSWER_MS = 5_000;
const SAY_AGAIN_MS = 60_000;
/** It became a standby, was one behind a pooler, or is set to take no writes, as where its disk is full. */
const READ_ONLY = '25006';

export type Row = Record<string, unknown>;
export type Ask = (text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

export interface ConnectionOptions {
  readonly url: string;
  readonly tell: (line: string) => void;
  /** Before anything else is asked of a new connection. What it throws is thrown by who asked. */
  readonly look: (ask: Ask) => Promise<void>;
}

/** Of one server, as it was when a connection was made; undefined: it does not say. */
export interface Server {
  readonly system: string | undefined;
  readonly timeline: string | undefined;
}

/** Loads `pg`. Throws `unusable` with what to do when it is not installed. */
export async function loadPg(): Promise<typeof import('pg')> {
  try {
    return await import('pg');
  } catch (error) {
    throw new StoreError('unusable', 'a log in PostgreSQL needs the package pg: npm install pg', error);
  }
}

interface Made {
  readonly client: Client;
  readonly socket: Socket;
  /** What its session has prepared. */
  prepared?: Prepared;
}

interface Prepared {
  readonly name: string;
  readonly text: string;
}

export class Connection {
  readonly #pg: typeof import('pg');
  readonly #options: ConnectionOptions;
  readonly #hosts: readonly string[];
  #client: Made | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #isAway = false;
  #hasConnected = false;
  /** When it was last said that the server takes no writes. */
  #saidReadOnly = -Infinity;
  #tries = 0;
  /** A pooler in transaction mode, which may give each question another session. */
  #isPooled = false;

  constructor(pg: typeof import('pg'), options: ConnectionOptions) {
    this.#pg = pg;
    this.#options = options;
    this.#hosts = hostsOf(options.url);
  }

  /** Rejects as `pg` does. After what is no answer of the server's the next question gets a new connection. */
  ask(text: string, values?: readonly unknown[]): Promise<readonly Row[]> {
    return this.#inTurn(({ client }) => rowsOf(client, { text, values }));
  }

  /** For what is asked over and over: planned once for a session, which keeps the last such statement. */
  askAgain(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#inTurn(async (made) => {
      if (this.#isPooled) return rowsOf(made.client, { text, values });
      try {
        return await rowsOf(made.client, { ...(await prepared(made, text)), values });
      } catch (error) {
        // Nothing has been done.
        if (!isOfAnother(error)) throw error;
        this.#isPooled = true;
        return await rowsOf(made.client, { text, values });
      }
    });
  }

  /** At once: a question under way is rejected. */
  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  #inTurn(work: (made: Made) => Promise<readonly Row[]>): Promise<readonly Row[]> {
    const turn = this.#turn.then(() => this.#do(work));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #do(work: (made: Made) => Promise<readonly Row[]>): Promise<readonly Row[]> {
    let isConnected = this.#client !== undefined;
    try {
      this.#client ??= await this.#connect();
      isConnected = this.#hasConnected = true;
      const rows = await work(this.#client);
      if (this.#isAway) this.#options.tell('PostgreSQL answers again');
      this.#isAway = false;
      return rows;
    } catch (error) {
      const code = stateOf(error);
      if (code === undefined || code === READ_ONLY || code.startsWith('57P')) this.#drop();
      const isOurs = error instanceof StoreError && error.kind === 'unusable';
      // Whoever connects for the first time says himself why he cannot.
      if (code === undefined ? !isOurs : !isConnected && this.#hasConnected) this.#noteAway(error);
      if (code === READ_ONLY) this.#noteReadOnly(error);
      throw error;
    }
  }

  async #connect(): Promise<Made> {
    if (this.#isClosed) throw new StoreError('unusable', 'the log is closed');
    const socket = new Socket();
    const config: ClientConfig = {
      connectionString: this.#hosts[this.#tries++ % this.#hosts.length],
      connectionTimeoutMillis: ANSWER_MS,
      query_timeout: ANSWER_MS,
      keepAlive: true,
      application_name: 'roomwire',
      stream: () => socket,
    };
    const client = new this.#pg.Client(config);
    const made = { client, socket };
    client.on('error', () => {
      if (this.#client === made) this.#drop();
    });
    // Kept at once: `close` ends it also while it is being made.
    this.#client = made;
    try {
      await client.connect();
      const [row] = await rowsOf(client, { text: 'select pg_is_in_recovery() as standby' });
      if (row?.['standby'] !== false) throw new Error('a standby answers, not the primary');
      await this.#options.look((text, values) => rowsOf(client, { text, values }));
    } catch (error) {
      this.#drop();
      throw error;
    }
    // The next try begins with the host that served.
    this.#tries--;
    return made;
  }

  #drop(): void {
    this.#client?.socket.destroy();
    this.#client = undefined;
  }

  /** Reads go on, so nothing says when it is over. */
  #noteReadOnly(error: unknown): void {
    if (performance.now() - this.#saidReadOnly < SAY_AGAIN_MS) return;
    this.#saidReadOnly = performance.now();
    this.#options.tell(`PostgreSQL takes no writes, trying on: ${messageOf(error)}`);
  }

  #noteAway(error: unknown): void {
    if (this.#isAway || this.#isClosed) return;
    this.#isAway = true;
    this.#options.tell(`PostgreSQL does not answer, trying on: ${messageOf(error)}`);
  }
}

/** Which server answers. Some services let nobody ask: then only the log itself tells whether it is the same. */
export async function serverOf(ask: Ask): Promise<Server> {
  const one = async (text: string): Promise<string | undefined> => {
    try {
      const value = (await ask(text))[0]?.['value'];
      return typeof value === 'string' ? value : undefined;
    } catch (error) {
      if (stateOf(error) === undefined) throw error;
      return undefined;
    }
  };
  return {
    system: await one('select system_identifier::text as value from pg_control_system()'),
    timeline: await one('select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as value'),
  };
}

/** SQLSTATE of what the server answered; undefined for what is no answer of it. */
export function stateOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in (error as object) ? code : undefined;
}

/** An AggregateError of several addresses has no words of its own. */
export function messageOf(error: unknown): string {
  const { message, errors } = error as { message?: string; errors?: readonly Error[] };
  return message !== undefined && message !== '' ? message : (errors?.[0]?.message ?? String(error));
}

/** `a,b:5433`: each is tried in turn until one is the primary. */
function hostsOf(url: string): readonly string[] {
  const [, before = '', hosts = '', after = ''] = /^(\w+:\/\/(?:[^@/]*@)?)([^/?]*)(.*)$/s.exec(url) ?? [];
  return hosts.split(',').map((host) => `${before}${host}${after}`);
}

/**
 * The name is of this text alone, so that a session which has it already, of another node through a pooler, has the same. What was prepared
 * before goes: sessions last for months.
 */
async function prepared(made: Made, text: string): Promise<Prepared> {
  if (made.prepared?.text === text) return made.prepared;
  const old = made.prepared;
  made.prepared = { name: `append_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`, text };
  const release = old && rowsOf(made.client, { text: `deallocate ${old.name}` });
  await release?.catch((error: unknown) => {
    // A pooler that keeps statements for its clients has other names for them.
    if (!isOfAnother(error)) throw error;
  });
  return made.prepared;
}

/** A statement that its session does not have, or has already: a pooler has given this question another one. */
function isOfAnother(error: unknown): boolean {
  return ['26000', '42P05'].includes(stateOf(error) ?? '');
}

interface Question {
  /** None: the statement works behind every pooler. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[] | undefined;
}

/** Done in one round trip. Without values it may be several statements: the rows are the last one's. */
async function rowsOf(client: Client, { values, ...asked }: Question): Promise<readonly Row[]> {
  const query = values === undefined ? asked : { ...asked, values: [...values] };
  const result = (await client.query<Row>(query)) as QueryResult<Row> | readonly QueryResult<Row>[];
  return (
    (Array.isArray(result) ? (result as readonly QueryResult<Row>[]).at(-1) : (result as QueryResult<Row>))?.rows ?? []
  );
}
