/**
 * An engine that answers late, twice, or never, and goes away and comes back: nothing is acknowledged that is not in the log, nothing
 * is there twice, the hub stays the hub, and a standby that takes over in the end has all that was acknowledged. SEED=… runs a
 * failure again.
 */
import t from 'tap';
import { environmentSeed, random as seeded, type Random } from '../random.js';
import { append, put } from '../store/writer.js';
import { MemoryEngine, type Fault } from '../support/memory-journal.js';
import { Nodes, turns } from '../support/nodes.js';

const SEEDS = 15;
const FAULTS: readonly Fault[] = ['lost-request', 'lost-reply', 'twice', 'late'];

async function play(random: Random): Promise<{ readonly acked: number; readonly problems: readonly string[] }> {
  let isFaulty = false;
  const engine = new MemoryEngine({
    maxBytes: 4_096,
    delay: () => turns(random.below(4)),
    fault: () => (isFaulty && random.chance(0.3) ? FAULTS[random.below(FAULTS.length)] : undefined),
  });
  const nodes = new Nodes(engine);
  const problems: string[] = [];
  let acked = 0;
  try {
    const a = nodes.start('a', { snapshotBytes: 20_000 });
    await nodes.hub(a);
    const b = nodes.start('b', { snapshotBytes: 20_000 });
    await nodes.until(() => b.store.status().view.isHeld);
    isFaulty = true;
    const commit = (isLarge = random.chance(0.2)): Promise<void> => {
      // In parts.
      const size = isLarge ? random.below(20_000) : random.below(200);
      return a.commit(append('t', acked + 1), put('d', 'k', 'x'.repeat(size)));
    };
    for (let step = 8 + random.below(8); step > 0; step--) {
      const committing = commit();
      const isAway = random.chance(0.15);
      if (isAway) {
        await turns(random.below(12));
        engine.away = true;
        // Longer than any lease.
        await nodes.pass(random.below(15_000));
        engine.away = false;
      }
      // What has no answer is tried again by the true clock: until then those of the nodes stand still.
      await committing;
      acked++;
      if (random.chance(0.5)) engine.deliver();
      if (random.chance(0.5)) await nodes.pass(random.below(400));
    }
    if (a.store.role !== 'hub' || a.lost !== undefined || b.opened !== undefined) problems.push('the hub changed');
    const last = commit(random.chance(0.5));
    last.catch(() => undefined);
    await turns(random.below(12));
    a.cut(true);
    await nodes.hub(b, [a]);
    const head = (await b.store.topic('t'))?.head ?? 0;
    if (head < acked || head > acked + 1) problems.push(`${acked} batches were acknowledged, and ${head} are there`);
    await b.commit(append('t', head + 1));
    a.cut(false);
    // By the true clock, as above.
    await last.catch(() => undefined);
    await nodes.until(() => a.lost !== undefined);
    return { acked, problems };
  } finally {
    await nodes.close();
  }
}

void t.test('whatever an engine does, an ack is true, a batch is there once, and the hub stays', async (t) => {
  const seed = environmentSeed();
  t.comment(`SEED=${seed}`);
  let acked = 0;
  for (let i = 0; i < SEEDS; i++) {
    const own = (seed + i * 7_919) % 2 ** 31;
    const result = await play(seeded(own)).catch((error: unknown) => ({ acked: 0, problems: [String(error)] }));
    acked += result.acked;
    t.strictSame(result.problems, [], `SEED=${own}, the first of it`);
    if (result.problems.length > 0) return;
  }
  t.ok(acked > SEEDS * 8, `${acked} batches were acknowledged`);
});
