/** Goals and gate judge what was measured, and the gate can fail. */
import t from 'tap';
import { fanoutChart, roomsChart } from '../../bench/chart.js';
import { PEERS } from '../../bench/contestants.js';
import { promisesOf } from '../../bench/peers/promises.js';
import { Plan } from '../../bench/plan.js';
import { COMMON_RATE, SEVENTY, type Row } from '../../bench/result.js';
import { gate, judge, targets, verdicts } from '../../bench/targets.js';

const row = (changes: Partial<Row>): Row => ({
  work: 'fanout',
  peer: 'roomwire',
  store: 'memory',
  n: 1000,
  w: 1,
  bytes: 64,
  perSecond: 200_000,
  range: [190_000, 210_000],
  cpuNanoseconds: 5_000,
  p50Ms: 5,
  p99Ms: 9,
  windows: 100,
  deliveries: 100_000,
  wireBytes: 91,
  load: 0.9,
  toUws: { perSecond: 1, cpu: 1 },
  ...changes,
});
const fanout = [row({}), row({ w: 256, toUws: { perSecond: 5, cpu: 5 } })];
/** A row of roomwire's and one of Socket.IO's on uws: as fast. */
const both = (changes: Partial<Row>): Row[] => [
  row(changes),
  row({ ...changes, peer: 'socket.io-uws', store: 'none' }),
];
const fast = [
  ...fanout,
  ...[1, 256].flatMap((w) => both({ work: 'rooms', variant: 'of 3', n: 3330, w })),
  ...both({ work: 'connects' }),
  ...both({ work: 'joins' }),
];

t.test('the gate lets pass what keeps up with its peers and fails what fell behind in any work', async (t) => {
  t.equal(judge(gate, fast).length, gate.length);
  t.ok(judge(gate, fast).every(({ met }) => met));
  const behind: readonly [Partial<Row>, Partial<Row>][] = [
    [{ work: 'fanout', w: 256 }, { toUws: { perSecond: 1.2, cpu: 1 } }],
    [{ work: 'fanout', w: 1 }, { toUws: { perSecond: 0.3, cpu: 1 } }],
    [{ work: 'rooms', w: 1 }, { toUws: { perSecond: 0.2, cpu: 1 } }],
    [{ work: 'rooms', w: 256 }, { perSecond: 40_000 }],
    [{ work: 'connects' }, { perSecond: 40_000 }],
    [{ work: 'joins' }, { perSecond: 40_000 }],
  ];
  for (const [of, changes] of behind) {
    const isSlow = (one: Row): boolean =>
      one.peer === 'roomwire' && one.work === of.work && (of.w === undefined || one.w === of.w);
    const judged = judge(
      gate,
      fast.map((one) => (isSlow(one) ? { ...one, ...changes } : one)),
    );
    t.equal(judged.length, gate.length);
    t.equal(judged.filter(({ met }) => !met).length, 1);
    t.match(verdicts(judged), /^MISSED /m);
  }
});

t.test('a goal that the run did not measure is neither met nor missed', async (t) => {
  t.strictSame(
    judge(targets, fanout).map(({ name }) => name),
    ['fan-out n=1000, w=1', 'fan-out n=1000, w=256'],
  );
  t.strictSame(judge(targets, []), []);
});

t.test('ratios to other peers, stores and variants come from the rows that they name', async (t) => {
  const rows = [
    row({ w: 256, perSecond: 30e6 }),
    row({ w: 256, peer: 'floor', store: 'none', perSecond: 40e6 }),
    row({ w: 256, store: 'lmdb', perSecond: 27e6 }),
    row({ work: 'dual', variant: 'both, one tick', perSecond: 300 }),
    row({ work: 'dual', variant: 'both, two broadcasts', perSecond: 200 }),
    row({ work: 'memory', perSecond: null, more: { rssPerSessionBytes: 5_000 } }),
    row({ work: 'topics', n: 1, cpuNanoseconds: 100 }),
    row({ work: 'topics', n: 100, cpuNanoseconds: 160 }),
  ];
  const judged = judge(targets, rows).map(({ unit, reached, met }) => [unit, reached, met]);
  for (const expected of [
    ['× floor', 0.75, false],
    ['× memory', 0.9, true],
    ['× two broadcasts', 1.5, true],
    ['bytes', 5_000, false],
    ['× the cheapest', 1.6, false],
  ]) {
    t.ok(
      judged.some((one) => JSON.stringify(one) === JSON.stringify(expected)),
      JSON.stringify(expected),
    );
  }
});

t.test('goals beside the best peer, of CPU time and of latency come from the rows that they name', async (t) => {
  const rooms = { work: 'rooms', variant: 'of 3', n: 10_000, w: 1 } as const;
  const latency = { work: 'latency', n: 100, w: 1 } as const;
  const rows = [
    row({ ...rooms, perSecond: 30_000 }),
    row({ ...rooms, peer: 'uws', store: 'none', perSecond: 60_000 }),
    row({ ...rooms, peer: 'ws', store: 'none', perSecond: 20_000 }),
    row({ ...rooms, peer: 'nats', store: 'none', perSecond: 25_000 }),
    row({ work: 'sessions', variant: 'HELLO', cpuNanoseconds: 41_000 }),
    row({ work: 'locks', cpuNanoseconds: 50_000 }),
    row({ work: 'locks', store: 'lmdb', cpuNanoseconds: 110_000 }),
    row({ ...latency, variant: SEVENTY, p99Ms: 4, more: { p999Ms: 21 } }),
    row({ ...latency, variant: COMMON_RATE.name, p99Ms: 3 }),
    row({ ...latency, variant: COMMON_RATE.name, peer: 'ws', store: 'none', p99Ms: 2 }),
  ];
  const judged = judge(targets, rows).map(({ name, reached, met }) => [name, reached, met]);
  for (const expected of [
    ['rooms of 3, w=1', 1.2, true],
    ['CPU of HELLO', 41, false],
    ['CPU of a lock, taken and released', 50, true],
    ['CPU of a lock on LMDB', 60, true],
    ['latency of 100 at 70 %, p99', 4, true],
    ['latency of 100 at 70 %, p99.9', 21, false],
    ['latency of 100 at 40 k/s, p99', 1.5, false],
  ]) {
    t.ok(
      judged.some((one) => JSON.stringify(one) === JSON.stringify(expected)),
      JSON.stringify(expected),
    );
  }
});

t.test('a chart has a bar for every contestant, and none for other works and sizes', async (t) => {
  const svg = fanoutChart([...fast, row({ peer: 'uws', store: 'none' }), row({ n: 100 })]) ?? '';
  t.equal(svg.match(/<rect /g)?.length, 3);
  t.match(svg, '>uws</text>');
  t.equal(fanoutChart([row({ n: 100 })]), undefined);

  const small = roomsChart([...fast, row({ work: 'rooms', n: 1 })]) ?? '';
  t.equal(small.match(/<rect /g)?.length, 5);
  t.match(small, /3,330 rooms of 3, 256 events at a time.*one room of 10/s);
  t.equal(roomsChart(fanout), undefined);
});

t.test('every contestant’s promises are told', async (t) => {
  const lines = promisesOf(PEERS).split('\n');
  t.equal(lines.length, PEERS.length);
  for (const [i, peer] of PEERS.entries()) t.ok(lines[i]?.startsWith(peer));
});

t.test('a plan tells what is left by how it has gone, and when a run must be cut short', async (t) => {
  const plan = new Plan();
  plan.add(10, 59.4);
  t.equal(plan.minutes, 10);
  t.equal(plan.minutesLeft, 10, 'nothing is done');
  t.notOk(plan.overdue);
});
