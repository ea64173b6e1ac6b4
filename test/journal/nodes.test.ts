/** Nodes over terms: how they stand, as each tells it beside the log; what they refuse; and one that has no disk. */
import t from 'tap';
import { nodesIn } from '../../src/journal/nodes.js';
import { append, bytes, put } from '../store/writer.js';
import { keptStore } from '../support/kept-store.js';
import { MemoryEngine } from '../support/memory-journal.js';
import { Nodes, turns } from '../support/nodes.js';
import { until } from '../support/until.js';

async function hubAndStandby(t: { teardown(fn: () => unknown): void }) {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const a = nodes.start('a');
  await nodes.hub(a);
  const b = nodes.start('b');
  await nodes.until(() => b.store.status().view.isHeld);
  return { nodes, a, b };
}

void t.test('each node tells how it stands, and the hub knows all, also one that was cut off', async (t) => {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const a = nodes.start('a', { link: '127.0.0.1:1' });
  await nodes.hub(a);
  const b = nodes.start('b', { link: '127.0.0.1:2' });
  await a.commit(append('t', 1));
  await nodes.until(() => a.store.nodes().length === 2);
  const journal = nodes.engine.journal();
  t.teardown(() => journal.close());
  await journal.open();
  await nodes.pass(2_000);
  t.match(await nodesIn(journal), [
    { node: 'a', role: 'hub', term: 1, hub: 'a', lag: 0, lastBeatMs: Number, advertise: '127.0.0.1:1', seenMs: Number },
    { node: 'b', role: 'standby', term: 1, hub: 'a', lag: 0, logMs: Number, advertise: '127.0.0.1:2', seenMs: Number },
  ]);
  t.strictSame(b.store.nodes(), [], 'a standby knows of none');
  b.cut(true);
  // As with NATS, which keeps nothing.
  nodes.engine.nodes.delete('b');
  await nodes.pass(10_000);
  const known = a.store.nodes().map(({ node, seenMs }) => [node, seenMs > 1_500]);
  t.strictSame(known, [
    ['a', false],
    ['b', true],
  ]);
  t.ok((b.store.status().logMs ?? 0) > 9_000, 'and it says itself that the log is away');
  // What is no report, such as one of a later version, is passed over.
  await journal.announce('c', bytes('{"role":"later"}'));
  t.strictSame(
    (await nodesIn(journal)).map(({ node }) => node),
    ['a'],
  );
});

void t.test('what a standby has yet to apply is its lag', async (t) => {
  const { nodes, a, b } = await hubAndStandby(t);
  let go = (): void => undefined;
  const waits = new Promise<void>((resolve) => (go = resolve));
  const { commit } = b.local;
  Object.assign(b.local, { commit: async (batch: never) => (await waits, commit.call(b.local, batch)) });
  for (let i = 1; i <= 5; i++) await a.commit(append('t', i));
  await nodes.pass(1_000);
  const { applied, head } = b.store.status();
  t.ok(head - applied >= 4, `${head - applied}`);
  t.equal(b.opened, undefined);
  go();
  await nodes.until(() => b.store.status().applied === a.store.status().applied);
});

void t.test('a standby reads no more of the log than its store takes in', async (t) => {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const a = nodes.start('a');
  await nodes.hub(a);
  const b = nodes.start('b');
  await nodes.until(() => b.store.status().applied === a.store.status().applied);
  let go = (): void => undefined;
  const waits = new Promise<void>((resolve) => (go = resolve));
  const { commit } = b.local;
  Object.assign(b.local, { commit: async (batch: never) => (await waits, commit.call(b.local, batch)) });
  let read = 0;
  const page = nodes.engine.page.bind(nodes.engine);
  nodes.engine.page = (after) => ((read = Math.max(read, after)), page(after));
  for (let i = 1; i <= 1_000; i++) await a.commit(append('t', i));
  await nodes.pass(1_000);
  t.ok(read < 500, `the log was read up to ${read}`);
  go();
  await nodes.until(() => b.store.status().applied === a.store.status().applied);
  t.equal((await b.local.topic('t'))?.head, 1_000);
});

void t.test('a node that is started anew hears of the hub of the time, once, and of none before', async (t) => {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const [diskA, diskB] = [keptStore(), keptStore()];
  let hub = nodes.start('a', { local: diskA, snapshotBytes: 5_000 });
  await nodes.hub(hub);
  for (let i = 1; i <= 3; i++) {
    await hub.store.close();
    hub = nodes.start('a', { local: diskA, snapshotBytes: 5_000 });
    await nodes.hub(hub);
  }
  const met = async (name: string, local: ReturnType<typeof keptStore>): Promise<readonly number[]> => {
    const node = nodes.start(name, { local });
    const terms: number[] = [];
    node.store.onHub(({ term }) => terms.push(term));
    // Nothing but beats follow.
    await nodes.until(() => node.store.status().lastBeatMs !== undefined && node.store.status().view.isHeld);
    await nodes.pass(1_000);
    await node.store.close();
    return terms;
  };
  t.strictSame(await met('b', diskB), [4], 'of four terms in the log');
  t.strictSame(await met('b', diskB), [4], 'its begin is in what the node had applied');
  for (let i = 1; i <= 40; i++) {
    await hub.commit(append('t', i), put('d', `${i}`, 'x'.repeat(1_000)));
    await turns(2);
  }
  t.ok(nodes.engine.state.first > 4);
  t.strictSame(await met('c', keptStore()), [4], 'it is in the snapshot');
});

void t.test('a node that was away for so long that the log no longer has what it lacks is filled anew', async (t) => {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const disk = keptStore();
  const [a, b] = [nodes.start('a', { snapshotBytes: 5_000 }), nodes.start('b', { local: disk })];
  const { generation } = await nodes.hub(a);
  await a.commit(append('t', 1));
  await nodes.until(() => b.store.status().applied === a.store.status().applied);
  await b.store.close();
  const { applied } = b.store.status();
  for (let i = 2; i <= 40; i++) {
    await a.commit(append('t', i), put('d', `${i}`, 'x'.repeat(1_000)));
    await turns(2);
  }
  t.ok(nodes.engine.state.first > applied + 1, 'the log begins later');
  const again = nodes.start('b', { local: disk });
  await nodes.until(() => again.store.status().applied === a.store.status().applied || again.failed !== undefined);
  t.equal(again.failed, undefined);
  await a.store.close();
  t.equal((await nodes.hub(again)).generation, generation, 'nothing was lost');
  t.strictSame(await disk.topic('t'), { epoch: 'e1', head: 40, tail: 1 });
});

void t.test('a log that goes away while a node reads where it is to begin is waited for', async (t) => {
  for (let request = 1; request <= 8; request++) {
    let isCounting = false;
    let left = request;
    const nodes: Nodes = new Nodes(
      new MemoryEngine({
        delay: () => {
          if (isCounting && --left === 0) nodes.engine.away = true;
          return Promise.resolve();
        },
      }),
    );
    const a = nodes.start('a', { snapshotBytes: 1_000 });
    await nodes.hub(a);
    for (let i = 1; i <= 5; i++) await a.commit(append('t', i), put('d', `${i}`, 'x'.repeat(500)));
    await a.store.close();
    isCounting = true;
    const b = nodes.start('b');
    await nodes.until(() => nodes.engine.away);
    isCounting = false;
    await turns();
    t.equal(b.failed, undefined, `request ${request}`);
    nodes.engine.away = false;
    // It asks again by the true clock.
    await until(() => b.store.status().view.generation !== '' || b.failed !== undefined, 'it has read the log');
    await nodes.hub(b);
    t.equal((await b.local.topic('t'))?.head, 5);
    await nodes.close();
  }
});

void t.test('nodes that lack the right to write say so once, and serve when they have it', async (t) => {
  const { nodes, a, b } = await hubAndStandby(t);
  const { nextFault } = nodes.engine;
  nodes.engine.nextFault = () => 'denied';
  await t.rejects(a.commit(append('t', 1)), { kind: 'unusable', message: /permission denied/ });
  t.match(a.lost, { message: /permission denied/ }, 'the hub ends');
  await nodes.until(() => b.lines.length > 0, [a]);
  await nodes.pass(5_000, [a]);
  t.strictSame(b.lines, ['cannot become the hub: the log refuses records: permission denied']);
  nodes.engine.nextFault = nextFault;
  await nodes.hub(b, [a]);
});

void t.test('a record of a later format: the node stays a standby and says so', async (t) => {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const a = nodes.start('a');
  await nodes.hub(a);
  await a.commit(append('t', 1));
  await a.store.close();
  const journal = nodes.engine.journal();
  t.teardown(() => journal.close());
  const { head } = await journal.open();
  await journal.append(head, 'later', Uint8Array.of(2, 0));
  const b = nodes.start('b');
  await nodes.until(() => b.lines.length > 0);
  const why = /the log has records of format 2, this node knows 1: upgrade it/;
  t.match(b.lines, [new RegExp(`this node stays a standby: ${why.source}`)]);
  await nodes.pass(20_000);
  t.strictSame([b.opened, b.failed, b.store.role], [undefined, undefined, 'standby']);
  t.match(b.store.status().problem, why);
  await nodes.until(() => nodes.engine.nodes.has('b'));
  t.match(
    (await nodesIn(journal)).find(({ node }) => node === 'b'),
    { role: 'standby', problem: why },
    'to all',
  );
});

void t.test('a log that begins in a later format: the same', async (t) => {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const journal = nodes.engine.journal();
  t.teardown(() => journal.close());
  await journal.open();
  await journal.append(0, 'later', Uint8Array.of(2, 0));
  const b = nodes.start('b');
  await nodes.until(() => b.lines.length > 0);
  t.match(b.lines, [/^this node stays a standby: the log has records of format 2/]);
  await nodes.pass(5_000);
  t.strictSame([b.opened, b.failed], [undefined, undefined]);
});

void t.test('a node of another contract, policy or limits is warned, and serves', async (t) => {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const a = nodes.start('a', { digest: () => 'one' });
  await nodes.hub(a);
  const same = nodes.start('same', { digest: () => 'one' });
  const b = nodes.start('b', { digest: () => 'another' });
  await nodes.until(() => b.lines.length > 0);
  t.match(b.lines, [/the contract, policy or limits of this node are not those of a, which is the hub/]);
  t.strictSame(same.lines, []);
  await same.store.close();
  await a.store.close();
  await nodes.hub(b);
});

void t.test('one node without a disk keeps everything over a redeploy: it begins with the snapshot', async (t) => {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const before = nodes.start('a', { snapshotBytes: 10_000 });
  const { generation } = await nodes.hub(before);
  for (let i = 1; i <= 60; i++) {
    await before.commit(append('t', i), put('d', `${i}`, 'x'.repeat(1_000)));
    await turns(2);
  }
  await before.store.close();
  t.ok(nodes.engine.state.first > 1, 'what is in the snapshot is no longer in the log');
  const after = nodes.start('a');
  t.equal((await nodes.hub(after)).generation, generation, 'the same epochs');
  t.strictSame(await after.local.topic('t'), { epoch: 'e1', head: 60, tail: 1 });
  t.equal((await after.local.list('d', { limit: 99 })).length, 60);
});
