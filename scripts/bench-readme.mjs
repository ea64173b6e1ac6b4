/**
 * Writes the README's benchmark tables from the files of the last full run in bench/results/:
 * `npm run docs:bench`. With --check it only says whether they are up to date.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const check = process.argv.includes('--check');
const file = (path) => new URL(`../${path}`, import.meta.url);
const { machine, results, targets } = JSON.parse(readFileSync(file('bench/results/full.json'), 'utf8'));

const rate = (value) =>
  value >= 1e6 ? `${(value / 1e6).toFixed(value < 10e6 ? 2 : 1)} M` : `${Math.round(value / 1e3)} k`;
const times = (value) => (value === undefined ? '' : value.toFixed(2));
const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const fanout = results.filter(({ work, n, bytes }) => work === 'fanout' && n === 1000 && bytes === 64);
const contestants = [...new Set(fanout.map(({ peer, store }) => `${peer} ${store}`))];
const windows = [...new Set(fanout.map(({ w }) => w))];
const fanoutTable = table(
  ['deliveries/s (CPU ns each)', ...windows.map((w) => `w = ${w}`)],
  contestants.map((contestant) => {
    const [peer, store] = contestant.split(' ');
    const cells = windows.map((w) => {
      const row = fanout.find((one) => one.peer === peer && one.store === store && one.w === w);
      if (row === undefined) return '';
      return `${rate(row.perSecond)} (${row.cpuNanoseconds.toFixed(row.cpuNanoseconds < 100 ? 1 : 0)})`;
    });
    const name = store === 'none' ? peer : `**${peer}**, ${store}`;
    return [name, ...cells];
  }),
);
const number = (value) => (value >= 1e6 ? rate(value) : value >= 100 ? String(Math.round(value)) : times(value));
// A size is the same on every machine and changes with every commit: a test keeps it, not a run.
const measured = targets.filter(({ name }) => name !== 'SDK, min + gzip');
const targetTable = table(
  ['goal', 'reached', ''],
  measured.map(({ name, goal, unit, reached, met }) => {
    const [sign, limit] = goal.split(' ');
    return [`${name}: ${sign} ${number(Number(limit))} ${unit}`, number(reached), met ? 'met' : '**missed**'];
  }),
);

const body = `
One run of \`npm run bench\` (${machine.cpu}, ${machine.cores} cores, Node ${machine.node.slice(1)}; medians of its rounds):

${fanoutTable}

${targetTable}

`;

const before = readFileSync(file('README.md'), 'utf8');
const start = '<!-- generated: bench -->\n';
const from = before.indexOf(start);
const to = before.indexOf('<!-- end -->', from);
if (from === -1 || to === -1) throw new Error('README.md has no place for the benchmark');
const after = before.slice(0, from + start.length) + body + before.slice(to);
if (after === before) console.log('README.md: its benchmark is that of bench/results/full.json');
else if (check) {
  console.error('README.md: its benchmark is not that of bench/results/full.json; run npm run docs:bench');
  process.exitCode = 1;
} else {
  writeFileSync(file('README.md'), after);
  console.log('README.md: wrote the benchmark');
}
