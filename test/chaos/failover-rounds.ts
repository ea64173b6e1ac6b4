/** Many failovers of a cluster, so many in a row on one log, then on a new one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EngineName } from './child.js';
import { runFailovers } from './failover.js';
import { noLog, withLog, type LogEngine } from './log.js';

const IN_A_ROW = 20;

export interface RoundsOptions {
  readonly seed: number;
  readonly engine: EngineName;
  readonly failovers: number;
  readonly say: (line: string) => void;
}

/** Answers what went wrong in the first round that did. */
export async function failoverRounds({ seed, engine, failovers, say }: RoundsOptions): Promise<readonly string[]> {
  if (noLog.postgres !== false) {
    say(`SKIPPED the failovers: ${noLog.postgres}`);
    return [];
  }
  const sum = { deliveries: 0, acknowledged: 0, lost: 0, doubled: 0 };
  for (let done = 0, round = seed; done < failovers; done += IN_A_ROW, round++) {
    const path = mkdtempSync(join(tmpdir(), 'roomwire-failover-'));
    const count = Math.min(IN_A_ROW, failovers - done);
    const progress = (line: string): void => say(`SEED=${round}, after ${done}: ${line}`);
    const run = (log: LogEngine) => runFailovers({ seed: round, engine, path, log, failovers: count, progress });
    const result = await withLog('postgres', run).finally(() => rmSync(path, { recursive: true, force: true }));
    for (const what of Object.keys(sum) as (keyof typeof sum)[]) sum[what] += result[what];
    say(`${done + count} failovers: ${JSON.stringify(sum)}`);
    if (result.complaints.length > 0) {
      return [...result.complaints, `to replay: SEED=${round} npm run stress -- --only failover`];
    }
  }
  return [];
}
