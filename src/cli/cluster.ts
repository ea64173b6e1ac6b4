/** `roomwire cluster check`: whether an engine keeps what a cluster's log needs, how fast, and what it outlives as it is set. */
import { randomBytes } from 'node:crypto';
import { command, CommandError, numberFlag, UsageError } from './args.js';
import { printLine } from './print.js';

const KIB = 1_024;

export const cluster = command({
  name: 'cluster',
  usage: 'check <url> [options]',
  summary: 'Checks a database for the log of a cluster: what it keeps, how fast, what it survives.',
  details: `The url is postgres://… or nats://…, as for serve --cluster. The checks make a log of their own beside yours (a schema, or
streams) and remove it in the end; other logs are not touched. Latencies are those of one append at a time, from here.
The last line says which losses acknowledged records outlive as the engine is set:
  process   the engine's process is killed
  power     its machine loses power and comes back
  machine   its machine and disk are lost
  failover  another of its servers takes over
The exit code is 1 when a check failed.`,
  takes: [2, 2],
  flags: {
    json: { type: 'boolean', help: 'print one JSON line for each check, latency and the survival' },
    races: { type: 'string', value: 'N', default: '1000', help: 'how often two writers race for a number' },
    timeout: { type: 'string', value: 'MS', default: '10000', help: 'to wait for an engine that is away' },
  },
  async run({ json = false, races = '1000', timeout = '10000' }, [which, url = '']) {
    if (which !== 'check') throw new UsageError(`cluster takes check, not '${which}'`);
    const [raceCount, timeoutMs] = [
      numberFlag('races', races, 1, 100_000),
      numberFlag('timeout', timeout, 100, 600_000),
    ];
    const [{ journalAt }, { appendLatency, engineChecks }, { survivalLine, survivalOf }] = await Promise.all([
      import('../journal/open.js'),
      import('../journal/engine-check.js'),
      import('../journal/survival.js'),
    ]);
    const name = `roomwire_check_${randomBytes(6).toString('hex')}`;
    const open = () => journalAt(url, { name, tell: (line) => process.stderr.write(`${line}\n`) });
    const say = (fields: object, line: string): void => printLine(json ? JSON.stringify(fields) : line);

    const keeper = await opened(open, timeoutMs);
    try {
      for (const check of engineChecks({ open, races: raceCount })) {
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
  },
});

interface Opening {
  open(): Promise<unknown>;
  close(): Promise<void>;
}

/** `open` of an engine that is away tries for ever. */
async function opened<T extends Opening>(make: () => T, timeoutMs: number): Promise<T> {
  let journal: T;
  try {
    journal = make();
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CommandError(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([journal.open(), late]);
    return journal;
  } catch (error) {
    await journal.close();
    throw error instanceof CommandError ? error : new CommandError((error as Error).message);
  } finally {
    clearTimeout(timer);
  }
}
