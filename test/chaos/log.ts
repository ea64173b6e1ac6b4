/** A log in an engine of its own, for programs that are no tests: it is gone when the work is done. */
import { noNats, startNats, type Nats } from '../support/nats.js';
import { noPostgres, startPostgres } from '../support/postgres.js';

export const LOGS = ['postgres', 'nats'] as const;
export type LogName = (typeof LOGS)[number];

/** Why it cannot be: its program is not installed. */
export const noLog: Readonly<Record<LogName, string | false>> = { postgres: noPostgres, nats: noNats };

/** An engine that a run may kill, stop and start again on its data. */
export interface LogEngine {
  readonly url: string;
  kill(): Promise<void>;
  start(): Promise<void>;
  signal(name: 'SIGSTOP' | 'SIGCONT'): void;
}

export async function startLog(log: LogName, owner: { teardown(end: () => unknown): void }): Promise<LogEngine> {
  if (log === 'postgres') return startPostgres(owner);
  const [nats] = (await startNats(owner)) as [Nats];
  return Object.assign(nats, { url: `nats://127.0.0.1:${nats.port}` });
}

export async function withLog<T>(log: LogName, work: (engine: LogEngine) => Promise<T>): Promise<T> {
  const ends: (() => unknown)[] = [];
  try {
    return await work(await startLog(log, { teardown: (end) => void ends.push(end) }));
  } finally {
    for (const end of ends.reverse()) await end();
  }
}
