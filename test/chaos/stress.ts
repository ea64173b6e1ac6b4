/**
 * `npm run stress`: chain, locks, lock handles, hostile frames and the model test at scale, on uWebSockets.js with LMDB,
 * and shorter on the other pairs. `--quick` takes under 50 s. Progress goes to stderr; the last line of stdout has the counts. The first
 * complaint of a checker makes the exit code 1 and says how to replay it: `SEED=… npm run stress -- --only <part>`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { environmentSeed } from '../random.js';
import { runChain } from './chain.js';
import type { EngineName, StoreName } from './child.js';
import { runHandles } from './handles.js';
import type { History } from './history.js';
import { runHostile } from './hostile.js';
import { runLocks } from './locks.js';
import { runModel } from './model/run.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    engine: { type: 'string' },
    store: { type: 'string' },
  },
});
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
  readonly frames: number;
  readonly commands: number;
}
const full: readonly [first: Target, others: Target] = [
  { deliveries: 1_000_000, operations: 100_000, handles: 5_000, frames: 10_000_000, commands: 20_000 },
  { deliveries: 100_000, operations: 10_000, handles: 500, frames: 500_000, commands: 5_000 },
];
const quick: readonly [first: Target, others: Target] = [
  { deliveries: 40_000, operations: 4_000, handles: 100, frames: 100_000, commands: 100 },
  { deliveries: 8_000, operations: 1_500, handles: 0, frames: 20_000, commands: 50 },
];

const began = performance.now();
const totals = {
  deliveries: 0,
  acknowledged: 0,
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

/** A directory of its own for each run, and none left behind. */
async function within<T>(run: (path: string) => Promise<T>): Promise<T> {
  const path = mkdtempSync(join(tmpdir(), 'roomwire-stress-'));
  try {
    return await run(path);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

function judge(
  { complaints, seed, history }: { complaints: readonly string[]; seed: number; history?: History },
  part: string,
  [engine, store]: Pair,
): void {
  if (complaints.length === 0) return;
  for (const complaint of complaints) process.stderr.write(`${complaint}\n`);
  const more = values.quick ? ' --quick' : '';
  process.stderr.write(
    `${part} on ${engine}+${store} failed; to replay: ` +
      `SEED=${seed} npm run stress -- --only ${part} --engine ${engine} --store ${store}${more}\n`,
  );
  if (history !== undefined) {
    const file = join(tmpdir(), `roomwire-${part}-${seed}.jsonl`);
    writeFileSync(file, history.map((entry) => JSON.stringify(entry)).join('\n'));
    process.stderr.write(`its history: ${file}\n`);
  }
  // What was counted so far, so that the last line is there in any case.
  finish(1);
}

function finish(code: number): never {
  const { deliveries, acknowledged, resets, operations, grants, frames, commands, lost, doubled } = totals;
  process.stdout.write(
    `stress: ${deliveries} deliveries of ${acknowledged} events, ${resets} resets told; ${operations} lock operations, ` +
      `${grants} grants; ${frames} hostile frames; ${commands} commands of the model; ${((performance.now() - began) / 1000).toFixed(0)} s; ` +
      `lost ${lost}, doubled ${doubled}\n`,
  );
  process.exit(code);
}

/** Seeds of the rounds; the first is SEED's, so that a replay begins with the one that failed. */
const first = environmentSeed();
const seedOf = (round: number): number => (first + round * 7_919) % 2 ** 31;

async function chain(pair: Pair, deliveries: number): Promise<void> {
  const [engine, store] = pair;
  let left = deliveries;
  for (let round = 0; left > 0; round++) {
    const share = Math.min(left, 250_000);
    const [topics, subscribers, publishers] = [3, 12, 6];
    const events = Math.ceil((share * 1.05) / (subscribers * publishers + (publishers * publishers) / topics));
    const result = await within((path) =>
      runChain({
        seed: seedOf(round),
        engine,
        store,
        path,
        topics,
        rooms: 1,
        subscribers,
        publishers,
        events,
        kills: values.quick ? 2 : 8,
        strikes: Math.min(400, Math.ceil(share / 200)),
        leaves: 20,
        // Every other round keeps so little that who is away too long must be told.
        historyEvents: round % 2 === 1 ? 300 : undefined,
        progress: (line) => say(`chain ${engine}+${store}: ${line}`),
      }),
    );
    // What a store forgets is not delivered, so there the plan is what counts.
    left -= store === 'lmdb' ? Math.max(1, result.deliveries) : share;
    rounds++;
    totals.deliveries += result.deliveries;
    totals.acknowledged += result.acknowledged;
    totals.resets += result.resets;
    totals.lost += result.lost;
    totals.doubled += result.doubled;
    say(
      `chain ${engine}+${store}: ${result.deliveries} deliveries, ${result.resets} resets, ${result.kills} kills, ` +
        `${result.did.connections} connections in ${result.seconds.toFixed(1)} s`,
    );
    judge(result, 'chain', pair);
    if (store === 'lmdb' && round % 2 === 0 && result.resets > 0) {
      judge({ ...result, complaints: [`${result.resets} resets of logs that keep everything`] }, 'chain', pair);
    }
  }
}

async function locks(pair: Pair, operations: number): Promise<void> {
  const [engine, store] = pair;
  for (let left = operations, round = 0; left > 0; round++) {
    const share = Math.min(left, 20_000);
    const result = await within((path) =>
      runLocks({
        seed: seedOf(round),
        engine,
        store,
        path,
        // Some steps are none: they let time pass.
        operations: Math.ceil(share * 1.2),
        actors: 10,
        rooms: 3,
        restarts: 5,
        strikes: Math.ceil(share / 100),
        progress: (line) => say(`locks ${engine}+${store}: ${line}`),
      }),
    );
    left -= Math.max(1, result.operations);
    rounds++;
    totals.operations += result.operations;
    totals.grants += result.grants;
    say(
      `locks ${engine}+${store}: ${result.operations} operations, ${result.grants} grants, ${result.waits} waits, ` +
        `${result.restarts} restarts in ${result.seconds.toFixed(1)} s`,
    );
    judge(result, 'locks', pair);
  }
}

async function handles(pair: Pair, operations: number): Promise<void> {
  const [engine, store] = pair;
  // What is tried is what survives a kill, and memory does not.
  if (store !== 'lmdb' || operations === 0) return;
  const result = await within((path) =>
    runHandles({
      seed: first,
      engine,
      path,
      operations,
      actors: 10,
      rooms: 3,
      kills: Math.ceil(operations / 250),
      strikes: Math.ceil(operations / 20),
      progress: (line) => say(`handles ${engine}+${store}: ${line}`),
    }),
  );
  rounds++;
  totals.operations += result.operations;
  totals.grants += result.grants;
  say(
    `handles ${engine}+${store}: ${result.operations} operations, ${result.grants} grants, ${result.lostLocks} lost, ` +
      `${result.kept} kept through ${result.kills} kills, ${result.written} writes and ${result.refused} refused ` +
      `in ${result.seconds.toFixed(1)} s`,
  );
  judge(result, 'handles', pair);
}

async function hostile(pair: Pair, frames: number): Promise<void> {
  const [engine, store] = pair;
  const result = await within((path) =>
    runHostile({
      seed: first,
      engine,
      store,
      path,
      frames,
      batch: values.quick ? 100 : 250,
      attackers: 8,
      progress: (line) => say(`hostile ${engine}+${store}: ${line}`),
    }),
  );
  rounds++;
  totals.frames += result.frames;
  say(
    `hostile ${engine}+${store}: ${result.frames} frames in ${result.messages} messages, ${result.answers} answers, ` +
      `${result.breaches} breaches of the framing, closes ${JSON.stringify(result.closes)}, the bystander waited ${result.bystanderMs.toFixed(0)} ms at most, ` +
      `heap ${(result.grown / 1e6).toFixed(1)} MB more, in ${result.seconds.toFixed(1)} s`,
  );
  judge(result, 'hostile', pair);
}

async function model(pair: Pair, commands: number): Promise<void> {
  const [engine, store] = pair;
  for (let left = commands, round = 0; left > 0; round++) {
    const result = await within((path) =>
      runModel({
        seed: seedOf(round),
        engine,
        store,
        path,
        runs: values.quick ? 10 : 200,
        commands: values.quick ? 60 : 200,
        replay: process.env['MODEL_PATH'],
      }),
    );
    left -= Math.max(1, result.commands);
    rounds++;
    totals.commands += result.commands;
    say(
      `model ${engine}+${store}: ${result.commands} commands in ${result.runs} runs in ${result.seconds.toFixed(1)} s`,
    );
    judge(result, 'model', pair);
  }
}

const parts = { chain, locks, handles, hostile, model };
const sizes = {
  chain: 'deliveries',
  locks: 'operations',
  handles: 'handles',
  hostile: 'frames',
  model: 'commands',
} as const;
if (values.only !== undefined && !Object.hasOwn(parts, values.only)) {
  process.stderr.write(`--only takes ${Object.keys(parts).join(', ')}\n`);
  process.exit(2);
}
say(`SEED=${first}`);
const [large, small] = values.quick ? quick : full;
for (const [pair, target] of [[FIRST, large] as const, ...OTHERS.map((pair) => [pair, small] as const)]) {
  if (!wanted(pair)) continue;
  for (const [name, run] of Object.entries(parts)) {
    if (values.only !== undefined && values.only !== name) continue;
    await run(pair, target[sizes[name as keyof typeof sizes]]);
  }
}
finish(rounds > 0 && totals.lost === 0 && totals.doubled === 0 ? 0 : 1);
