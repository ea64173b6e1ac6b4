/**
 * Writes the README's benchmark tables and draws its charts from bench/results/full.json, the last
 * full run's: `npm run docs:bench`. With --check it only says whether they are up to date.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { tsImport } from 'tsx/esm/api';

const check = process.argv.includes('--check');
const file = (path) => new URL(`../${path}`, import.meta.url);
const { machine, results, targets } = JSON.parse(readFileSync(file('bench/results/full.json'), 'utf8'));
const { fanoutChart, roomsChart } = await tsImport('../bench/chart.ts', import.meta.url);
const { HEADINGS, PROMISES } = await tsImport('../bench/peers/promises.ts', import.meta.url);

const rate = (value) =>
  value >= 1e6
    ? `${(value / 1e6).toFixed(value < 10e6 ? 2 : 1)} M`
    : `${(value / 1e3).toFixed(value < 10e3 ? 1 : 0)} k`;
const times = (value) => (value === undefined ? '' : value.toFixed(2));
const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
const withCpu = ({ perSecond, cpuNanoseconds: cpu }) => `${rate(perSecond)} (${cpu.toFixed(cpu < 100 ? 1 : 0)})`;

/** A line for each contestant, a column for each of `columns` ([title, row → boolean, row → text]) that somebody has. */
function contestants(head, columns) {
  const measured = columns.filter(([, of]) => results.some(of));
  const keys = [
    ...new Set(
      results.filter((row) => measured.some(([, of]) => of(row))).map(({ peer, store }) => `${peer} ${store}`),
    ),
  ];
  return table(
    [head, ...measured.map(([title]) => title)],
    keys.map((key) => {
      const [peer, store] = key.split(' ');
      const cells = measured.map(([, of, text]) => {
        const row = results.find((one) => one.peer === peer && one.store === store && of(one));
        return row === undefined ? '' : text(row);
      });
      return [store === 'none' ? peer : `**${peer}**, ${store}`, ...cells];
    }),
  );
}

const fanout = ({ work, n, bytes }) => work === 'fanout' && n === 1000 && bytes === 64;
const windows = [...new Set(results.filter(fanout).map(({ w }) => w))];
const fanoutTable = contestants(
  'deliveries/s (CPU ns each)',
  windows.map((w) => [`w = ${w}`, (row) => fanout(row) && row.w === w, withCpu]),
);
const manyRooms = (w) => (row) => row.work === 'rooms' && row.n > 1 && row.w === w;
const p99 = ({ p99Ms }) => `${p99Ms.toFixed(p99Ms < 10 ? 1 : 0)} ms`;
const perSecond = (row) => rate(row.perSecond);
const roomsTable = contestants('small rooms, joins, latency', [
  ['rooms of 3, w = 1', manyRooms(1), withCpu],
  ['rooms of 3, w = 256', manyRooms(256), withCpu],
  ['a room of 10, w = 1', ({ work, n }) => work === 'rooms' && n === 1, withCpu],
  ['connects/s', ({ work }) => work === 'connects', perSecond],
  // A run in which members were announced.
  ['joins/s', ({ work, more }) => work === 'joins' && more !== undefined, perSecond],
  ...[10, 100].map((size) => [
    `p99 of ${size} at 40 k/s`,
    ({ work, n, variant }) => work === 'latency' && n === size && variant === '40 k/s',
    p99,
  ]),
]);
const promisesTable = table(
  ['', ...Object.values(HEADINGS)],
  Object.entries(PROMISES).map(([peer, promises]) => [
    peer === 'roomwire' ? `**${peer}**` : peer,
    ...Object.keys(HEADINGS).map((heading) => promises[heading]),
  ]),
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
const load = machine.loadAverage === undefined ? '' : `, load average ${machine.loadAverage.toFixed(2)} at the start`;

const body = `
One run of \`npm run bench\` (${machine.cpu}, ${machine.cores} cores, Node ${machine.node.slice(1)}${load}; medians of its rounds):

${fanoutTable}

${roomsTable}

The figures are of unlike promises:

${promisesTable}

${targetTable}

`;

const before = readFileSync(file('README.md'), 'utf8');
const start = '<!-- generated: bench -->\n';
const from = before.indexOf(start);
const to = before.indexOf('<!-- end -->', from);
if (from === -1 || to === -1) throw new Error('README.md has no place for the benchmark');
const made = {
  'README.md': before.slice(0, from + start.length) + body + before.slice(to),
  'bench/results/fanout.svg': fanoutChart(results),
  'bench/results/rooms.svg': roomsChart(results),
};
for (const [path, text] of Object.entries(made)) {
  if (text === undefined) throw new Error(`bench/results/full.json has nothing for ${path}`);
  if (existsSync(file(path)) && readFileSync(file(path), 'utf8') === text) {
    console.log(`${path}: its benchmark is that of bench/results/full.json`);
  } else if (check) {
    console.error(`${path}: its benchmark is not that of bench/results/full.json; run npm run docs:bench`);
    process.exitCode = 1;
  } else {
    writeFileSync(file(path), text);
    console.log(`${path}: wrote the benchmark`);
  }
}
