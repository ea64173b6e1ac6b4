/** Every work of the benchmark runs with every peer that can do it, and counts exactly. It needs a build (`npm run build`). */
import t from 'tap';
import { ATTACKS, COMMON_RATE, REACHED, SHARES, STEPS, WORKS } from '../../bench/result.js';
import { noPostgres } from '../support/postgres.js';
import { skipSocketPython } from '../support/python.js';
import { bench, results, type Row } from './run.js';

t.test('every other work runs, and its counts are exact', async (t) => {
  const missing: readonly string[] = [
    'fanout',
    ...(skipSocketPython === false ? [] : ['python']),
    ...(noPostgres === false ? [] : ['cluster', 'failover']),
  ];
  const works = WORKS.filter((work) => !missing.includes(work));
  const small = ['--n', '20', '--clients', '40', '--rounds', '1', '--seconds', '0.05', '--logs', 'postgres'];
  const flags = ['--only', works.join(','), ...small];
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
  for (const work of ['rooms', 'topics', 'latency', 'connects']) {
    t.strictSame(contestants(work), [...both, ...uws, ...ws, ...talkers, ...nats], work);
  }
  for (const work of ['calls', 'joins']) t.strictSame(contestants(work), [...both, ...uws, ...ws, ...talkers], work);
  for (const work of ['locks', 'sessions', 'reconnects', 'stalled', 'attacks'])
    t.strictSame(contestants(work), both, work);
  if (process.platform === 'linux') t.strictSame(contestants('edges'), ['roomwire memory']);
  if (noPostgres === false) {
    t.strictSame(contestants('cluster'), ['roomwire postgres', 'roomwire lmdb']);
    t.strictSame(contestants('failover'), ['roomwire postgres']);
  }
  t.strictSame(contestants('memory'), ['roomwire memory', ...uws, ...talkers]);
  for (const work of works.filter((work) => ['decode', 'python', 'size'].includes(work)))
    t.strictSame(contestants(work), ['roomwire none'], work);

  /** Deliveries of one window. */
  const perWindow: Readonly<Record<string, (row: Row) => number>> = {
    dual: ({ variant, n }) =>
      (variant?.startsWith('both') === true ? 2 * n : n) / (variant?.endsWith('broadcasts') === true ? 2 : 1),
    rooms: ({ n, w }) => (n === 1 ? 10 : 3 * w),
    topics: () => 640,
    latency: ({ n }) => n,
    calls: () => 1,
    locks: () => 1,
    connects: () => 40,
    joins: () => 40,
    sessions: ({ variant }) => (variant?.endsWith('join') === true ? 20 : 40),
    reconnects: () => 40,
    stalled: ({ n, w }) => n * w,
    cluster: ({ variant, n, w }) => (variant === 'fan-out' ? n * w : 1),
    failover: () => 40,
    decode: ({ w }) => w,
    python: ({ w }) => w,
  };
  for (const row of rows) {
    const name = [row.work, row.variant, row.n, row.w, row.peer, row.store].join(' ');
    const each = perWindow[row.work];
    if (each === undefined) continue;
    t.equal(row.deliveries, row.windows * each(row), name);
    t.ok(row.deliveries > 0, name);
    t.ok((row.perSecond as number) > 0 && (row.cpuNanoseconds as number) >= 0, name);
    if (row.p50Ms !== null) t.ok((row.p50Ms as number) <= (row.p99Ms as number), name);
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
  t.strictSame(
    [...new Set(of('latency').map(({ n, variant }) => `${n} ${variant}`))],
    [10, 100].flatMap((n) =>
      [REACHED, ...SHARES, COMMON_RATE].map(
        (variant) => `${n} ${typeof variant === 'string' ? variant : variant.name}`,
      ),
    ),
  );
  for (const { p99Ms, more } of of('latency')) {
    const { p999Ms = 0, maxMs = 0, sentLateP99Ms = -1 } = more ?? {};
    t.ok((p99Ms as number) <= p999Ms && p999Ms <= maxMs && sentLateP99Ms >= 0);
  }
  for (const { more } of of('joins')) t.ok((more?.toldBytes as number) > 0, 'members hear of each other');
  for (const { more } of of('reconnects')) t.match(more, { recovered: 40, refused: 0, resets: 0, callsP99Ms: Number });
  for (const { variant, more } of of('stalled')) {
    t.equal(more?.rssPerStalledKiB !== undefined, variant === 'with stalled');
  }
  t.strictSame([...new Set(of('attacks').map(({ variant }) => variant))], ['quiet', ...ATTACKS]);
  for (const { variant, more, deliveries } of of('attacks')) {
    t.ok(deliveries > 0, `the bystander was answered beside ${variant}`);
    t.match(more, { insideP50Ms: Number, insideP99Ms: Number });
    for (const times of ['timesQuiet', 'insideTimesQuiet']) t.equal(more?.[times] !== undefined, variant !== 'quiet');
  }
  for (const { more } of of('failover')) t.ok((more?.['ack gap ms'] as number) > 0);
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
    'dual,rooms,topics,latency,calls,locks,connects,joins,sessions,reconnects,stalled,memory',
    '--soak',
    '0.01',
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
