/** The log in memory keeps what every engine must, and brings about what engines do to their callers. */
import t from 'tap';
import { MemoryEngine, type Fault } from '../support/memory-journal.js';
import { journalConformance } from './conformance.js';
import { bytes, kind, read } from './reading.js';
import { random } from '../random.js';
import { until } from '../support/until.js';

journalConformance('memory', (t) => {
  let limit = Infinity;
  const engine = new MemoryEngine({
    get maxRecords() {
      return limit;
    },
  });
  return {
    journal: () => {
      const journal = engine.journal();
      t.teardown(() => journal.close());
      return journal;
    },
    fill: () => {
      limit = 0;
      return Promise.resolve(() => {
        limit = Infinity;
        return Promise.resolve();
      });
    },
    loseEnd: (count) => Promise.resolve(engine.loseEnd(count)),
    rewriteEnd: (count) => Promise.resolve(engine.rewriteEnd(count)),
    replace: () => Promise.resolve(engine.replace()),
    loseReply: () => engine.fail('lost-reply'),
    coarse: 0,
  };
});

t.test('each fault is what its name says', async (t) => {
  const engine = new MemoryEngine();
  const [a, b] = [engine.journal(), engine.journal()];
  await Promise.all([a.open(), b.open()]);
  const faults: [Fault, string | undefined][] = [
    ['refused', 'refused'],
    ['lost-request', 'unknown'],
    ['lost-reply', 'unknown'],
    ['twice', undefined],
  ];
  for (const [i, [fault, expected]] of faults.entries()) {
    engine.fail(fault);
    t.equal(await kind(a.append(i, `id-${i}`, bytes(i))), expected, fault);
    t.equal((await a.append(i, `id-${i}`, bytes(i))).seq, i + 1, `${fault}, again`);
    t.strictSame(await b.answers(), { head: i + 1 }, `${fault}: once`);
  }
  engine.fail('late');
  t.equal(await kind(a.append(4, 'late', bytes(5))), 'unknown');
  t.strictSame(await b.answers(), { head: 4 });
  engine.deliver();
  t.strictSame(
    (await read(a, 4, 1)).map(({ id }) => id),
    ['late'],
  );
  t.equal(await kind(b.append(4, 'too-late', bytes(5))), 'unusable');
  t.equal((await a.append(4, 'late', bytes(5))).seq, 5);
});

t.test('a handle that is cut off neither reads nor writes, and goes on when it is healed', async (t) => {
  const engine = new MemoryEngine();
  const [a, b] = [engine.journal(), engine.journal()];
  await Promise.all([a.open(), b.open()]);
  const got: number[] = [];
  b.follow(0, ({ seq }) => void got.push(seq), t.fail.bind(t));
  b.cut = true;
  await a.append(0, 'one', bytes(1));
  t.equal(await kind(b.append(1, 'two', bytes(2))), 'unknown');
  t.equal(await kind(b.answers()), 'refused');
  t.strictSame(got, []);
  const c = engine.journal();
  c.cut = true;
  const opened = c.open();
  b.cut = false;
  await until(() => got.length === 1);
  t.equal((await b.append(1, 'two', bytes(2))).seq, 2);
  c.cut = false;
  t.equal((await opened).head, 2);
});

t.test('random delays and faults lose and double nothing', async (t) => {
  const { seed, below, chance } = random();
  t.comment(`seed ${seed}`);
  const faults: Fault[] = ['lost-request', 'lost-reply', 'twice', 'late'];
  const engine = new MemoryEngine({
    delay: async () => {
      for (let turns = below(4); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    },
    fault: () => (chance(0.3) ? faults[below(faults.length)] : undefined),
  });
  const a = engine.journal();
  await a.open();
  for (let after = 0; after < 300; after++) {
    while ((await kind(a.append(after, `id-${after}`, bytes(after)))) !== undefined) if (chance(0.3)) engine.deliver();
  }
  engine.deliver();
  t.strictSame(
    (await read(a, 0, 300)).map(({ id }) => id),
    Array.from({ length: 300 }, (_, i) => `id-${i}`),
  );
  t.strictSame(await a.answers(), { head: 300 });
});
