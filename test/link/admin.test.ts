/** What administrators see and do of edges: over HTTP, in metrics, and of each session. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { startEdge, startHub } from '../support/hub.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';

const plugins = [http()];

t.test('an edge is in /api/edges, in /metrics, and named for each session that it carries', async (t) => {
  const hub = await startHub(t, { plugins });
  const edge = await startEdge(t, hub.address, { name: 'far' });
  await until(() => hub.server.edges()[0]?.state === 'open');
  const [far, near] = [new WireClient(edge.url), await hub.client()];
  t.teardown(() => far.cut());
  await far.hello();
  await far.subscribe('chat:1');
  await near.subscribe('chat:1');
  const { offset } = await far.publish('chat:1', 'message', 1);
  const ask = async (path: string) => (await fetch(`${edge.http}${path}`)).json() as Promise<Record<string, unknown>>;
  t.match(await ask('/api/edges'), {
    edges: [{ name: 'far', state: 'open', connections: 1, engine: { package: String } }],
  });
  const { subscribers } = (await ask('/api/topics/chat:1')) as { subscribers: { edge: string | null; user: string }[] };
  t.strictSame(subscribers.map((one) => one.edge).sort(), ['far', null].sort());
  const { user } = subscribers.find((one) => one.edge === 'far') as { user: string };
  t.match(await ask(`/api/topics/chat:1/why?offset=${offset}&user=${encodeURIComponent(user)}`), {
    sessions: [{ edge: 'far' }],
  });
  const metrics = await (await fetch(`${hub.http}/metrics`)).text();
  t.match(metrics, /^roomwire_edge_connections\{edge="far"\} 1$/m);
  t.match(metrics, /^roomwire_edge_in_flight_bytes\{edge="far"\} \d+$/m);
  await until(() => (hub.server.edges()[0]?.rssBytes ?? 0) > 0, 'the edge tells its gauges');
  t.equal((await fetch(`${hub.http}/api/edges/none/drain`, { method: 'POST' })).status, 404);
  const drained = await fetch(`${hub.http}/api/edges/far/drain?spreadMs=1500`, { method: 'POST' });
  t.strictSame(await drained.json(), { told: 1 });
  t.equal((await far.closed).code, 4202);
  t.equal(far.frames.at(-1)?.[3], 1_500);
  await edge.close();
  await until(() => hub.server.edges().length === 0);
  t.notMatch(await (await fetch(`${hub.http}/metrics`)).text(), /edge="far"/, 'its series end with it');
});

t.test('a single process has no edges', async (t) => {
  const hub = await startHub(t, { transport: undefined, plugins });
  t.strictSame(await (await fetch(`${hub.http}/api/edges`)).json(), { edges: [] });
  t.equal(hub.server.drainEdge('any'), false);
});

t.test('the probe passes through an edge, and under no limit', async (t) => {
  const hub = await startHub(t, { plugins, admission: { connections: 2 } });
  const edge = await startEdge(t, hub.address);
  await until(() => hub.server.edges()[0]?.state === 'open');
  for (const { http: at } of [hub, edge])
    t.match(await (await fetch(`${at}/health/delivery`)).json(), { status: 'ok' });
});
