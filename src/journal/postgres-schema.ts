/**
 * The log's tables in PostgreSQL, in a schema of their own, made on demand. Records stand in segments: tables for so many
 * numbers each, which truncation drops whole. So disk comes back at once, nothing waits for a vacuum, and a lock on an old
 * segment (a backup that reads it) holds up nobody who appends. All statements stand alone: a pooler may spread them.
 */

import { ANNOUNCED_MS } from './journal.js';

/** What another version of roomwire would read differently. */
export const FORMAT = 1;

export interface Tables {
  readonly journal: string;
  readonly nodes: string;
  readonly segment: (number: number) => string;
  readonly snapshot: (id: string) => string;
}

/** Their quoted names. `schema` was checked: see checkedName. */
export function tablesOf(schema: string): Tables {
  return {
    journal: `"${schema}".journal`,
    nodes: `"${schema}".nodes`,
    segment: (number) => `"${schema}".log_${number}`,
    snapshot: (id) => `"${schema}".snapshot_${id}`,
  };
}

/** One row: which log this is, and which snapshot counts. `settled` is written to wait for what was committed before. */
export function makeLog(schema: string, { id, segment }: { readonly id: string; readonly segment: number }): string {
  const { journal } = tablesOf(schema);
  return `
    create schema if not exists "${schema}";
    create table if not exists ${journal} (
      one boolean primary key default true check (one),
      format int not null,
      id text not null,
      segment int not null,
      snapshot text,
      snapshot_before text,
      snapshot_at bigint not null default -1,
      snapshot_parts int not null default 0,
      settled bigint not null default 0
    );
    insert into ${journal} (format, id, segment) values (${FORMAT}, '${id}', ${segment}) on conflict do nothing;
    ${makeSegment(schema, 0)}`;
}

/** Payloads are kept as they are: compressing them would cost more time than disk. Nothing in it is ever updated. */
export function makeSegment(schema: string, number: number): string {
  const table = tablesOf(schema).segment(number);
  return `
    create table if not exists ${table} (
      seq bigint primary key,
      id text not null,
      prev bytea not null,
      hash bytea not null,
      bytes bytea not null
    ) with (autovacuum_enabled = off, toast.autovacuum_enabled = off);
    alter table ${table} alter column bytes set storage external;`;
}

export function makeSnapshot(schema: string, id: string): string {
  return `create table ${tablesOf(schema).snapshot(id)} (part int primary key, hash bytea not null, bytes bytea not null)`;
}

/**
 * Makes one count, and answers the one before. Both this and a sweep hold the log's row before they look: else a snapshot whose last
 * part has just come could be dropped by another node, and count.
 */
export function keepSnapshot(
  schema: string,
  { id, at, count }: { readonly id: string; readonly at: number; readonly count: number },
): string {
  const { journal, snapshot } = tablesOf(schema);
  return `
    select from ${journal} for update;
    update ${journal} set snapshot_before = snapshot, snapshot = '${id}', snapshot_at = ${at}, snapshot_parts = ${count}
    where snapshot_at <= ${at} and to_regclass('${snapshot(id)}') is not null returning snapshot_before`;
}

/** Drops all but the two that count. */
export function sweepSnapshots(schema: string): string {
  return `
    do $$ declare name text; begin
      perform set_config('lock_timeout', '1000', true);
      perform from ${tablesOf(schema).journal} for update;
      for name in select relname from pg_class where relkind = 'r' and relnamespace = '"${schema}"'::regnamespace
        and relname ~ '^snapshot_[0-9a-f]+$' and not exists (
          select from ${tablesOf(schema).journal} where substr(relname::text, 10) in (snapshot, snapshot_before))
      loop execute format('drop table if exists "${schema}".%I', name); end loop;
    end $$`;
}

/** How each node stands. Unlogged: a row a second waits for no disk and no standby, and a crash may forget it. */
export function makeNodes(schema: string): string {
  const columns = 'node text primary key, bytes bytea not null, at timestamptz not null';
  return `create unlogged table if not exists ${tablesOf(schema).nodes} (${columns}) with (fillfactor = 50)`;
}

/** In place of the node's row before; rows that nobody asks for any more go. */
export function announceIn({ nodes }: Tables): string {
  return `
    with old as (delete from ${nodes} where node <> $1 and at < clock_timestamp() - interval '${ANNOUNCED_MS} ms')
    insert into ${nodes} (node, bytes, at) values ($1, $2, clock_timestamp())
    on conflict (node) do update set bytes = excluded.bytes, at = excluded.at`;
}

export function announcedIn({ nodes }: Tables): string {
  return `
    select node, bytes, greatest(0, extract(epoch from clock_timestamp() - at) * 1000)::float8 as "ageMs" from ${nodes}
    where at > clock_timestamp() - interval '${ANNOUNCED_MS} ms' order by node`;
}

/** Waits a second at most for those who still read it. */
export function dropTable(table: string): string {
  return `select set_config('lock_timeout', '1000', true); drop table if exists ${table}`;
}

/** The newest record is the one before, with this hash, or else nothing happens: one statement, so nobody comes between. */
export function appendTo(tables: Tables, [before, segment]: readonly [before: number, segment: number]): string {
  return `
    insert into ${tables.segment(segment)} (seq, id, prev, hash, bytes) select $1::bigint, $2, $3, $4, $5
    where exists (select from ${tables.segment(before)} where seq = $1::bigint - 1 and hash = $3)
    on conflict do nothing returning 1 as added`;
}

/** The same for the first record, which follows nothing but the log's id. */
export function appendFirst(tables: Tables): string {
  return `
    insert into ${tables.segment(0)} (seq, id, prev, hash, bytes) select $1::bigint, $2, $3, $4, $5
    where exists (select from ${tables.journal} where id = $6)
    on conflict do nothing returning 1 as added`;
}

/** A record's hash, and what follows it in the same segment, up to about 4 MB. */
export function pageOf(table: string): string {
  return `
    select seq::float8, id, prev, hash, case when seq = $1 then null else bytes end as bytes
    from (select *, sum(length(bytes)) over (order by seq) - length(bytes) as above
          from (select * from ${table} where seq >= $1 order by seq limit 256) as page) as summed
    where above <= 4000000 order by seq`;
}

/** Which log this is, its segments in order, and whether a standby answers. */
export function stateOf(schema: string): string {
  return `
    select j.*, pg_is_in_recovery() as standby, array(
      select substr(relname::text, 5)::int from pg_class join pg_namespace n on n.oid = relnamespace
      where nspname = '${schema}' and relkind = 'r' and relname ~ '^log_[0-9]+$' order by 1) as segments,
      exists (select from pg_class join pg_namespace n on n.oid = relnamespace
      where nspname = '${schema}' and relkind = 'r' and relpersistence <> 'p' and relname <> 'nodes') as unlogged
    from ${tablesOf(schema).journal} as j`;
}
