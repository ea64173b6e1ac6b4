/** A server that is asked to stop while a thousand clients are there, and another that takes its place. */
import t from 'tap';
import { freePort } from '../support/free-port.js';
import { connect } from '../../src/client/node.js';
import { createServer } from '../../src/server/server.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { engine, openContract } from '../support/server.js';
import { until } from '../support/until.js';

const CLIENTS = 1_000;
const EVENTS = 300;

t.test('a rolling restart with 1,000 clients loses nothing', async (t) => {
  const path = t.testdir();
  const port = await freePort();
  const start = async () => {
    const server = createServer({ contract: openContract, store: lmdbStore({ path }), engine });
    await server.listen({ port });
    return server;
  };
  let server = await start();
  t.teardown(() => server.close());
  const url = `ws://127.0.0.1:${port}`;
  const open = (instance: string) => {
    const client = connect<typeof openContract>(url, { instance, backoff: { baseMs: 50, maxMs: 500 } });
    t.teardown(() => client.close());
    return client;
  };
  const seen: number[][] = [];
  const told: string[] = [];
  const clients = Array.from({ length: CLIENTS }, (_, i) => open(`client ${i}`));
  await Promise.all(
    clients.map(async (client) => {
      const events: number[] = [];
      seen.push(events);
      const topic = client.subscribe('chat:1');
      topic.on('message', (n) => events.push(n as number));
      topic.on('reset', ({ reason }) => told.push(`reset: ${reason}`));
      topic.on('removed', ({ reason }) => told.push(`removed: ${reason}`));
      await topic.ready;
    }),
  );
  const publisher = open('publisher');
  await publisher.subscribe('chat:1').ready;
  let restart: Promise<void> | undefined;
  for (let n = 1; n <= EVENTS; n++) {
    // In the middle of it, with a publish under way.
    if (n === EVENTS / 3) {
      restart = server.close({ spreadMs: 300 }).then(async () => {
        server = await start();
      });
    }
    await publisher.publish('chat:1', 'message', n, { key: `event ${n}`, timeoutMs: 60_000 });
  }
  await restart;
  await until(() => seen.every((events) => events.length >= EVENTS));
  const wanted = Array.from({ length: EVENTS }, (_, i) => i + 1);
  const wrong = seen.filter((events) => JSON.stringify(events) !== JSON.stringify(wanted));
  t.equal(wrong.length, 0, 'each client has every event once and in order');
  t.strictSame(told, [], 'and nobody had to refetch');
});
