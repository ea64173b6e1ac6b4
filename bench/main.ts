/**
 * The command line of the benchmarks (started by run.mjs). This process is the load generator too:
 * it only prints between measurements. Servers are child processes (peer-process.ts).
 */
import { writeFileSync } from 'node:fs';
import { able, type Peer } from './contestants.js';
import { left, type Suite } from './contest.js';
import { loadAverage, machine, pinLoad, QUIET, quiet } from './machine.js';
import { BadOption, help, parseOptions, type Options } from './options.js';
import { killPeers } from './peer-process.js';
import { HEADINGS, promisesOf } from './peers/promises.js';
import { Plan } from './plan.js';
import { Progress } from './progress.js';
import type { Row, Work } from './result.js';
import { table } from './table.js';
import { gate, judge, targets, verdicts, type Target } from './targets.js';
import { attacked as attacks } from './works/attacks.js';
import { calls } from './works/calls.js';
import { cluster } from './works/cluster.js';
import { decode } from './works/decode.js';
import { dual } from './works/dual.js';
import { edges } from './works/edges.js';
import { failover } from './works/failover.js';
import { fanout } from './works/fanout.js';
import { connects, joins } from './works/joins.js';
import { latency } from './works/latency.js';
import { locks } from './works/locks.js';
import { memory } from './works/memory.js';
import { python } from './works/python.js';
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
  edges,
  cluster,
  failover,
  decode,
  python,
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
  if (options.whole && loadAverage() > QUIET) {
    say(`load average ${loadAverage().toFixed(2)}: waiting for it to fall to ${QUIET}, three minutes at most`);
    await quiet(QUIET_MS);
  }
  const here = machine();
  pinLoad();
  const load = here.loadAverage.toFixed(2);
  say(`${here.cpu}, ${here.cores} cores, ${here.system}, node ${here.node}, load average ${load}`);
  if (!here.pinned) say('NOT PINNED: no taskset or no two cores; server and load may take each other’s time');
  if (here.loadAverage > QUIET) say(`BUSY: the load average is over ${QUIET}; what else runs here is in the figures`);
  const peers = await able(options.peers, say);
  if (options.gate) return pass(peers, options);
  const results = await run(peers, options);
  const compared = peers.filter((peer) => results.some((row) => row.peer === peer));
  if (compared.length > 1) {
    const kinds = Object.values(HEADINGS).join(' · ');
    process.stdout.write(`What each promises: ${kinds}\n${promisesOf(compared)}\n\n`);
  }
  const judged = judge(targets, results);
  if (judged.length > 0) process.stdout.write(`${verdicts(judged)}\n`);
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify({ machine: here, results, targets: judged }, null, 2)}\n`);
  }
}
const QUIET_MS = 180_000;

async function run(peers: readonly Peer[], options: Options): Promise<Row[]> {
  const plan = new Plan();
  const suite: Suite = { ...options, peers, progress, plan, planning: false };
  for (const work of options.works) await works[work]({ ...suite, planning: true });
  say(`this run takes about ${Math.ceil(plan.minutes)} min`);
  plan.begin();
  const results: Row[] = [];
  for (const [i, work] of options.works.entries()) {
    if (i > 0) say(`${work}: ${left(suite)}`);
    const rows = await works[work](suite);
    results.push(...rows);
    progress.clear();
    if (rows.length > 0) process.stdout.write(`${table(rows)}\n\n`);
  }
  return results;
}

/** The regression gate: each of its goals is met in one of the tries. A machine that was busy for one is not for all. */
async function pass(peers: readonly Peer[], options: Options): Promise<void> {
  if (!peers.includes('uws')) return say('SKIPPED the gate: there is no uws to compare with');
  let missed: readonly Target[] = gate;
  for (let attempt = 1; attempt <= GATE_TRIES; attempt++) {
    const rows = await run(peers, options);
    process.stdout.write(`${verdicts(judge(gate, rows))}\n`);
    missed = missed.filter((target) => !judge([target], rows).some(({ met }) => met));
    if (missed.length === 0) return;
    say(`gate: try ${attempt} of ${GATE_TRIES} missed ${missed.length} of ${gate.length} goals`);
  }
  const names = missed.map(({ name, unit }) => `${name} (${unit})`).join(', ');
  throw new Error(`roomwire fell behind its peers in ${names}: see docs/performance.md for how to find the reason`);
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
