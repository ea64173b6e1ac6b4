/**
 * Rules 2 and 3 under faults: whatever the network does and however often the server is killed, every acknowledged
 * event is seen exactly once, by all in one order, and a gap is told. SEED=… runs a failure again.
 */
import t from 'tap';
import { environmentSeed } from '../random.js';
import { skipSocketPython, socketPython } from '../support/python.js';
import { engine, storeName } from '../support/server.js';
import { runChain } from './chain.js';
import { corruptions, findsAll } from './corruptions.js';

const store = storeName === 'lmdb' ? 'lmdb' : 'memory';

t.test('nothing is lost or doubled through faults and kill -9', async (t) => {
  const seed = environmentSeed();
  t.comment(`SEED=${seed}`);
  if (skipSocketPython !== false) t.comment(`without the Python client: ${skipSocketPython}`);
  const result = await runChain({
    seed,
    engine,
    store,
    path: t.testdir(),
    topics: 2,
    rooms: 1,
    subscribers: 4,
    publishers: 4,
    events: 300,
    restarts: 2,
    strikes: 40,
    leaves: 3,
    python: skipSocketPython === false ? socketPython : undefined,
  });
  const { history, deliveries, acknowledged, lost, doubled, complaints, resets, restarts, did, seconds } = result;
  t.comment(`${deliveries} deliveries, ${acknowledged} acknowledged, ${resets} resets, ${seconds.toFixed(1)} s`, did);
  t.strictSame(complaints, [], `SEED=${seed}`);
  if (skipSocketPython === false)
    t.ok(
      history.some((entry) => entry.kind === 'event' && entry.who === 'py'),
      'the Python client heard',
    );
  t.match({ lost, doubled, restarts }, { lost: 0, doubled: 0, restarts: 2 });
  // A store that keeps everything has no gap to tell of; one that forgets must tell.
  if (store === 'lmdb') t.equal(resets, 0);
  else t.ok(resets > 0);
  await t.test('the checker finds whatever is spoilt in that history', async (t) =>
    findsAll(t, history, corruptions.delivery, seed),
  );
});
