/**
 * `npm run stress`: chain, locks, lock handles, failovers of a cluster (its log in `--log` postgres, or nats), hostile frames and
 * the model test at scale, on uWebSockets.js with LMDB, and shorter on the other pairs. `--quick` takes under 50 s. Progress goes to stderr; the last line of stdout has the counts. The first
 * complaint of a checker makes the exit code 1 and says how to replay it: `SEED=… npm run stress -- --only <part>`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { environmentSeed } from '../random.js';
import { runChain } from './chain.js';
import type { EngineName, StoreName } from './child.js';
import { runFailovers } from './failover.js';
import { runHandles } from './handles.js';
import type { History } from './history.js';
import { runHostile } from './hostile.js';
import { runLocks } from './locks.js';
import { LOGS, noLog, withLog, type LogName } from './log.js';
import { runModel } from './model/run.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    engine: { type: 'string' },
    store: { type: 'string' },
    log: { type: 'string', default: 'postgres' },
  },
});
const log = values.log as LogName;
type Pair = readonly [engine: EngineName, store: StoreName];
const FIRST: Pair = ['uws', 'lmdb'];
const OTHERS: readonly Pair[] = [
  ['ws', 'memory'],
  ['uws', 'memory'],
  ['ws', 'lmdb'],
];
const wanted = ([engine, store]: Pair): boolean =>
  (values.engine === undefined || values.engine === engine) && (values.store === undefined || values.store === store);

interface Target {
  readonly deliveries: number;
  readonly operations: number;
  readonly handles: number;
  readonly failovers: number;
  readonly frames: number;
  readonly commands: number;
}
const full: readonly [first: Target, others: Target] = [
  { deliveries: 1_000_000, operations: 100_000, handles: 5_000, failovers: 20, frames: 10_000_000, commands: 20_000 },
  { deliveries: 100_000, operations: 10_000, handles: 500, failovers: 0, frames: 500_000, commands: 5_000 },
];
const quick: readonly [first: Target, others: Target] = [
  { deliveries: 40_000, operations: 4_000, handles: 100, failovers: 0, frames: 100_000, commands: 100 },
  { deliveries: 8_000, operations: 1_500, handles: 0, failovers: 0, frames: 20_000, commands: 50 },
];

const began = performance.now();
const totals = {
  deliveries: 0,
  acknowledged: 0,
  failovers: 0,
  resets: 0,
  operations: 0,
  grants: 0,
  frames: 0,
  commands: 0,
  lost: 0,
  doubled: 0,
};
let rounds = 0;
const say = (line: string): void => {
  process.stderr.write(`${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
};

/** What the runs of all parts take, and give. */
interface Options {
  readonly seed: number;
  readonly engine: EngineName;
  readonly store: StoreName;
  readonly path: string;
  readonly progress: (line: string) => void;
}
interface Result extends Partial<Record<keyof typeof totals, number>> {
  readonly seed: number;
  readonly seconds: number;
  readonly complaints: readonly string[];
  readonly history?: History;
}

interface Part<R extends Result = Result> {
  readonly size: keyof Target;
  /** At most, in one round. */
  readonly share: number;
  readonly totals: readonly (keyof typeof totals)[];
  /** What is tried is what survives a kill, and memory does not. */
  readonly durable?: true;
  run(options: Options, share: number, round: number): Promise<R>;
  /** How much of the size that was. */
  done(result: R, share: number, store: StoreName): number;
  said(result: R): string;
}
const part = <R extends Result>(given: Part<R>): Part => given;

const parts: Readonly<Record<string, Part>> = {
  chain: part({
    size: 'deliveries',
    share: 250_000,
    totals: ['deliveries', 'acknowledged', 'resets', 'lost', 'doubled'],
    async run(options, share, round) {
      const [topics, subscribers, publishers] = [3, 12, 6];
      const result = await runChain({
        ...options,
        topics,
        rooms: 1,
        subscribers,
        publishers,
        events: Math.ceil((share * 1.05) / (subscribers * publishers + (publishers * publishers) / topics)),
        restarts: values.quick ? 2 : 8,
        strikes: Math.min(400, Math.ceil(share / 200)),
        leaves: 20,
        // Every other round keeps so little that who is away too long must be told.
        historyEvents: round % 2 === 1 ? 300 : undefined,
      });
      const needless = options.store === 'lmdb' && round % 2 === 0 && result.resets > 0;
      const complaint = `${result.resets} resets of logs that keep everything`;
      return needless ? { ...result, complaints: [...result.complaints, complaint] } : result;
    },
    // What a store forgets is not delivered, so there the plan is what counts.
    done: ({ deliveries }, share, store) => (store === 'lmdb' ? deliveries : share),
    said: ({ deliveries, resets, restarts, did }) =>
      `${deliveries} deliveries, ${resets} resets, ${restarts} kills, ${did.connections} connections`,
  }),
  locks: part({
    size: 'operations',
    share: 20_000,
    totals: ['operations', 'grants'],
    // Some steps are none: they let time pass.
    run: (options, share) =>
      runLocks({
        ...options,
        operations: Math.ceil(share * 1.2),
        actors: 10,
        rooms: 3,
        restarts: 5,
        strikes: Math.ceil(share / 100),
      }),
    done: ({ operations }) => operations,
    said: ({ operations, grants, waits, restarts }) =>
      `${operations} operations, ${grants} grants, ${waits} waits, ${restarts} restarts`,
  }),
  handles: part({
    size: 'handles',
    share: Infinity,
    totals: ['operations', 'grants'],
    durable: true,
    run: (options, share) =>
      runHandles({
        ...options,
        operations: share,
        actors: 10,
        rooms: 3,
        restarts: Math.ceil(share / 250),
        strikes: Math.ceil(share / 20),
      }),
    done: (_result, share) => share,
    said: ({ operations, grants, lostLocks, kept, restarts, written, refused }) =>
      `${operations} operations, ${grants} grants, ${lostLocks} lost, ${kept} kept through ${restarts} kills, ` +
      `${written} writes and ${refused} refused`,
  }),
  failover: part({
    size: 'failovers',
    share: 20,
    totals: ['deliveries', 'acknowledged', 'failovers', 'resets', 'operations', 'grants', 'lost', 'doubled'],
    durable: true,
    run: (options, failovers) => withLog(log, (engine) => runFailovers({ ...options, log: engine, failovers })),
    done: (_result, share) => share,
    said: ({ failovers, pausesMs, surprises, deliveries, acknowledged, operations, grants }) =>
      `${failovers} failovers (${log}), the longest took ${Math.max(...pausesMs).toFixed(0)} ms, ${surprises} more by themselves, ` +
      `${deliveries} deliveries of ${acknowledged} events, ${operations} operations with handles, ${grants} grants`,
  }),
  hostile: part({
    size: 'frames',
    share: Infinity,
    totals: ['frames'],
    run: (options, frames) => runHostile({ ...options, frames, batch: values.quick ? 100 : 250, attackers: 8 }),
    done: (_result, share) => share,
    said: ({ frames, messages, answers, breaches, closes, bystanderMs, grown }) =>
      `${frames} frames in ${messages} messages, ${answers} answers, ${breaches} breaches of the framing, ` +
      `closes ${JSON.stringify(closes)}, the bystander waited ${bystanderMs.toFixed(0)} ms at most, ` +
      `heap ${(grown / 1e6).toFixed(1)} MB more`,
  }),
  model: part({
    size: 'commands',
    share: Infinity,
    totals: ['commands'],
    run: (options) => {
      const [runs, commands] = values.quick ? [10, 60] : [200, 200];
      return runModel({ ...options, runs, commands, replay: process.env['MODEL_PATH'] });
    },
    done: ({ commands }) => commands,
    said: ({ commands, runs }) => `${commands} commands in ${runs} runs`,
  }),
};

/** Seeds of the rounds; the first is SEED's, so that a replay begins with the one that failed. */
const first = environmentSeed();
const seedOf = (round: number): number => (first + round * 7_919) % 2 ** 31;

async function play(name: string, [engine, store]: Pair, amount: number): Promise<void> {
  const { share: most, run, done, said, totals: counted, durable } = parts[name] as Part;
  const where = `${name} ${engine}+${store}`;
  if (durable && store !== 'lmdb') return;
  if (name === 'failover' && amount > 0 && noLog[log] !== false) return say(`${where}: SKIPPED, ${noLog[log]}`);
  for (let [left, round] = [amount, 0]; left > 0; round++) {
    const share = Math.min(left, most);
    // A directory of its own for each run, and none left behind.
    const path = mkdtempSync(join(tmpdir(), 'roomwire-stress-'));
    const progress = (line: string): void => say(`${where}: ${line}`);
    const result = await run({ seed: seedOf(round), engine, store, path, progress }, share, round).finally(() =>
      rmSync(path, { recursive: true, force: true }),
    );
    left -= Math.max(1, done(result, share, store));
    rounds++;
    for (const count of counted) totals[count] += result[count] ?? 0;
    say(`${where}: ${said(result)} in ${result.seconds.toFixed(1)} s`);
    if (result.complaints.length > 0) fail(result, name, [engine, store]);
  }
}

function fail({ complaints, seed, history }: Result, name: string, [engine, store]: Pair): never {
  const more = `${name === 'failover' ? ` --log ${log}` : ''}${values.quick ? ' --quick' : ''}`;
  const lines = [
    ...complaints,
    `${name} on ${engine}+${store} failed; to replay: ` +
      `SEED=${seed} npm run stress -- --only ${name} --engine ${engine} --store ${store}${more}`,
  ];
  if (history !== undefined) {
    const file = join(tmpdir(), `roomwire-${name}-${seed}.jsonl`);
    writeFileSync(file, history.map((entry) => JSON.stringify(entry)).join('\n'));
    lines.push(`its history: ${file}`);
  }
  process.stderr.write(`${lines.join('\n')}\n`);
  // What was counted so far, so that the last line is there in any case.
  finish(1);
}

function finish(code: number): never {
  const { deliveries, acknowledged, failovers, resets, operations, grants, frames, commands, lost, doubled } = totals;
  process.stdout.write(
    `stress: ${deliveries} deliveries of ${acknowledged} events, ${resets} resets told; ${failovers} failovers; ${operations} lock operations, ` +
      `${grants} grants; ${frames} hostile frames; ${commands} commands of the model; ${((performance.now() - began) / 1000).toFixed(0)} s; ` +
      `lost ${lost}, doubled ${doubled}\n`,
  );
  process.exit(code);
}

if (values.only !== undefined && !Object.hasOwn(parts, values.only)) {
  process.stderr.write(`--only takes ${Object.keys(parts).join(', ')}\n`);
  process.exit(2);
}
if (!LOGS.includes(log)) {
  process.stderr.write(`--log takes ${LOGS.join(', ')}\n`);
  process.exit(2);
}
say(`SEED=${first}`);
const [large, small] = values.quick ? quick : full;
for (const [pair, target] of [[FIRST, large] as const, ...OTHERS.map((pair) => [pair, small] as const)]) {
  if (!wanted(pair)) continue;
  for (const [name, { size }] of Object.entries(parts)) {
    if (values.only === undefined || values.only === name) await play(name, pair, target[size]);
  }
}
finish(rounds > 0 && totals.lost === 0 && totals.doubled === 0 ? 0 : 1);
