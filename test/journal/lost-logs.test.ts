/**
 * A log that lost its end, was rewritten, forked, emptied or made anew behind its nodes' backs is told, never silent: whatever the
 * nodes were doing, the next term is of another generation, without the topics of the one before, and there is one such
 * change for each damage. A log that is as they knew it keeps its generation. SEED=… runs a failure again.
 */
import t from 'tap';
import { writeRecord } from '../../src/journal/records.js';
import { environmentSeed, random as seeded, type Random } from '../random.js';
import { append, put } from '../store/writer.js';
import { keptStore } from '../support/kept-store.js';
import { Nodes, type Node } from '../support/nodes.js';

t.setTimeout(600_000);

const SEEDS = 1_000;
const damages = ['none', 'lost', 'rewritten', 'forked', 'emptied', 'replaced'] as const;
const moments = ['idle', 'at work', 'stopped'] as const;
/** What the other side of a fork goes on with. */
const BEAT = writeRecord({ kind: 'beat', term: 1, time: 1 });
/** Short: the nodes' time is what this takes. */
const LEASE_MS = 150;
/** Of 50 ms; a term begins within some ten. */
const STEPS = 400;

interface Cluster {
  readonly nodes: Nodes;
  readonly disks: ReadonlyMap<string, ReturnType<typeof keptStore>>;
  readonly running: Map<string, Node>;
}

function start({ nodes, disks, running }: Cluster, name: string): void {
  const local = disks.get(name) as ReturnType<typeof keptStore>;
  running.set(name, nodes.start(name, { local, leaseMs: LEASE_MS }));
}

/** What ended is started anew, as its parent would, until this is so. */
async function until(cluster: Cluster, condition: (hub: Node | undefined) => boolean): Promise<Node> {
  const { nodes, running } = cluster;
  for (let step = 0; step < STEPS; step++) {
    const hub = [...running.values()].find(({ store }) => store.role === 'hub');
    if (condition(hub)) return hub as Node;
    for (const [name, node] of running) {
      if (node.lost === undefined && node.failed === undefined) continue;
      await node.store.close();
      start(cluster, name);
    }
    await nodes.pass(50);
    // What waits for the true time, such as an append that is tried again.
    if (step % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(
    `not so within ${STEPS} steps: ${[...running.values()].map(({ lines }) => lines.join('; ')).join(' | ')}`,
  );
}

async function generationOf(hub: Node): Promise<string> {
  return (await hub.opening).generation;
}

async function stop({ running }: Cluster): Promise<void> {
  for (const node of running.values()) await node.store.close();
  running.clear();
}

async function play(random: Random): Promise<{ readonly what: string; readonly failure?: string }> {
  const nodes = new Nodes();
  const disks = new Map(['a', 'b'].map((name) => [name, keptStore()]));
  const cluster: Cluster = { nodes, disks, running: new Map() };
  const { engine } = nodes;
  const damage = damages[random.below(damages.length)] as (typeof damages)[number];
  const moment = moments[random.below(moments.length)] as (typeof moments)[number];
  try {
    for (const name of disks.keys()) start(cluster, name);
    let hub = await until(cluster, (hub) => hub !== undefined);
    const before = await generationOf(hub);
    const topics = 1 + random.below(3);
    const heads = new Map<string, number>();
    const write = async (): Promise<void> => {
      const topic = `t${random.below(topics)}`;
      const next = (heads.get(topic) ?? 0) + 1;
      heads.set(topic, next);
      await hub.commit(append(topic, next), put('d', topic, `${next}`));
    };
    for (let i = 1 + random.below(6); i > 0; i--) await write();
    await until(cluster, () =>
      [...cluster.running.values()].every(({ store }) => store.status().applied === engine.state.head),
    );
    if (moment === 'stopped') await stop(cluster);
    const working = moment === 'at work' ? write().catch(() => undefined) : undefined;
    for (let i = random.below(4); moment === 'at work' && i > 0; i--)
      await new Promise((resolve) => setImmediate(resolve));
    const { head } = engine.state;
    const count = 1 + random.below(head - 1);
    if (damage === 'lost') engine.loseEnd(count);
    if (damage === 'rewritten') engine.rewriteEnd(count);
    if (damage === 'forked')
      engine.fork(
        count,
        Array.from({ length: 1 + random.below(2 * count) }, () => BEAT),
      );
    if (damage === 'emptied') engine.loseEnd(head);
    if (damage === 'replaced') engine.replace();
    const what = `${damage}, ${moment}, ${count} of ${head}`;
    if (moment === 'stopped') for (const name of random.chance(0.5) ? ['a', 'b'] : ['b', 'a']) start(cluster, name);
    if (damage === 'none') {
      await working;
      await nodes.pass(4 * LEASE_MS);
      hub = await until(cluster, (hub) => hub !== undefined);
      const kept = (await generationOf(hub)) === before && (await hub.store.topics({ limit: 9 })).total === heads.size;
      return kept ? { what } : { what, failure: 'a log that lost nothing began a new generation' };
    }
    const generations = new Set([before]);
    const isNew = (hub: Node | undefined): boolean => hub?.opened !== undefined && hub.opened.generation !== before;
    hub = await until(cluster, isNew);
    const after = await generationOf(hub);
    generations.add(after);
    if ((await hub.store.topics({ limit: 9 })).total > 0) return { what, failure: 'a topic outlived its generation' };
    await hub.commit(append('t0', 1, 1, 'e2'));
    // Whoever knew the lost records as well finds them told.
    await nodes.pass(4 * LEASE_MS);
    hub = await until(cluster, (hub) => hub?.opened !== undefined && cluster.running.size === 2);
    const isSame = (): boolean =>
      [...cluster.running.values()].every(({ store }) => store.status().applied === engine.state.head);
    await until(cluster, isSame);
    for (const { local, name } of cluster.running.values()) {
      if ((await local.topic('t0'))?.epoch !== 'e2') return { what, failure: `${name} has not what the hub wrote` };
    }
    await stop(cluster);
    for (const name of disks.keys()) start(cluster, name);
    hub = await until(cluster, (hub) => hub?.opened !== undefined);
    generations.add(await generationOf(hub));
    if (generations.size !== 2) return { what, failure: `${generations.size - 1} new generations` };
    return { what };
  } finally {
    await stop(cluster);
  }
}

void t.test('1,000 logs that were damaged, and some that were not', async (t) => {
  const seed = environmentSeed();
  t.comment(`SEED=${seed}`);
  const tried = new Map<string, number>();
  for (let i = 0; i < SEEDS; i++) {
    const own = (seed + i * 7_919) % 2 ** 31;
    const { what, failure } = await play(seeded(own)).catch((error: unknown) => ({
      what: 'it',
      failure: String(error),
    }));
    const [kind = ''] = what.split(',');
    tried.set(kind, (tried.get(kind) ?? 0) + 1);
    if (failure === undefined) continue;
    t.fail(`SEED=${own}, the first of it: ${what}: ${failure}`);
    return;
  }
  t.strictSame([...tried.keys()].sort(), [...damages].sort(), 'each damage was tried');
  t.comment(Object.fromEntries(tried));
});
