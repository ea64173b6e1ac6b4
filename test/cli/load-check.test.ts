/** What `roomwire load` counts by, fed with what should never happen. */
import t from 'tap';
import { Arrivals, Sent } from '../../src/cli/load/check.js';
import { Histogram } from '../../src/cli/load/histogram.js';
import { Ranges } from '../../src/cli/load/ranges.js';
import { problemsOf } from '../../src/cli/load/report.js';
import { random } from '../random.js';

/** One publisher has published `count` events; the subscriber saw these. */
function after(count: number, seen: readonly number[]) {
  const sent = new Sent(1);
  for (let i = 0; i < count; i++) sent.take(0);
  const arrivals = new Arrivals(sent);
  for (const number of seen) arrivals.saw(number);
  return { sent, arrivals, found: () => summary(arrivals) };
}

function summary(arrivals: Arrivals) {
  const { told, untold } = arrivals.lost();
  const { duplicates, outOfOrder, complete } = arrivals;
  return { told, untold, duplicates, outOfOrder, complete };
}

const good = { told: 0, untold: 0, duplicates: 0, outOfOrder: 0, complete: true };

t.test('what came once and in order is all well', async (t) => {
  t.same(after(4, [0, 1, 2, 3]).found(), good);
  t.same(after(0, []).found(), good);
});

t.test('an event that never came is lost, at the start, in the middle and at the end', async (t) => {
  t.same(after(4, [1, 2, 3]).found(), { ...good, untold: 1, complete: false });
  t.same(after(4, [0, 3]).found(), { ...good, untold: 2, complete: false });
  t.same(after(4, [0, 1]).found(), { ...good, untold: 2, complete: false });
  t.same(after(4, []).found(), { ...good, untold: 4, complete: false });
});

t.test('an event that came twice is a duplicate, at once or later', async (t) => {
  t.same(after(3, [0, 0, 1, 2]).found(), { ...good, duplicates: 1 });
  t.same(after(3, [0, 1, 2, 0, 1]).found(), { ...good, duplicates: 2 });
});

t.test('an event that came after a later one is out of order and not lost', async (t) => {
  t.same(after(4, [0, 2, 1, 3]).found(), { ...good, outOfOrder: 1 });
  t.same(after(4, [3, 2, 1, 0]).found(), { ...good, outOfOrder: 3 });
  t.same(after(3, [0, 2, 1, 1]).found(), { ...good, outOfOrder: 1, duplicates: 1 }, 'and twice');
});

t.test(
  'a publish that was not acknowledged is not lost, whether it failed before its gap was seen or after',
  async (t) => {
    const before = after(4, []);
    before.sent.fail(1);
    for (const number of [0, 2, 3]) before.arrivals.saw(number);
    t.same(before.found(), good);
    const later = after(4, [0, 2]);
    t.same(later.found(), { ...good, untold: 2, complete: false });
    later.sent.fail(1);
    later.sent.fail(3);
    t.same(later.found(), good);
    t.same(after(4, [0, 1, 2, 3]).found(), good, 'one that failed and came all the same is no fault');
  },
);

t.test('what a RESET told is told apart from what nobody told', async (t) => {
  const { arrivals, found } = after(9, [0, 2]);
  arrivals.reset();
  arrivals.saw(5);
  t.same(found(), { ...good, told: 2, untold: 4, complete: false });
  arrivals.saw(6);
  arrivals.saw(8);
  t.same(found(), { ...good, told: 2, untold: 2, complete: false }, 'a gap after it is not told');
  const late = after(4, [0]);
  late.arrivals.reset();
  t.same(late.found(), { ...good, told: 3, complete: false }, 'at the end more may follow');
  late.arrivals.saw(1);
  late.arrivals.saw(2);
  late.arrivals.saw(3);
  t.same(late.found(), good, 'a RESET after which nothing is missing took nothing');
});

t.test('who was put out is owed only what came before the last it saw', async (t) => {
  const { arrivals, found } = after(9, [0, 2]);
  arrivals.end();
  t.same(found(), { ...good, untold: 1, complete: false });
});

t.test('publishers are checked one by one: between them there is no order', async (t) => {
  const sent = new Sent(3);
  const numbers = [0, 0, 1, 2, 2, 2].map((publisher) => sent.take(publisher));
  t.same(numbers, [0, 3, 1, 2, 5, 8]);
  const well = new Arrivals(sent);
  for (const number of [2, 5, 0, 8, 1, 3]) well.saw(number);
  t.same(summary(well), good);
  const ill = new Arrivals(sent);
  for (const number of [2, 8, 3, 1]) ill.saw(number);
  t.same(summary(ill), { ...good, untold: 2, complete: false }, 'one of the first, one of the third');
});

t.test('gaps of failed publishes are forgotten again, and too many ask for an end', async (t) => {
  const sent = new Sent(1);
  const arrivals = new Arrivals(sent);
  for (let i = 0; i < 2_000; i++) {
    const number = sent.take(0);
    if (i % 2 === 0) arrivals.saw(number);
    else sent.fail(number);
  }
  t.same(summary(arrivals), good);
  arrivals.saw(1);
  t.equal(arrivals.outOfOrder, 1, 'one of them that comes after all came late');
  t.notOk(sent.full);
  sent.keep(2_000_000);
  t.ok(sent.full);
});

t.test('ranges hold the same numbers as a plain set would', async (t) => {
  const { below, seed } = random();
  for (let round = 0; round < 50; round++) {
    const [ranges, plain] = [new Ranges(), new Set<number>()];
    const [other, otherPlain] = [new Ranges(), new Set<number>()];
    for (let step = 0; step < 40; step++) {
      const from = below(60);
      const to = from + below(6);
      const [target, mirror] = below(3) === 0 ? [other, otherPlain] : [ranges, plain];
      if (below(2) === 0) {
        target.add(from, to);
        for (let number = from; number < to; number++) mirror.add(number);
      } else if (target.delete(from) !== mirror.delete(from)) t.fail(`delete says what it found, SEED=${seed}`);
    }
    const numbers = [...Array(70).keys()];
    const rest = ranges.without(other);
    const found = {
      held: numbers.filter((number) => ranges.has(number)),
      rest: numbers.filter((number) => rest.has(number)),
      size: ranges.size,
      pieces: ranges.pieces,
    };
    const wanted = {
      held: numbers.filter((number) => plain.has(number)),
      rest: numbers.filter((number) => plain.has(number) && !otherPlain.has(number)),
      size: plain.size,
      pieces: [...plain].filter((number) => !plain.has(number - 1)).length,
    };
    t.same(found, wanted, `SEED=${seed}`);
  }
});

t.test('percentiles are within 0.8 % or half a microsecond, and the largest time is exact', async (t) => {
  t.equal(new Histogram().percentiles(), null);
  for (const ms of [0, 0.0004, 0.0127, 0.063, 0.128, 0.1299, 1, 1.7, 63.99, 1000.123, 86_400, 4_000_000]) {
    const histogram = new Histogram();
    // Beside one larger, or the exact largest would stand in for it.
    for (const each of [ms, ms, ms, 4_200_000]) histogram.add(each);
    const { p50, max } = histogram.percentiles() as { p50: number; max: number };
    t.ok(Math.abs(p50 - ms) <= Math.max(ms * 0.008, 0.00051), `${p50} for ${ms}`);
    t.equal(max, 4_200_000);
  }
  const many = new Histogram();
  for (let i = 1; i <= 1000; i++) many.add(i);
  const { p50, p90, p99, max } = many.percentiles() as NonNullable<ReturnType<Histogram['percentiles']>>;
  t.ok(Math.abs(p50 - 500) < 4 && Math.abs(p90 - 900) < 7.2 && Math.abs(p99 - 990) < 8, `${p50} ${p90} ${p99}`);
  t.equal(max, 1000);
  const beyond = new Histogram();
  beyond.add(1e9);
  t.equal(beyond.percentiles()?.max, 1e9);
});

t.test('a run fails for each thing that went wrong, and names it', async (t) => {
  const clients = { asked: 9, connected: 9, failed: 0, gone: 0, offline: 0, reconnects: 3, resets: 2 };
  const published = { askedPerSecond: 9, perSecond: 5, sent: 5, acknowledged: 5, failed: 0, failures: {}, notSent: 4 };
  const well = { clients, published, lost: 0, lostTold: 0, duplicates: 0, outOfOrder: 0 };
  t.same(problemsOf(well), [], 'reconnects, resets that cost nothing and a lower rate are no failure');
  t.same(problemsOf({ ...well, lost: 3, lostTold: 1 }), ['3 deliveries were lost (1 of them told by a RESET)']);
  t.same(problemsOf({ ...well, duplicates: 1 }), ['1 deliveries came twice']);
  t.same(problemsOf({ ...well, outOfOrder: 2 }), ['2 deliveries came out of order']);
  t.same(problemsOf({ ...well, published: { ...published, failed: 3, failures: { too_many: 2, deadline: 1 } } }), [
    '3 publishes failed (too_many 2, deadline 1)',
  ]);
  const troubled = { ...clients, failed: 1, gone: 2, offline: 3 };
  t.same(problemsOf({ ...well, clients: troubled }, { whyNot: 'refused', whyGone: 'kicked' }), [
    '1 connections could not be opened (refused)',
    '2 connections were ended by the server (kicked)',
    '3 connections were lost and not back at the end',
  ]);
});
