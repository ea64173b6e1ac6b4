/**
 * Rule 6 under faults: one holder at a time, tokens that only grow, nothing done under an old one, a line in order,
 * and an answer for everyone. SEED=… runs a failure again.
 */
import t from 'tap';
import { environmentSeed } from '../random.js';
import { engine, storeName } from '../support/server.js';
import { runLocks } from './locks.js';
import { corruptions, findsAll } from './corruptions.js';

t.test('locks keep their rules through faults, restarts and clocks that jump', async (t) => {
  const seed = environmentSeed();
  t.comment(`SEED=${seed}`);
  const result = await runLocks({
    seed,
    engine,
    store: storeName === 'lmdb' ? 'lmdb' : 'memory',
    path: t.testdir(),
    operations: 4_000,
    actors: 8,
    rooms: 2,
    restarts: 3,
    strikes: 40,
  });
  const { history, complaints, operations, grants, waits, seconds, answers, did } = result;
  t.comment(`${operations} operations, ${grants} grants, ${waits} waits, ${seconds.toFixed(1)} s`, answers, did);
  t.strictSame(complaints, [], `SEED=${seed}`);
  // Some 300 to 400 of each; how many depends on the machine.
  t.ok(grants > 100 && waits > 50, 'enough happened to judge by');
  await t.test('the checker finds whatever is spoilt in that history', async (t) =>
    findsAll(t, history, corruptions.locks, seed),
  );
});
