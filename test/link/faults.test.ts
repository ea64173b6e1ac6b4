/** What a link suffers, its clients do not: faults on the way between hub and edges, an edge that stops, an edge that dies with thousands. */
import t from 'tap';
import { dial, readAddress } from '../../src/link/address.js';
import { Op, pack, VERSIONS } from '../../src/link/frames.js';
import { environmentSeed } from '../random.js';
import { runChain } from '../chaos/chain.js';
import { startEdge, startHub } from '../support/hub.js';
import { engine, storeName } from '../support/server.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';
import { frame } from './frame.js';

t.setTimeout(240_000);

const store = storeName === 'lmdb' ? 'lmdb' : 'memory';

t.test(
  'through a link that is cut, stalled and split at any byte, and a hub that is killed, nothing is lost or doubled',
  async (t) => {
    const seed = environmentSeed();
    t.comment(`SEED=${seed}`);
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
      restarts: 1,
      strikes: 20,
      edges: 2,
    });
    const { deliveries, acknowledged, lost, doubled, complaints, resets, did, seconds } = result;
    t.comment(`${deliveries} deliveries, ${acknowledged} acknowledged, ${resets} resets, ${seconds.toFixed(1)} s`, did);
    t.strictSame(complaints, [], `SEED=${seed}`);
    t.match({ lost, doubled }, { lost: 0, doubled: 0 });
    if (store === 'lmdb') t.equal(resets, 0);
  },
);

t.test(
  'an edge that stops reading costs the hub its window; the others wait for nothing, and its clients get all or a RESET',
  async (t) => {
    const hub = await startHub(t, { limits: { historyBytes: 64 * 1024 * 1024 } });
    let paused = (): void => undefined;
    let resumed = (): void => undefined;
    const stopping = {
      text: 'the hub',
      async dial() {
        const socket = await dial(readAddress(hub.address), {});
        paused = () => void socket.pause();
        resumed = () => void socket.resume();
        return socket;
      },
    };
    // As a worker, which does not give its hub up for a silence: how long this one lasts, the store and the machine say.
    const slow = await startEdge(t, [], { name: 'slow', hubs: [stopping], isOwned: true });
    const quick = await startEdge(t, hub.address, { name: 'quick' });
    await until(() => hub.server.edges().filter(({ state }) => state === 'open').length === 2);
    const [stopped, reading] = [new WireClient(slow.url), new WireClient(quick.url)];
    t.teardown(() => [stopped, reading].forEach((client) => client.cut()));
    for (const client of [stopped, reading]) {
      await client.hello();
      await client.subscribe('chat:1');
    }
    paused();
    const count = 120;
    for (let i = 0; i < count; i++) await hub.server.publish('chat:1', 'notice', 'x'.repeat(200_000));
    await reading.event('chat:1', 'notice', count);
    const held = hub.server.edges().find(({ name }) => name === 'slow')?.inFlightBytes ?? 0;
    t.ok(held <= 9 * 1024 * 1024, `${held} bytes are under way`);
    t.ok(stopped.events('chat:1').length < count);
    resumed();
    await until(() => stopped.events('chat:1').at(-1)?.[0] === count, 'it caught up');
    const offsets = stopped.events('chat:1').map(([offset]) => offset);
    t.strictSame(
      offsets,
      Array.from({ length: count }, (_, i) => i + 1),
      'all, once, in order',
    );
  },
);

t.test('ten thousand connections of an edge that dies are closed over many turns', async (t) => {
  const MANY = 10_000;
  const hub = await startHub(t, { admission: { connections: 0 }, limits: { helloMs: 600_000 } });
  const socket = await dial(readAddress(hub.address), {});
  const name = { name: 'ws', package: 'ws', version: '8', origin: 'official' };
  const info = {
    address: '127.0.0.1',
    path: '/',
    query: '',
    authorization: '',
    origin: '',
    host: '',
    userAgent: '',
    subprotocols: ['roomwire.v1'],
  };
  socket.write(
    frame(
      Op.JOIN,
      0,
      pack({ versions: VERSIONS, name: 'many', run: 'r', package: '0', engine: name, host: '127.0.0.1' }),
    ),
  );
  socket.write(Buffer.concat(Array.from({ length: MANY }, (_, i) => frame(Op.OPEN, i + 1, pack(info)))));
  await until(() => hub.server.stats().connections === MANY);
  socket.destroy();
  await until(() => hub.server.stats().connections < MANY);
  let turns = 0;
  await until(() => ++turns > 0 && hub.server.stats().connections === 0);
  t.ok(turns > 2, `${turns} turns`);
  const client = await hub.client();
  t.equal(await client.call('echo', 1), 1);
});

t.test(
  'a client that does not read, behind an edge: told to stop, fed when it reads, and nothing is discarded',
  async (t) => {
    const hub = await startHub(t, { limits: { historyBytes: 64 * 1024 * 1024 } });
    const edge = await startEdge(t, hub.address);
    await until(() => hub.server.edges()[0]?.state === 'open');
    const [stalled, reading] = [new WireClient(edge.url), new WireClient(edge.url)];
    t.teardown(() => [stalled, reading].forEach((client) => client.cut()));
    for (const client of [stalled, reading]) {
      await client.hello();
      await client.subscribe('chat:1');
    }
    stalled.socket.pause();
    const count = 150;
    for (let i = 0; i < count; i++) await hub.server.publish('chat:1', 'notice', 'x'.repeat(200_000));
    await reading.event('chat:1', 'notice', count);
    await until(() => hub.server.stats().stalled === 1, 'the hub knows');
    stalled.socket.resume();
    await until(() => stalled.events('chat:1').at(-1)?.[0] === count, 'it caught up');
    t.equal(stalled.events('chat:1').length, count);
  },
);
