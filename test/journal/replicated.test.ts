import { join } from 'node:path';
import t from 'tap';
import { append, bytes, put, Writer } from '../store/writer.js';
import { Nodes } from '../support/nodes.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { MemoryEngine } from '../support/memory-journal.js';

void t.test('a standby applies what the hub commits, and takes over when it has been silent', async (t) => {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const a = nodes.start('a');
  await nodes.hub(a);
  const b = nodes.start('b');
  await a.commit(append('t', 1, 2), put('d', 'k', 'one'));
  await nodes.until(() => b.store.status().applied === a.store.status().applied);
  t.strictSame(await b.local.topic('t'), { epoch: 'e1', head: 2, tail: 1 });
  await nodes.pass(10_000);
  t.equal(b.opened, undefined, 'beats keep it a standby');
  t.equal(b.store.role, 'standby');
  const { now: told = 0 } = await a.opening;
  await nodes.pass(1_500, [a]);
  t.equal(b.opened, undefined);
  const opened = await nodes.hub(b, [a]);
  t.equal(opened.generation, (await a.opening).generation, 'nothing was lost');
  t.ok((opened.now ?? 0) > told);
  t.strictSame(await b.store.get('d', 'k'), bytes('one'));
  await b.commit(append('t', 3));
  const error: unknown = await a.commit(append('t', 3)).catch((error: unknown) => error);
  t.match(error, { kind: 'unusable', message: 'b is the hub now' });
  t.match(a.lost, { kind: 'unusable' });
  t.equal(a.store.role, 'over');
});

void t.test('a hub that yields is followed at once', async (t) => {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const a = nodes.start('a');
  await nodes.hub(a);
  const b = nodes.start('b');
  await a.commit(append('t', 1));
  await nodes.until(() => b.store.status().applied === a.store.status().applied);
  await a.store.close();
  const before = b.time.monotonic();
  await nodes.hub(b);
  t.ok(b.time.monotonic() - before <= 500);
  t.equal((await b.opening).generation, (await a.opening).generation);
});

void t.test(
  'a hub answers reads without the log until 1.5 s after its last append was sent, then by a beat',
  async (t) => {
    const nodes = new Nodes();
    t.teardown(() => nodes.close());
    const a = nodes.start('a');
    await nodes.hub(a);
    t.equal(a.store.confirm?.(), undefined);
    a.time.stall(1_600);
    const asked = a.store.confirm?.();
    t.ok(asked instanceof Promise);
    await asked;
    t.equal(a.store.confirm?.(), undefined);
    a.time.jump(3_000);
    t.ok(a.store.confirm?.() instanceof Promise, 'its machine was stopped, clock and all');
  },
);

void t.test('whatever becomes of an append, a batch is applied once and in order', async (t) => {
  const nodes = new Nodes(new MemoryEngine({ maxBytes: 4_096 }));
  t.teardown(() => nodes.close());
  const a = nodes.start('a');
  await nodes.hub(a);
  const b = nodes.start('b');
  nodes.engine.fail('lost-reply', 'lost-request', 'twice', 'late');
  for (let i = 1; i <= 8; i++) {
    await a.commit(append('t', i), put('big', 'k', `${i}`.repeat(i * 3_000)));
    if (i === 5) nodes.engine.deliver();
  }
  await nodes.until(() => b.store.status().applied === a.store.status().applied);
  t.strictSame(await b.local.topic('t'), { epoch: 'e1', head: 8, tail: 1 });
  t.equal((await b.local.get('big', 'k'))?.length, 24_000, 'in parts');
});

void t.test(
  'a node with an empty disk begins with the snapshot, and the log is truncated behind the one before',
  async (t) => {
    const nodes = new Nodes();
    t.teardown(() => nodes.close());
    const a = nodes.start('a', { snapshotBytes: 10_000 });
    await nodes.hub(a);
    for (let i = 1; i <= 60; i++) {
      await a.commit(append('t', i), put('d', `${i}`, 'x'.repeat(1_000)));
      await nodes.pass(50);
    }
    t.ok(nodes.engine.state.first > 1);
    const b = nodes.start('b');
    await nodes.until(() => b.store.status().applied === a.store.status().applied);
    t.strictSame(await b.local.topic('t'), { epoch: 'e1', head: 60, tail: 1 });
    t.equal((await b.local.list('d', { limit: 99 })).length, 60);
  },
);

void t.test(
  'a log that lost its end is told: the hub ends, and the next term is of a new generation with no topics',
  async (t) => {
    for (const damage of ['loseEnd', 'rewriteEnd'] as const) {
      const nodes = new Nodes();
      const a = nodes.start('a');
      await nodes.hub(a);
      const b = nodes.start('b');
      await a.commit(append('t', 1), put('d', 'k', 'kept'));
      await nodes.until(() => b.store.status().applied === a.store.status().applied);
      nodes.engine[damage](1);
      await nodes.until(() => a.lost !== undefined && b.failed !== undefined);
      const c = nodes.start('c');
      const { generation } = await nodes.hub(c);
      t.not(generation, (await a.opening).generation, damage);
      t.equal((await c.store.topics({ limit: 9 })).total, 0);
      await nodes.close();
    }
  },
);

void t.test('a standby that claims makes the hub yield to it, and to nobody else', async (t) => {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const a = nodes.start('a');
  await nodes.hub(a);
  const b = nodes.start('b');
  const c = nodes.start('c');
  await nodes.until(() => c.store.status().view.isHeld && b.store.status().view.isHeld);
  await c.store.claim();
  await nodes.until(() => a.claims.length > 0);
  t.strictSame(a.claims, ['c']);
  await a.store.close();
  await nodes.hub(c);
  t.equal(b.store.role, 'standby');
});

void t.test("clocks an hour apart move the store's time neither back nor ahead of the hub's before", async (t) => {
  for (const ahead of [3_600_000, -3_600_000]) {
    const nodes = new Nodes();
    const a = nodes.start('a');
    await nodes.hub(a);
    const b = nodes.start('b', { ahead });
    await nodes.until(() => b.store.status().view.isHeld);
    await nodes.pass(5_000);
    const told = a.time.wall();
    await nodes.pass(1_000, [a]);
    const before = b.time.monotonic();
    const { now = 0 } = await nodes.hub(b, [a]);
    const passed = 1_000 + b.time.monotonic() - before;
    t.ok(now >= told + 1_500, `${now - told}`);
    t.ok(now <= told + passed, `${now - told} of ${passed}`);
    await nodes.close();
  }
});

void t.test('a store of a single server begins a cluster, and one that is of none joins none', async (t) => {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const single = async (path: string): Promise<string> => {
    const store = lmdbStore({ path });
    const { generation } = await store.open();
    const writer = new Writer(store);
    writer.meta = { time: 1_700_000_000_000, counter: 5, incarnation: 0 };
    await writer.commit(append('t', 1, 3), put('d', 'k', 'kept'));
    await store.close();
    return generation;
  };
  const path = t.testdir();
  const generation = await single(path);
  const a = nodes.start('a', { local: lmdbStore({ path }) });
  t.equal((await nodes.hub(a)).generation, generation);
  await a.commit(append('t', 4));
  const b = nodes.start('b');
  await nodes.until(() => b.store.status().applied === a.store.status().applied);
  t.strictSame(await b.local.topic('t'), { epoch: 'e1', head: 4, tail: 1 });
  t.strictSame(await b.local.get('d', 'k'), bytes('kept'));
  const other = join(path, 'other');
  await single(other);
  const c = nodes.start('c', { local: lmdbStore({ path: other }) });
  await nodes.until(() => c.failed !== undefined);
  t.match(c.failed, { kind: 'unusable', message: /not of this cluster/ });
});

void t.test("another cluster's node is refused", async (t) => {
  const nodes = new Nodes();
  t.teardown(() => nodes.close());
  const a = nodes.start('a', { check: 'ours' });
  await nodes.hub(a);
  const b = nodes.start('b', { check: 'theirs' });
  await nodes.until(() => b.failed !== undefined);
  t.match(b.failed, { kind: 'unusable', message: /another cluster/ });
});
