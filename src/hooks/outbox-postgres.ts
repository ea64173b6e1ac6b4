/**
 * The outbox's table in PostgreSQL. A trigger gives each row its id under a lock of its topic that lasts until the commit,
 * so the ids of a topic are in the order of the commits, and a row that is there has none before it that is still to come.
 */
import { createHash } from 'node:crypto';
import type { Client } from 'pg';

export interface OutboxRow {
  readonly id: string;
  readonly topic: string;
  readonly event: string;
  /** JSON. */
  readonly data: string;
}

/** Why a row was set aside. */
export interface Refusal {
  readonly id: string;
  readonly topic: string;
  readonly event: string;
  readonly code: number;
  readonly name: string;
  readonly reason: string;
}

export interface OutboxTable {
  /** Of this table and no other, also one of the same name. */
  readonly identity: string;
  /** Of several servers one takes the rows, as long as its connection lives. */
  isOurs(): Promise<boolean>;
  read(
    limit: number,
  ): Promise<{ readonly rows: readonly OutboxRow[]; readonly waiting: number; readonly lagSeconds: number }>;
  /** Deletes what is published, and sets aside what is refused, in one transaction. */
  finish(published: readonly string[], refused: readonly Refusal[]): Promise<void>;
  close(): Promise<void>;
}

const CONNECT_MS = 5_000;
const STATEMENT_MS = 10_000;

/** What docs/python.md prints for migrations. */
export function outboxSql(table: string): string {
  return `create table if not exists ${table} (
  id bigint primary key,
  topic text not null,
  event text not null,
  data jsonb not null default 'null',
  created_at timestamptz not null default clock_timestamp(),
  refused jsonb
);
create sequence if not exists ${table}_id owned by ${table}.id;
create or replace function ${table}_put() returns trigger language plpgsql as $$
begin
  -- Until the commit: the next row of this topic has its id after it.
  perform pg_advisory_xact_lock(hashtext('${table}'), hashtext(new.topic));
  new.id := nextval('${table}_id');
  perform pg_notify('${table}', '');
  return new;
end $$;
create or replace trigger ${table}_put before insert on ${table} for each row execute function ${table}_put();`;
}

/** Rejects where the database is away, or pg is not installed. `changed`: a row was committed, or the connection is lost. */
export async function openOutbox({
  url,
  table,
  changed,
}: {
  readonly url: string;
  readonly table: string;
  readonly changed: () => void;
}): Promise<OutboxTable> {
  const { default: pg } = await import('pg').catch((error: unknown) => {
    throw new Error('the outbox needs the package pg: npm install pg', { cause: error });
  });
  const client = new pg.Client({
    connectionString: url,
    application_name: 'roomwire',
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: STATEMENT_MS,
  });
  // A lost connection: the next query says so.
  client.on('error', changed);
  client.on('notification', changed);
  try {
    await client.connect();
    const { rows } = await client.query<{ oid: string | null }>('select to_regclass($1)::oid::text as oid', [table]);
    if (rows[0]?.oid === null) await client.query(outboxSql(table));
    await client.query(`listen ${table}`);
    const found = await client.query<{ oid: string }>('select to_regclass($1)::oid::text as oid', [table]);
    return new PostgresOutbox(client, table, found.rows[0]?.oid ?? '');
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

class PostgresOutbox implements OutboxTable {
  readonly identity: string;
  readonly #client: Client;
  readonly #table: string;
  readonly #lock: number;
  #isOurs = false;

  constructor(client: Client, table: string, oid: string) {
    this.#client = client;
    this.#table = table;
    this.identity = `${table} ${oid}`;
    this.#lock = createHash('sha256').update(this.identity).digest().readInt32BE();
  }

  async isOurs(): Promise<boolean> {
    if (this.#isOurs) return true;
    const { rows } = await this.#client.query<{ ours: boolean }>('select pg_try_advisory_lock($1, 0) as ours', [
      this.#lock,
    ]);
    return (this.#isOurs = rows[0]?.ours === true);
  }

  async read(
    limit: number,
  ): Promise<{ readonly rows: readonly OutboxRow[]; readonly waiting: number; readonly lagSeconds: number }> {
    const { rows } = await this.#client.query<OutboxRow>(
      `select id::text, topic, event, data::text from ${this.#table} where refused is null order by ${this.#table}.id limit $1`,
      [limit],
    );
    if (rows.length === 0) return { rows, waiting: 0, lagSeconds: 0 };
    const { rows: counted } = await this.#client.query<{ waiting: number; lag: number }>(
      `select count(*)::int as waiting,
        greatest(0, extract(epoch from clock_timestamp() - min(created_at)))::float8 as lag
        from ${this.#table} where refused is null`,
    );
    return { rows, waiting: counted[0]?.waiting ?? 0, lagSeconds: counted[0]?.lag ?? 0 };
  }

  async finish(published: readonly string[], refused: readonly Refusal[]): Promise<void> {
    const aside = refused.map(({ id, code, name, reason }) => ({ id, refused: { code, name, reason } }));
    // One statement is one transaction.
    await this.#client.query(
      `with aside as (
        update ${this.#table} t set refused = r.refused
        from jsonb_to_recordset($2::jsonb) as r(id bigint, refused jsonb) where t.id = r.id
      ) delete from ${this.#table} where id = any($1::bigint[])`,
      [published, JSON.stringify(aside)],
    );
  }

  async close(): Promise<void> {
    this.#client.removeAllListeners('notification');
    await this.#client.end().catch(() => undefined);
  }
}
