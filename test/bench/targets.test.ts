/** Goals and gate judge what was measured, and the gate can fail. */
import t from 'tap';
import { chart } from '../../bench/chart.js';
import type { Row } from '../../bench/result.js';
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
const fast = [row({}), row({ w: 256, toUws: { perSecond: 5, cpu: 5 } })];

t.test('the gate lets pass what keeps up with uws and fails what fell behind', async (t) => {
  t.ok(judge(gate, fast).every(({ met }) => met));
  for (const slow of [
    [fast[0] as Row, row({ w: 256, toUws: { perSecond: 1.2, cpu: 1 } })],
    [row({ toUws: { perSecond: 0.3, cpu: 1 } }), fast[1] as Row],
  ]) {
    const judged = judge(gate, slow);
    t.equal(judged.length, gate.length);
    t.equal(judged.filter(({ met }) => !met).length, 1);
    t.match(verdicts(judged), /^MISSED /m);
  }
});

t.test('a goal that the run did not measure is neither met nor missed', async (t) => {
  t.strictSame(
    judge(targets, fast).map(({ name }) => name),
    ['fan-out n=1000, w=1', 'fan-out n=1000, w=256'],
  );
  t.strictSame(judge(targets, []), []);
});

t.test('ratios to other peers, stores and variants come from the rows that they name', async (t) => {
  const rows = [
    row({ w: 256, perSecond: 30e6 }),
    row({ w: 256, peer: 'nats', store: 'none', perSecond: 3e6 }),
    row({ w: 256, store: 'lmdb', perSecond: 27e6 }),
    row({ work: 'dual', variant: 'both, one tick', perSecond: 300 }),
    row({ work: 'dual', variant: 'both, two broadcasts', perSecond: 200 }),
    row({ work: 'memory', perSecond: null, more: { rssPerSessionBytes: 5_000 } }),
    row({ work: 'topics', n: 1, cpuNanoseconds: 100 }),
    row({ work: 'topics', n: 100, cpuNanoseconds: 160 }),
  ];
  const judged = judge(targets, rows).map(({ unit, reached, met }) => [unit, reached, met]);
  for (const expected of [
    ['× nats', 10, true],
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

t.test('the chart has a bar for every contestant, and none for other sizes', async (t) => {
  const svg = chart([...fast, row({ peer: 'uws', store: 'none' }), row({ n: 100 })]) ?? '';
  t.equal(svg.match(/<rect /g)?.length, 3);
  t.match(svg, '>uws</text>');
  t.equal(chart([row({ n: 100 })]), undefined);
});
