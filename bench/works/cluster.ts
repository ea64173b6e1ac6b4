/**
 * A hub whose log is in an engine of this machine, beside one on LMDB alone. "append": what the engine itself takes, one record at
 * a time, beside a round trip to it and an fdatasync of this disk. "publish": calls that publish and wait until the event is in
 * the log, one at a time and 64. "fan-out": to n subscribers. The engine shares the load's core.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Journal } from '../../src/journal/journal.js';
import { compete, fits, type Suite } from '../contest.js';
import type { Contestant, LogName } from '../contestants.js';
import { loadJournal, loadPostgres } from '../dist.js';
import { withEngines } from '../engines.js';
import { Callers } from '../load/caller.js';
import { publishCallOf } from '../load/requests.js';
import { wireOf } from '../load/wires.js';
import { medianOf, quantile, type Row } from '../result.js';

const SUBSCRIBERS = 1_000;
const IN_FLIGHT = [64, 1];
const WINDOWS = [1, 256];
const APPENDS = { least: 20, most: 1_000 };

export async function cluster(suite: Suite): Promise<Row[]> {
  if (!suite.peers.includes('roomwire') || !fits(suite, 'cluster', Math.min(SUBSCRIBERS, suite.clients))) return [];
  if (!suite.planning) return (await withEngines(suite, (urls) => measure(suite, urls))) ?? [];
  suite.plan.add(suite.logs.length, 3 * suite.seconds + 2);
  return measure(suite, new Map(suite.logs.map((log) => [log, ''])));
}

async function measure(suite: Suite, logs: ReadonlyMap<LogName, string>): Promise<Row[]> {
  const n = Math.min(SUBSCRIBERS, suite.clients);
  const bytes = suite.bytes[0] as number;
  const contestants = (['lmdb', ...logs.keys()] as const).map((store): Contestant => ({ peer: 'roomwire', store }));
  const contest = { work: 'cluster', contestants, bytes, logs } as const;
  const rows: Row[] = [];
  if (!suite.planning) for (const [log, url] of logs) rows.push(await appends(suite, log, url));
  rows.push(
    ...(await compete(suite, {
      ...contest,
      label: 'cluster, publish',
      seconds: IN_FLIGHT.length * 1.25 * suite.seconds + 1,
      async turn({ server, time, sample }) {
        const exchange = await publishCallOf(bytes);
        for (const clients of IN_FLIGHT) {
          const callers = new Callers(server);
          try {
            await callers.connect(clients, () => exchange);
            const cell = { work: 'cluster', n: clients, w: 1, bytes, variant: 'publish' } as const;
            sample(cell, await time((seconds) => callers.run(seconds)));
          } finally {
            callers.close();
          }
        }
      },
    })),
    ...(await compete(suite, {
      ...contest,
      label: 'cluster, fan-out',
      seconds: n / 4000 + WINDOWS.length * 1.25 * suite.seconds + 1,
      async turn({ load, measure }) {
        const wire = await wireOf('roomwire', bytes);
        await load.connect(n, () => wire);
        for (const w of WINDOWS) {
          const window = { order: { publish: w }, deliveries: n * w };
          await measure({ work: 'cluster', n, w, bytes, variant: 'fan-out' }, [window]);
        }
        load.checkEqual();
      },
    })),
  );
  return rows;
}

/** Without a server: what an append costs there, and what it is made of. */
async function appends(suite: Suite, log: LogName, url: string): Promise<Row> {
  const bytes = suite.bytes[0] as number;
  const { journal, ask } = await journalOf(log, url);
  const record = new Uint8Array(bytes).fill(0x61);
  const disk = new Disk();
  try {
    const { head } = await journal.open();
    const took = {
      append: await times(suite.seconds, (i) => journal.append(head + i, `id-${i}`, record)),
      trip: await times(suite.seconds, ask),
      fsync: await times(suite.seconds, () => disk.sync()),
    };
    const latencies = Float64Array.from(took.append).sort();
    const seconds = latencies.reduce((sum, ms) => sum + ms, 0) / 1000;
    return {
      ...{ work: 'cluster', peer: 'roomwire', store: log, variant: 'append', n: 1, w: 1, bytes },
      ...{ perSecond: latencies.length / seconds, cpuNanoseconds: null, wireBytes: null, load: null },
      ...{ p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) },
      ...{ windows: latencies.length, deliveries: latencies.length, range: null, toUws: null },
      more: {
        'round trip ms': medianOf(took.trip) ?? 0,
        'fdatasync ms': medianOf(took.fsync) ?? 0,
      },
    };
  } finally {
    disk.close();
    await journal.close();
  }
}

/** Ms that each of some took, one at a time, once the first have warmed up. */
async function times(seconds: number, work: (index: number) => unknown): Promise<readonly number[]> {
  const all: number[] = [];
  const end = performance.now() + 1_000 * seconds;
  for (let i = 0; i < APPENDS.least || (i < APPENDS.most && performance.now() < end); i++) {
    const began = performance.now();
    await work(i);
    all.push(performance.now() - began);
  }
  return all.slice(all.length / 5);
}

/** `ask`: the shortest question that the engine answers. */
async function journalOf(
  log: LogName,
  url: string,
): Promise<{ readonly journal: Journal; readonly ask: () => unknown }> {
  const options = { name: 'appends' };
  if (log === 'postgres') {
    const journal = (await loadPostgres()).postgresJournal(url, options);
    return { journal, ask: () => journal.ask('select 1') };
  }
  const journal = (await loadJournal()).journalAt(url, options);
  return { journal, ask: () => journal.answers() };
}

/** A file beside the engine's. */
class Disk {
  readonly #folder = mkdtempSync(join(tmpdir(), 'roomwire-bench-'));
  readonly #file = openSync(join(this.#folder, 'file'), 'a');
  readonly #page = new Uint8Array(8_192);

  sync(): void {
    writeSync(this.#file, this.#page);
    fdatasyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
