/** A server that is asked to stop while a thousand clients are there, and another that takes its place. */
import t from 'tap';
import { freePort } from '../support/free-port.js';
import { createServer } from '../../src/server/server.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { check } from '../chaos/checker.js';
import { Recorder } from '../chaos/recorder.js';
import { engine, openContract } from '../support/server.js';
import { until } from '../support/until.js';
import { suiteTransport } from '../support/edge.js';

const CLIENTS = 1_000;
const EVENTS = 300;

t.test('a rolling restart with 1,000 clients loses nothing', async (t) => {
  const path = t.testdir();
  const port = await freePort();
  const start = async () => {
    const server = createServer({
      contract: openContract,
      store: lmdbStore({ path }),
      engine,
      ...suiteTransport({ engine }),
    });
    await server.listen({ port });
    return server;
  };
  let server = await start();
  t.teardown(() => server.close());
  const url = `ws://127.0.0.1:${port}`;
  const recorder = new Recorder();
  t.teardown(() => recorder.closeAll());
  const open = async (instance: string) => {
    const client = recorder.connect(instance, url, { instance, backoff: { baseMs: 50, maxMs: 500 } });
    const topic = client.subscribe('chat:1');
    recorder.note({ kind: 'begin', who: instance, topic: topic.topic });
    recorder.hear(instance, topic);
    await topic.ready;
    return topic;
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, i) => open(`client ${i}`)));
  const publisher = await open('publisher');
  let restart: Promise<void> | undefined;
  for (let n = 1; n <= EVENTS; n++) {
    // In the middle of it, with a publish under way.
    if (n === EVENTS / 3) {
      recorder.note({ kind: 'server', forgets: false });
      restart = server.close({ spreadMs: 300 }).then(async () => {
        server = await start();
      });
    }
    const options = { key: `event ${n}`, timeoutMs: 60_000 };
    const { epoch, offset } = await recorder.publish('publisher', publisher, 'message', n, options);
    if (n === EVENTS) recorder.note({ kind: 'head', topic: publisher.topic, at: [epoch, offset] });
  }
  await restart;
  await until(() => recorder.heard >= (CLIENTS + 1) * EVENTS);
  const { complaints, resets, deliveries } = check(recorder.history);
  t.strictSame(complaints, [], 'each client has every event once and in order');
  t.match({ resets, deliveries }, { resets: 0, deliveries: (CLIENTS + 1) * EVENTS }, 'and nobody had to refetch');
});
