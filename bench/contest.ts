/**
 * How cells are measured: every contestant gets a new server process per round, the rounds
 * interleave the contestants (what else the machine does hits all alike), and each measured stretch
 * is one sample of one cell.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BEFORE, contestantsOf, keyOf, LOGS, type Contestant, type LogName, type Peer } from './contestants.js';
import { Generator, type Window, type Windows } from './load/generator.js';
import { openFiles } from './machine.js';
import type { Measured } from './options.js';
import { PeerProcess } from './peer-process.js';
import type { Plan } from './plan.js';
import { clock, profileOf, sharesOf, type Stretch } from './profile.js';
import type { Progress } from './progress.js';
import { rowOf, sampleOf, type Cell, type Row, type Sample, type Work } from './result.js';

/** The options of a run, with the peers that can run here. */
export interface Suite extends Measured {
  readonly progress: Progress;
  readonly plan: Plan;
  /** Nothing is measured: what would be is laid down in the plan. */
  readonly planning: boolean;
}

/** What a contestant's turn has to work with. Server and load end with the turn. */
export interface Turn {
  readonly contestant: Contestant;
  readonly server: PeerProcess;
  readonly load: Generator;
  /** Adds a sample of a cell. */
  readonly sample: (cell: Cell, sample: Sample) => void;
  /** Warms up, longer the first time, then measures what `run` does for so many seconds: the suite's, unless said. */
  readonly time: (run: (seconds: number) => Promise<Windows>, seconds?: number) => Promise<Sample>;
  /** Does this again and again for the suite's `warmSeconds`, at least once; then the server is at rest. */
  readonly warmUp: (run: () => Promise<unknown>) => Promise<void>;
  /** Measures this once, as it is. */
  readonly timeOnce: (run: () => Promise<Windows>) => Promise<Sample>;
  /** Times windows in a closed loop, and adds that as a sample. */
  readonly measure: (cell: Cell, windows: readonly Window[]) => Promise<Sample>;
}

export interface Contest {
  readonly work: Work;
  readonly contestants: readonly Contestant[];
  /** Bytes of an event. */
  readonly bytes: number;
  /** Flags for Node. */
  readonly flags?: readonly string[];
  readonly label: string;
  /** Roughly what a turn takes. */
  readonly seconds: number;
  /** The server has default rates, and takes tokens signed with this. */
  readonly secret?: string;
  /** Processes that hold the server's connections. */
  readonly edges?: number;
  /** Where the engines are of contestants with a log: each turn has one of its own. */
  readonly logs?: ReadonlyMap<LogName, string>;
  readonly turn: (turn: Turn) => Promise<void>;
}

/** Files a process needs beside one per client. */
const OTHER_FILES = 100;

/** Whether this machine allows so many connections; says so when not. */
export function fits(suite: Suite, work: Work, connections: number): boolean {
  if (connections + OTHER_FILES <= openFiles()) return true;
  if (suite.planning) return false;
  suite.progress.say(
    `SKIPPED ${work} with ${connections} connections: a process may open ${openFiles()} files here (ulimit -n)`,
  );
  return false;
}

/** Of these peers those that run here, roomwire on each of its stores. */
export function among({ peers, stores }: Pick<Suite, 'peers' | 'stores'>, some: readonly Peer[]): Contestant[] {
  return contestantsOf(
    peers.filter((peer) => some.includes(peer)),
    stores,
  );
}

export async function compete(suite: Suite, contest: Contest): Promise<Row[]> {
  const { contestants, label } = contest;
  const turnSeconds = contest.seconds + suite.warmSeconds / 2;
  if (suite.planning) {
    suite.plan.add(contestants.length * suite.rounds, turnSeconds);
    return [];
  }
  const cells = new Map<string, Cell>();
  const samples = new Map<string, Sample[]>();
  for (let round = 0; round < suite.rounds; round++) {
    if (round > 0 && suite.plan.overdue) {
      suite.progress.say(`SKIPPED ${label}, rounds ${round + 1} to ${suite.rounds}: this run takes too long`);
      break;
    }
    for (let i = 0; i < contestants.length; i++) {
      // Another one begins each round: none is always the first after a pause.
      const contestant = contestants[(i + round) % contestants.length] as Contestant;
      const name = `${label} ${keyOf(contestant)}`;
      suite.progress.step(`${left(suite)}  round ${round + 1}/${suite.rounds}  ${name}`);
      try {
        await take(suite, contest, contestant, (cell, sample) => {
          const id = `${cell.n} ${cell.w} ${cell.bytes} ${cell.variant ?? ''}`;
          cells.set(id, cell);
          const key = `${id} ${keyOf(contestant)}`;
          samples.set(key, [...(samples.get(key) ?? []), sample]);
          suite.progress.sample(round + 1, cell, contestant, sample);
        });
      } catch (error) {
        throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
      }
      suite.plan.did(turnSeconds);
    }
  }
  return [...cells].flatMap(([id, cell]) =>
    contestants.flatMap((contestant) => {
      const own = samples.get(`${id} ${keyOf(contestant)}`);
      return own === undefined ? [] : [rowOf(cell, contestant, own, samples.get(`${id} uws`) ?? [])];
    }),
  );
}

/** How long the run is still going to take. */
export function left({ plan }: Pick<Suite, 'plan'>): string {
  return `about ${Math.ceil(plan.minutesLeft)} min left`;
}

let turns = 0;

async function take(
  suite: Suite,
  { bytes, flags = [], secret, edges, logs, turn }: Contest,
  contestant: Contestant,
  sample: Turn['sample'],
): Promise<void> {
  const { peer, store } = contestant;
  const url = logs?.get(store as LogName);
  const log = url === undefined ? undefined : { url, name: `turn_${++turns}` };
  const isOnDisk = store === 'lmdb' || LOGS.includes(store as LogName);
  const directory = isOnDisk ? mkdtempSync(join(tmpdir(), 'roomwire-bench-')) : undefined;
  const remove = (): void => {
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  };
  // Ctrl-C ends the process without the `finally`.
  process.once('exit', remove);
  let server: PeerProcess | undefined;
  let load: Generator | undefined;
  const measurements: Measurement[] = [];
  try {
    server = await PeerProcess.start(
      peer,
      { bytes, store: directory ?? 'memory', secret, edges, log },
      { profile: suite.profile, flags, dist: store === BEFORE ? suite.against : undefined },
    );
    load = new Generator(server);
    await turn(turnOf(suite, { contestant, server, load, sample }, measurements));
  } finally {
    load?.close();
    await server?.stop();
    process.off('exit', remove);
    remove();
  }
  const profile = suite.profile === undefined ? undefined : profileOf(suite.profile, server.pid);
  if (profile === undefined) return;
  for (const { cell, stretch } of measurements) suite.progress.profile(cell, contestant, sharesOf(profile, stretch));
}

/** A stretch of a turn, and what it was a sample of. */
interface Measurement {
  readonly cell: Cell;
  readonly stretch: Stretch;
}

function turnOf(
  suite: Suite,
  parts: Pick<Turn, 'contestant' | 'server' | 'load' | 'sample'>,
  measurements: Measurement[],
): Turn {
  const { server, load } = parts;
  let stretch: Stretch | undefined;
  const sample: Turn['sample'] = (cell, figures) => {
    parts.sample(cell, figures);
    if (stretch !== undefined) measurements.push({ cell, stretch });
  };
  const timeOnce: Turn['timeOnce'] = async (run) => {
    const before = await server.usage({ collect: false });
    const from = clock();
    const measured = await run();
    stretch = { from, to: clock() };
    const after = await server.usage({ collect: false });
    const sample = sampleOf(measured, (after.cpuMicroseconds - before.cpuMicroseconds) / 1000);
    if (after.edgeMicroseconds === undefined) return sample;
    const ofEdges = (after.edgeMicroseconds - (before.edgeMicroseconds ?? 0)) * 1e3;
    return { ...sample, more: { ...sample.more, 'edges CPU ns': ofEdges / measured.deliveries } };
  };
  let warm = false;
  const time: Turn['time'] = async (run, seconds = suite.seconds) => {
    // A process of less than a second or two is still being compiled.
    await run(Math.max(seconds / 4, warm ? 0 : suite.warmSeconds / 2));
    warm = true;
    return timeOnce(() => run(seconds));
  };
  const warmUp: Turn['warmUp'] = async (run) => {
    const until = performance.now() + suite.warmSeconds * 1000;
    do await run();
    while (performance.now() < until);
    await server.rest();
  };
  return {
    ...parts,
    sample,
    time,
    warmUp,
    timeOnce,
    async measure(cell, windows) {
      const result = await time((seconds) => load.run(windows, seconds));
      sample(cell, result);
      return result;
    },
  };
}
