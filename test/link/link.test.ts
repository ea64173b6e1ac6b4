/** A hub and edges: what clients see of them is one server, whichever of its ports they came to. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { http } from '../../src/http/http.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { shortDir, startEdge, startHub } from '../support/hub.js';
import { startOpen } from '../support/open-server.js';
import { engine } from '../support/server.js';
import { edgesHere } from '../support/edge.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';

async function clientAt(t: { teardown(fn: () => unknown): void }, url: string, hello = {}) {
  const client = new WireClient(url);
  t.teardown(() => client.cut());
  return Object.assign(client, { welcome: await client.hello(hello) });
}

t.test('clients of the hub and of two edges are in one topic: the same events, in the same order', async (t) => {
  const hub = await startHub(t);
  const edges = [await startEdge(t, hub.address, { name: 'a' }), await startEdge(t, hub.address, { name: 'b' })];
  await until(() => hub.server.edges().filter(({ state }) => state === 'open').length === 2);
  const clients = await Promise.all([hub, ...edges].map(({ url }) => clientAt(t, url)));
  for (const client of clients) await client.subscribe('chat:1');
  await Promise.all(
    clients.flatMap((client, who) =>
      Array.from({ length: 20 }, (_, n) => client.publish('chat:1', 'message', `${who}.${n}`)),
    ),
  );
  for (const client of clients) await client.event('chat:1', 'message', 60);
  const [first, ...others] = clients.map((client) => client.events('chat:1'));
  for (const events of others) t.strictSame(events, first);
  t.match(hub.server.edges(), [
    { name: 'a', connections: 1, state: 'open', address: 'this machine' },
    { name: 'b', connections: 1 },
  ]);
  t.equal(hub.server.stats().connections, 3);
});

t.test(
  'an edge is there before its hub: it lives, refuses what it cannot serve, and serves as soon as it can',
  async (t) => {
    const path = `${shortDir(t)}/hub`;
    const edge = await startEdge(t, `unix:${path}`);
    t.equal((await fetch(`${edge.http}/health/live`)).status, 200);
    const early = await fetch(`${edge.http}/health/ready`);
    t.strictSame([early.status, early.headers.get('retry-after')], [503, '1']);
    await t.rejects(new WireClient(edge.url).open(), { message: /503/ });
    const hub = await startHub(t, { path, plugins: [http()] });
    await until(() => hub.server.edges()[0]?.state === 'open');
    const client = await clientAt(t, edge.url);
    t.equal(await client.call('echo', 7), 7);
    t.equal((await fetch(`${edge.http}/health/ready`)).status, 200);
  },
);

t.test(
  'a hub that is gone: clients of its edges are told when to come again, and resume once it is back',
  async (t) => {
    const [path, data] = [`${shortDir(t)}/hub`, t.testdir()];
    const hub = await startHub(t, { path, store: lmdbStore({ path: data }) });
    const edge = await startEdge(t, `unix:${path}`);
    await until(() => hub.server.edges()[0]?.state === 'open');
    const client = await clientAt(t, edge.url);
    const { epoch } = await client.subscribe('chat:1');
    t.match(await client.publish('chat:1', 'message', 'before'), { offset: 1 });
    await hub.server.close();
    t.equal((await client.closed).code, 4202);
    t.match(client.frames.at(-1), [Op.GOAWAY, 4202]);
    const again = await startHub(t, { path, store: lmdbStore({ path: data }) });
    await until(() => again.server.edges()[0]?.state === 'open');
    const back = await clientAt(t, edge.url, { session: client.welcome.session, resume: { 'chat:1': [epoch, 1] } });
    t.equal(back.welcome.resumed, true);
    t.match(back.welcome.topics, { 'chat:1': { recovered: true } });
  },
);

t.test('an edge that dies: its clients come back through another one, and nobody saw them leave', async (t) => {
  const hub = await startHub(t);
  const [one, two] = [await startEdge(t, hub.address, { name: 'a' }), await startEdge(t, hub.address, { name: 'b' })];
  await until(() => hub.server.edges().filter(({ state }) => state === 'open').length === 2);
  const [lost, other] = [await clientAt(t, one.url), await clientAt(t, two.url)];
  const { epoch } = await lost.subscribe('chat:1');
  await other.subscribe('chat:1');
  await one.close();
  await lost.closed;
  await other.publish('chat:1', 'message', 'meanwhile');
  const back = await clientAt(t, two.url, { session: lost.welcome.session, resume: { 'chat:1': [epoch, 0] } });
  t.equal(back.welcome.resumed, true);
  await back.event('chat:1', 'message', 1);
  await until(() => hub.server.edges().length === 1);
});

t.test('one edge is drained: its clients come again elsewhere, and the others go on', async (t) => {
  const hub = await startHub(t);
  const [one, two] = [await startEdge(t, hub.address, { name: 'a' }), await startEdge(t, hub.address, { name: 'b' })];
  await until(() => hub.server.edges().filter(({ state }) => state === 'open').length === 2);
  const [going, staying] = [await clientAt(t, one.url), await clientAt(t, two.url)];
  t.equal(hub.server.drainEdge('nobody'), false);
  t.equal(hub.server.drainEdge('a', 3_000), true);
  t.equal((await going.closed).code, 4202);
  t.strictSame(going.frames.at(-1)?.slice(0, 4), [Op.GOAWAY, 4202, going.frames.at(-1)?.[2], 3_000]);
  t.equal(await staying.call('echo', 1), 1);
  await t.rejects(new WireClient(one.url).open());
  t.match(hub.server.edges(), [{ name: 'a', state: 'draining', connections: 0 }, { name: 'b' }]);
});

t.test('an edge that is told to leave gives its clients to others, and ends', async (t) => {
  const hub = await startHub(t);
  const edge = await startEdge(t, hub.address);
  await until(() => hub.server.edges()[0]?.state === 'open');
  const client = await clientAt(t, edge.url);
  const left = edge.leave(2_000, 5_000);
  t.equal((await client.closed).code, 4202);
  t.equal(client.frames.at(-1)?.[3], 2_000);
  await left;
  await until(() => hub.server.edges().length === 0);
});

t.test('of two hubs the newer is obeyed, and what came from the older is over', async (t) => {
  const dir = shortDir(t);
  const old = await startHub(t, { path: `${dir}/old`, term: 1 });
  const edge = await startEdge(t, [`unix:${dir}/old`, `unix:${dir}/new`]);
  await until(() => old.server.edges()[0]?.state === 'open');
  const client = await clientAt(t, edge.url);
  const next = await startHub(t, { path: `${dir}/new`, term: 2 });
  t.equal((await client.closed).code, 4202, 'the client is told to come again');
  await until(() => next.server.edges()[0]?.state === 'open');
  const back = await clientAt(t, edge.url);
  t.equal(back.welcome.resumed, false);
  t.equal(next.server.stats().connections, 1);
  t.equal(old.server.stats().connections, 0);
});

t.test('two edges of one process share a port, where the engine can', { skip: engine === 'ws' }, async (t) => {
  const { transport } = edgesHere({ engine, count: 2 });
  const s = await startOpen(t, { transport });
  const clients = await Promise.all(Array.from({ length: 40 }, () => s.client()));
  await until(() => s.server.edges().length === 2 && s.server.stats().connections === 40);
  for (const client of clients) await client.subscribe('chat:1');
  await s.server.publish('chat:1', 'notice', 'all');
  for (const client of clients) await client.event('chat:1', 'notice', 1);
  const counts = s.server.edges().map(({ connections }) => connections);
  t.ok(
    counts.every((count) => count > 0),
    `the kernel shares them out: ${counts.join(', ')}`,
  );
});
