/**
 * The command line of the benchmarks (started by run.mjs). This process is the load generator too:
 * it only prints between measurements. Servers are child processes (peer-process.ts).
 */
import { writeFileSync } from 'node:fs';
import { chart } from './chart.js';
import { able } from './contestants.js';
import type { Suite } from './contest.js';
import { machine, pinLoad } from './machine.js';
import { BadOption, help, parseOptions, type Options } from './options.js';
import { killPeers } from './peer-process.js';
import { Progress } from './progress.js';
import type { Row, Work } from './result.js';
import { table } from './table.js';
import { gate, judge, targets, verdicts } from './targets.js';
import { attacked as attacks } from './works/attacks.js';
import { calls } from './works/calls.js';
import { decode } from './works/decode.js';
import { dual } from './works/dual.js';
import { fanout } from './works/fanout.js';
import { connects, joins } from './works/joins.js';
import { latency } from './works/latency.js';
import { locks } from './works/locks.js';
import { memory } from './works/memory.js';
import { reconnects } from './works/reconnects.js';
import { rooms } from './works/rooms.js';
import { sessions } from './works/sessions.js';
import { size } from './works/size.js';
import { stalled } from './works/stalled.js';
import { topics } from './works/topics.js';

const works: Readonly<Record<Work, (suite: Suite) => Promise<Row[]>>> = {
  fanout,
  dual,
  rooms,
  topics,
  latency,
  calls,
  locks,
  connects,
  joins,
  sessions,
  reconnects,
  stalled,
  attacks,
  memory,
  decode,
  size,
};

const progress = new Progress();
const say = (line: string): void => progress.say(line);

function readOptions(): Options {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof BadOption)) throw error;
    say(`bench: ${error.message} (see --help)`);
    process.exit(2);
  }
}

async function main(options: Options): Promise<void> {
  const here = machine();
  pinLoad();
  say(`${here.cpu}, ${here.cores} cores, ${here.system}, node ${here.node}`);
  if (!here.pinned) say('NOT PINNED: no taskset or no two cores; server and load may take each other’s time');
  const suite: Suite = { ...options, peers: await able(options.peers, say), progress };
  if (options.gate) return pass(suite, options);
  const results = await run(suite, options);
  const judged = judge(targets, results);
  if (judged.length > 0) process.stdout.write(`${verdicts(judged)}\n`);
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify({ machine: here, results, targets: judged }, null, 2)}\n`);
  }
  const svg = options.svg === undefined ? undefined : chart(results);
  if (svg !== undefined) writeFileSync(options.svg as string, svg);
}

async function run(suite: Suite, { works: chosen }: Options): Promise<Row[]> {
  const results: Row[] = [];
  for (const work of chosen) {
    const rows = await works[work](suite);
    results.push(...rows);
    progress.clear();
    if (rows.length > 0) process.stdout.write(`${table(rows)}\n\n`);
  }
  return results;
}

/** The regression gate. A machine that was busy for one run is not for three. */
async function pass(suite: Suite, options: Options): Promise<void> {
  if (!suite.peers.includes('uws')) return say('SKIPPED the gate: there is no uws to compare with');
  for (let attempt = 1; attempt <= GATE_TRIES; attempt++) {
    const judged = judge(gate, await run(suite, options));
    process.stdout.write(`${verdicts(judged)}\n`);
    if (judged.length === gate.length && judged.every(({ met }) => met)) return;
    say(`gate: try ${attempt} of ${GATE_TRIES} missed`);
  }
  throw new Error('roomwire fell behind raw uws: see docs/performance.md for how to find the reason');
}
const GATE_TRIES = 3;

const options = readOptions();
if (options.help) {
  process.stdout.write(`${help}\n`);
} else {
  process.on('exit', killPeers);
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.on(signal, () => process.exit(code));
  main(options).catch((error: unknown) => {
    say(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  });
}
