/**
 * Rule 6 across `kill -9`, as the SDK's users see it: no two of them believe in one lock, tokens only grow, nothing is
 * written under an old one, each grant ends once, and `lock.signal` says when a lease is lost. SEED=… runs it again.
 */
import t from 'tap';
import { environmentSeed } from '../random.js';
import { engine } from '../support/server.js';
import { runHandles } from './handles.js';
import { corruptions, findsAll } from './corruptions.js';

t.test('locks held through the SDK keep their rules across kill -9', async (t) => {
  const seed = environmentSeed();
  t.comment(`SEED=${seed}`);
  const result = await runHandles({
    seed,
    engine,
    path: t.testdir(),
    operations: 400,
    actors: 8,
    rooms: 2,
    restarts: 3,
    strikes: 25,
  });
  const { history, complaints, grants, lostLocks, kept, written, refused, restarts, did, seconds } = result;
  t.comment(
    `${grants} grants, ${lostLocks} lost, ${kept} kept through ${restarts} kills, ${written} writes, ${refused} refused`,
  );
  t.comment(`${seconds.toFixed(1)} s`, did);
  t.strictSame(complaints, [], `SEED=${seed}`);
  t.equal(restarts, 3);
  t.ok(grants > 50 && lostLocks > 0 && written > 10 && refused > 10, 'enough happened to judge by');
  await t.test('the checker finds whatever is spoilt in that history', async (t) =>
    findsAll(t, history, corruptions.beliefs, seed),
  );
});
