/**
 * The command line of the benchmarks (started by run.mjs). This process is the load generator too:
 * it only prints between measurements. Servers are child processes (peer-process.ts).
 */
import { writeFileSync } from 'node:fs';
import { able } from './contestants.js';
import type { Suite } from './contest.js';
import { machine, pinLoad } from './machine.js';
import { BadOption, help, parseOptions, type Options } from './options.js';
import { killPeers } from './peer-process.js';
import { Progress } from './progress.js';
import type { Row, Work } from './result.js';
import { table } from './table.js';
import { fanout } from './works/fanout.js';

const works: Readonly<Partial<Record<Work, (suite: Suite) => Promise<Row[]>>>> = {
  fanout,
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
  const results: Row[] = [];
  for (const work of options.works) {
    const rows = await works[work]!(suite);
    results.push(...rows);
    progress.clear();
    if (rows.length > 0) process.stdout.write(`${table(rows)}\n\n`);
  }
  if (options.json === undefined) return;
  const rows = results.map(({ toUws: _, ...row }) => row);
  writeFileSync(options.json, `${JSON.stringify({ machine: here, results: rows }, null, 2)}\n`);
}

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
