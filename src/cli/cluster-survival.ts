/** What a log outlives as its engine is set now, read from the engine itself. */
import { StoreError } from '../store/store.js';
import { NatsJournal } from '../journal/nats.js';
import type { EngineJournal } from '../journal/open.js';
import { PostgresJournal } from '../journal/postgres.js';

export const dangers = ['process', 'power', 'machine', 'failover'] as const;
/**
 * `process`: the engine's process is killed; `power`: its machine loses power and comes back; `machine`: its machine and disk
 * are lost; `failover`: another server of the engine takes over.
 */
export type Danger = (typeof dangers)[number];

export interface Survival {
  /** True: acknowledged records outlive it; false: they may be lost; null: the engine does not say. */
  readonly keeps: Readonly<Record<Danger, boolean | null>>;
  /** The settings that it follows from. */
  readonly because: string;
}

/** The log is open. Rejects with a StoreError when the engine does not answer. */
export function survivalOf(journal: EngineJournal): Promise<Survival> {
  if (journal instanceof PostgresJournal) return ofPostgres(journal);
  if (journal instanceof NatsJournal) return ofNats(journal);
  return Promise.reject(new StoreError('unusable', 'nothing is known of this engine'));
}

/** `keeps …; may lose …; not known …`, of those there are. */
export function survivalLine({ keeps, because }: Survival): string {
  const among = (wanted: boolean | null): string => dangers.filter((danger) => keeps[danger] === wanted).join(', ');
  const parts = [
    ['survives', among(true)],
    ['may lose acknowledged records at', among(false)],
    ['not known', among(null)],
  ].flatMap(([what, list]) => (list === '' ? [] : [`${what}: ${list}`]));
  return `${parts.join('; ')} (${because})`;
}

const SETTINGS = ['synchronous_commit', 'synchronous_standby_names', 'fsync', 'full_page_writes'];

async function ofPostgres(journal: PostgresJournal): Promise<Survival> {
  const rows = await journal.ask('select name, setting from pg_settings where name = any($1)', [SETTINGS]);
  const found = new Map(rows.map((row) => [String(row['name']), String(row['setting'])]));
  const [commit = '', standbys = '', fsync, pages] = SETTINGS.map((name) => found.get(name));
  const isWritten = commit !== 'off';
  // With a standby named, all but `off` and `local` wait for it.
  const isReplicated = isWritten && commit !== 'local' && standbys !== '';
  return {
    keeps: {
      process: isWritten,
      power: isWritten && fsync === 'on' && pages === 'on',
      machine: isReplicated,
      failover: isReplicated,
    },
    because: SETTINGS.map((name) => `${name}=${found.get(name) || "''"}`).join(', '),
  };
}

async function ofNats(journal: NatsJournal): Promise<Survival> {
  const { num_replicas: replicas, storage } = await journal.config();
  const isReplicated = replicas >= 3;
  const isFile = String(storage) === 'file';
  return {
    keeps: {
      process: isFile || isReplicated,
      // JetStream acknowledges before it syncs, unless `sync_interval: always` is set; it tells no client which.
      power: isFile ? null : false,
      machine: isReplicated,
      failover: isReplicated,
    },
    because: `replicas=${replicas}, storage=${storage}, sync_interval not told: every 2 minutes unless set`,
  };
}
