/** `roomwire cluster check`: whether an engine keeps what a cluster's log needs, how fast, and what it outlives as it is set. */
import { randomBytes } from 'node:crypto';
import { appendLatency, engineChecks } from './cluster-checks.js';
import { journalAt } from '../journal/open.js';
import { survivalLine, survivalOf } from './cluster-survival.js';
import { CommandError } from './args.js';
import { opened } from './log-engine.js';
import { printLine } from './print.js';

const KIB = 1_024;

export interface CheckOptions {
  readonly url: string;
  readonly json: boolean;
  readonly races: number;
  readonly timeoutMs: number;
}

export async function checkEngine({ url, json, races, timeoutMs }: CheckOptions): Promise<void> {
  const name = `roomwire_check_${randomBytes(6).toString('hex')}`;
  const open = () => journalAt(url, { name, tell: (line) => process.stderr.write(`${line}\n`) });
  const say = (fields: object, line: string): void => printLine(json ? JSON.stringify(fields) : line);

  const keeper = await opened(open, timeoutMs);
  try {
    for (const check of engineChecks({ open, races })) {
      const { title } = check;
      try {
        await check.run();
      } catch (error) {
        const problem = (error as Error).message;
        say({ check: title, ok: false, problem }, `not ok  ${title}: ${problem}`);
        throw new CommandError('the engine does not keep what the log needs');
      }
      say({ check: title, ok: true }, `ok      ${title}`);
    }
    for (const [bytes, count] of [
      [KIB, 300],
      [64 * KIB, 60],
    ] as const) {
      const latency = await appendLatency(open, bytes, count);
      const [p50, p99] = [latency.p50, latency.p99].map((ms) => ms.toFixed(2));
      say(latency, `append of ${bytes / KIB} KiB: p50 ${p50} ms, p99 ${p99} ms (${count}, one at a time)`);
    }
    const survival = await survivalOf(keeper);
    say(survival, survivalLine(survival));
  } finally {
    await keeper.remove().catch((error: unknown) => {
      process.stderr.write(`${name} could not be removed: ${(error as Error).message}\n`);
    });
    await keeper.close();
  }
}
