/** The benchmark runs, counts exactly, and says what it was asked wrongly. It needs a build (`npm run build`). */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { ATTACKS, STEPS, WORKS } from '../../bench/result.js';

const script = fileURLToPath(new URL('../../bench/run.mjs', import.meta.url));

function bench(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

interface Row {
  readonly work: string;
  readonly variant?: string;
  readonly peer: string;
  readonly store: string;
  readonly n: number;
  readonly w: number;
  readonly windows: number;
  readonly deliveries: number;
  readonly more?: Readonly<Record<string, number>>;
  readonly [figure: string]: unknown;
}

/** A run that must go well; `able` tells which peers can run here. */
async function results(t: Test, ...args: string[]) {
  const file = join(t.testdir(), 'bench.json');
  const { code, out, err } = await bench(...args, '--json', file);
  t.equal(code, 0, err);
  const json = JSON.parse(readFileSync(file, 'utf8')) as { machine: object; results: Row[] };
  const able = (peer: string): boolean => !err.includes(`SKIPPED ${peer}:`);
  const tables = out.split('\n\n').filter((part) => part.startsWith('work '));
  return { ...json, able, tables, err };
}

const stores = [
  ['roomwire', 'memory'],
  ['roomwire', 'lmdb'],
] as const;
const others = ['uws', 'ws', 'socket.io', 'socket.io-uws', 'nats', 'floor'];

t.test('every subscriber of every peer gets every event, and the JSON says so', async (t) => {
  const flags = [
    '--only',
    'fanout',
    '--n',
    '20',
    '--w',
    '1,300',
    '--bytes',
    '64',
    '--rounds',
    '2',
    '--seconds',
    '0.05',
  ];
  const { machine, results: rows, able, tables, err } = await results(t, ...flags);
  t.match(machine, { cpu: String, cores: Number, system: String, node: process.version, pinned: Boolean });
  const told = rows.map(({ peer, store, w }) => `${peer} ${store} ${w}`);
  // On a busy machine a peer may be too slow for the larger window; then the run says so.
  const tooSlow = (peer: string, w: number): boolean => err.includes(`SKIPPED fanout ${peer} n=20 w=${w} `);
  const expected = [1, 300].flatMap((w) => [
    ...stores.map(([peer, store]) => `${peer} ${store} ${w}`),
    ...others
      .filter(able)
      .map((peer) => [`${peer} none ${w}`, tooSlow(peer, w)] as const)
      .flatMap(([row, slow]) => (slow && !told.includes(row) ? [] : [row])),
  ]);
  t.strictSame(told, expected);
  for (const row of rows) {
    t.match(row, { work: 'fanout', n: 20, bytes: 64 });
    // The run itself fails when any subscriber's own count is off.
    t.equal(row.deliveries, row.windows * row.w * 20, `${row.peer} ${row.store} w=${row.w}`);
    t.ok(row.windows >= 2, 'at least a window a round');
    for (const figure of ['perSecond', 'cpuNanoseconds', 'p50Ms', 'p99Ms', 'wireBytes', 'load']) {
      t.ok(Number.isFinite(row[figure]) && (row[figure] as number) >= 0, figure);
    }
    const [low, high] = row.range as [number, number];
    t.ok(low <= (row.perSecond as number) && (row.perSecond as number) <= high, 'the range holds the median');
    t.ok((row.wireBytes as number) > 64, 'the payload is not all that is sent');
  }
  t.equal(tables.length, 1);
  t.equal(tables[0]?.split('\n').length, rows.length + 2, 'a line of the table each');
});

t.test('every other work runs, and its counts are exact', async (t) => {
  const works = WORKS.filter((work) => work !== 'fanout');
  const flags = ['--only', works.join(','), '--n', '20', '--clients', '40', '--rounds', '1', '--seconds', '0.05'];
  const { results: rows, able, tables } = await results(t, ...flags);
  t.strictSame([...new Set(rows.map(({ work }) => work))], works);
  t.equal(tables.length, works.length, 'a table each');

  /** [peer, store, …what tells the cells apart] of a work's rows, in order. */
  const of = (work: string): Row[] => rows.filter((row) => row.work === work);
  const contestants = (work: string): string[] => [
    ...new Set(of(work).map(({ peer, store }) => (peer === 'roomwire' ? `${peer} ${store}` : peer))),
  ];
  const uws = able('uws') ? ['uws'] : [];
  const talkers = ['socket.io', 'socket.io-uws'].filter(able);
  const both = ['roomwire memory', 'roomwire lmdb'];
  const ws = ['ws'];
  const nats = able('nats') ? ['nats'] : [];
  t.strictSame(contestants('dual'), [...both, ...uws]);
  for (const work of ['rooms', 'topics', 'connects']) {
    t.strictSame(contestants(work), [...both, ...uws, ...ws, ...talkers, ...nats], work);
  }
  for (const work of ['calls', 'joins']) t.strictSame(contestants(work), [...both, ...uws, ...ws, ...talkers], work);
  for (const work of ['locks', 'sessions', 'reconnects', 'stalled', 'attacks'])
    t.strictSame(contestants(work), both, work);
  t.strictSame(contestants('memory'), ['roomwire memory', ...uws, ...talkers]);
  for (const work of ['decode', 'size']) t.strictSame(contestants(work), ['roomwire none'], work);

  /** Deliveries of one window. */
  const perWindow: Readonly<Record<string, (row: Row) => number>> = {
    dual: ({ variant, n }) =>
      (variant?.startsWith('both') === true ? 2 * n : n) / (variant?.endsWith('broadcasts') === true ? 2 : 1),
    rooms: ({ n, w }) => (n === 1 ? 10 : 3 * w),
    topics: () => 640,
    calls: () => 1,
    locks: () => 1,
    connects: () => 40,
    joins: () => 40,
    sessions: ({ variant }) => (variant?.endsWith('join') === true ? 20 : 40),
    reconnects: () => 40,
    stalled: ({ n, w }) => n * w,
    decode: ({ w }) => w,
  };
  for (const row of rows) {
    const name = [row.work, row.variant, row.n, row.w, row.peer, row.store].join(' ');
    const each = perWindow[row.work];
    if (each === undefined) continue;
    t.equal(row.deliveries, row.windows * each(row), name);
    t.ok(row.deliveries > 0, name);
    t.ok((row.perSecond as number) > 0 && (row.cpuNanoseconds as number) >= 0, name);
    if (row.work !== 'decode') t.ok((row.p50Ms as number) <= (row.p99Ms as number), name);
  }
  t.strictSame(
    [...new Set(of('dual').map(({ variant }) => variant))],
    ['both, one tick', 'both, two broadcasts', 'apart, one tick', 'apart, two broadcasts'],
  );
  t.strictSame([...new Set(of('sessions').map(({ variant }) => variant))], STEPS);
  t.strictSame([...new Set(of('topics').map(({ n }) => n))], [1, 100]);
  t.strictSame(
    [...new Set(of('rooms').map(({ n, w, variant }) => `${n} ${w} ${variant}`))],
    ['130 1 of 3', '130 256 of 3', '1 1 of 10'],
  );
  for (const { more } of of('joins')) t.ok((more?.toldBytes as number) > 0, 'members hear of each other');
  for (const { more } of of('reconnects')) t.match(more, { recovered: 40, refused: 0, resets: 0, callsP99Ms: Number });
  for (const { variant, more } of of('stalled')) {
    t.equal(more?.rssPerStalledKiB !== undefined, variant === 'with stalled');
  }
  t.strictSame([...new Set(of('attacks').map(({ variant }) => variant))], ['quiet', ...ATTACKS]);
  for (const { variant, more, deliveries } of of('attacks')) {
    t.ok(deliveries > 0, `the bystander was answered beside ${variant}`);
    t.equal(more?.timesQuiet !== undefined, variant !== 'quiet');
  }
  for (const row of of('memory')) {
    t.match(row, { n: 40, perSecond: null, more: { rssPerSessionBytes: Number, heapPerSessionBytes: Number } });
  }
  t.strictSame(
    of('decode').map(({ variant, w }) => [variant, w]),
    ['map', 'bin'].flatMap((variant) => [1, 256].map((w) => [variant, w])),
  );
  t.match(of('size'), [{ perSecond: null, more: { minGzipBytes: Number, budgetBytes: Number } }]);
});

t.test('the smallest run there is', async (t) => {
  const flags = [
    '--only',
    'dual,rooms,topics,calls,locks,connects,joins,sessions,reconnects,stalled,memory',
    '--peers',
    'roomwire,uws',
  ];
  const tiny = [
    '--store',
    'memory',
    '--n',
    '1',
    '--clients',
    '1',
    '--rounds',
    '1',
    '--seconds',
    '0.01',
    '--bytes',
    '1',
  ];
  const { code, err } = await bench(...flags, ...tiny);
  t.equal(code, 0, err);
});

t.test('a bad flag gets one line and exit code 2', async (t) => {
  const bad = [
    ['--fast'],
    ['extra'],
    ['--peers', 'pigeon'],
    ['--only', 'fanout,fanin'],
    ['--store', 'redis'],
    ['--rounds', '0'],
    ['--n', '10,x'],
    ['--bytes', '-1'],
    ['--clients', '2.5'],
    ['--seconds', 'x'],
  ];
  for (const flags of bad) {
    const { code, out, err } = await bench(...flags);
    t.equal(code, 2, flags.join(' '));
    t.equal(out, '');
    t.match(err, /^bench: [^\n]+ \(see --help\)\n$/);
  }
});

t.test('the gate fails when it has measured nothing to let pass', async (t) => {
  const { code, err } = await bench('--gate', '--n', '5', '--w', '1', '--seconds', '0.01', '--rounds', '1');
  const skipped = err.includes('SKIPPED the gate');
  t.equal(skipped, err.includes('SKIPPED uws:'));
  t.equal(code, skipped ? 0 : 1);
  if (!skipped) t.match(err, /try 3 of 3 missed\nbench: roomwire fell behind raw uws/);
});

t.test('--help tells the flags', async (t) => {
  const { code, out } = await bench('--help');
  t.equal(code, 0);
  t.match(out, /--quick[^]+--only[^]+--peers[^]+--json/);
});
