/**
 * The engines that can keep a cluster's log, as the tests start them, but set to keep what they acknowledge as they do by
 * default: PostgreSQL waits for the disk. They and the load share a core. What is not installed is skipped, and said.
 */
import { tsImport } from 'tsx/esm/api';
import type { Suite } from './contest.js';
import type { LogName } from './contestants.js';

type Urls = ReadonlyMap<LogName, string>;
type Owner = { teardown(end: () => unknown): void };

/** Types and all, and outside of what is measured: they only start programs. */
const fromTests = async <T>(path: string): Promise<T> => (await tsImport(path, import.meta.url)) as T;
const loadPostgres = () => fromTests<typeof import('../test/support/postgres.js')>('../test/support/postgres.ts');
const loadNats = () => fromTests<typeof import('../test/support/nats.js')>('../test/support/nats.ts');

/** Ports of this machine that are free now. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const { freePort } = await fromTests<typeof import('../test/support/free-port.js')>('../test/support/free-port.ts');
  return Promise.all(Array.from({ length: count }, freePort));
}

/** A program, and the package that speaks to it. */
const needs = {
  postgres: ['PostgreSQL', 'pg'],
  nats: ['nats-server', '@nats-io/jetstream'],
  'nats-r3': ['nats-server', '@nats-io/jetstream'],
} as const;

/** Starts those that can run here, and stops them after `work`. Without any there is no work: undefined. */
export async function withEngines<T>(suite: Suite, work: (urls: Urls) => Promise<T>): Promise<T | undefined> {
  const ends: (() => unknown)[] = [];
  const stop = (): Promise<unknown> => Promise.all(ends.splice(0).map((end) => end()));
  // Ctrl-C ends the process without the `finally`; what ends them begins at once.
  const atExit = (): void => void stop();
  process.once('exit', atExit);
  try {
    const urls = new Map<LogName, string>();
    for (const log of suite.logs) {
      const url = await start(log, { teardown: (end) => void ends.push(end) });
      if (url !== undefined) urls.set(log, url);
      else suite.progress.say(`SKIPPED ${log}: no ${needs[log][0]}, or not the package ${needs[log][1]}`);
    }
    return urls.size === 0 ? undefined : await work(urls);
  } finally {
    process.off('exit', atExit);
    await stop();
  }
}

async function start(log: LogName, owner: Owner): Promise<string | undefined> {
  const isThere = await import(needs[log][1]).then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  if (log === 'postgres') {
    const { noPostgres, startPostgres } = await loadPostgres();
    const settings = { fsync: 'on', shared_buffers: '128MB', autovacuum: 'on' };
    return noPostgres === false ? (await startPostgres(owner, { settings })).url : undefined;
  }
  const { noNats, startNats } = await loadNats();
  if (noNats !== false) return undefined;
  return `nats://127.0.0.1:${(await startNats(owner, log === 'nats' ? 1 : 3))[0]?.port}`;
}
