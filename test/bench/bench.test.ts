/** The benchmark runs, counts exactly, and says what it was asked wrongly. It needs a build (`npm run build`). */
import t from 'tap';
import { bench, results } from './run.js';

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
  t.ok((machine as { loadAverage?: number }).loadAverage !== undefined, 'the load average at the start is kept');
  t.match(err, /load average \d+\.\d\d\n/);
  t.match(err, /this run takes about \d+ min/);
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
    t.ok(row.windows >= (tooSlow(row.peer, row.w) ? 1 : 2), 'at least a window a round');
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

t.test('a bad flag gets one line and exit code 2', async (t) => {
  const bad = [
    ['--fast'],
    ['extra'],
    ['--peers', 'pigeon'],
    ['--only', 'fanout,fanin'],
    ['--store', 'redis'],
    ['--logs', 'redis'],
    ['--rounds', '0'],
    ['--n', '10,x'],
    ['--bytes', '-1'],
    ['--clients', '2.5'],
    ['--seconds', 'x'],
    ['--soak', '-1'],
  ];
  for (const flags of bad) {
    const { code, out, err } = await bench(...flags);
    t.equal(code, 2, flags.join(' '));
    t.equal(out, '');
    t.match(err, /^bench: [^\n]+ \(see --help\)\n$/);
  }
});

t.test('the gate fails when it has measured nothing to let pass', async (t) => {
  const { code, err } = await bench(
    '--gate',
    '--only',
    'fanout',
    '--n',
    '5',
    '--w',
    '1',
    '--seconds',
    '0.01',
    '--rounds',
    '1',
  );
  const skipped = err.includes('SKIPPED the gate');
  t.equal(skipped, err.includes('SKIPPED uws:'));
  t.equal(code, skipped ? 0 : 1);
  if (!skipped) t.match(err, /try 3 of 3 missed \d+ of \d+ goals\nbench: roomwire fell behind its peers in fan-out/);
});

t.test('--help tells the flags', async (t) => {
  const { code, out } = await bench('--help');
  t.equal(code, 0);
  t.match(out, /--quick[^]+--only[^]+--peers[^]+--json/);
});
