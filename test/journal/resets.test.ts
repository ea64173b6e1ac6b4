/** A log that lost something is told to clients: for each damage one RESET a topic, in a new epoch, and then they go on. */
import t from 'tap';
import { WebSocket } from 'ws';
import { connect } from '../../src/client/node.js';
import { replicatedStore } from '../../src/journal/replicated.js';
import { writeRecord } from '../../src/journal/records.js';
import { createServer } from '../../src/server/server.js';
import { keptStore } from '../support/kept-store.js';
import { MemoryEngine } from '../support/memory-journal.js';
import { hastyTime } from '../support/replicated.js';
import { collectingLog, engine as transport, openContract } from '../support/server.js';
import { until } from '../support/until.js';

const TOPICS = ['chat:0', 'chat:1', 'chat:2'];
const BEAT = writeRecord({ kind: 'beat', term: 1, time: 1 });
const damages: Readonly<Record<string, (engine: MemoryEngine) => void>> = {
  'lost its last record': (engine) => engine.loseEnd(1),
  'lost more': (engine) => engine.loseEnd(5),
  'was rewritten': (engine) => engine.rewriteEnd(3),
  'went on elsewhere': (engine) => engine.fork(2, [BEAT, BEAT, BEAT, BEAT]),
  'lost all': (engine) => engine.loseEnd(engine.state.head),
  'was made anew': (engine) => engine.replace(),
};

void t.test('clients of a log that', async (t) => {
  const engine = new MemoryEngine();
  const disk = keptStore();
  const start = async () => {
    let lost = false;
    const server = createServer({
      contract: openContract,
      store: replicatedStore(disk, () => engine.journal(), { node: 'a', time: hastyTime, leaseMs: 300 }),
      engine: transport,
      log: collectingLog(),
      deposed: () => (lost = true),
    });
    const { port } = await server.listen({ port: 0 });
    return { server, port, isLost: () => lost };
  };
  let node = await start();
  t.teardown(() => node.server.close());
  class Anywhere extends WebSocket {
    constructor(_: string, protocols: string[]) {
      super(`ws://127.0.0.1:${node.port}`, protocols);
    }
  }
  const options = { instance: 'one', WebSocket: Anywhere, backoff: { baseMs: 5, maxMs: 50 }, onError: () => undefined };
  const client = connect('ws://127.0.0.1:1', options);
  t.teardown(() => client.close());
  const streams = TOPICS.map((name) => client.subscribe(name));
  const heard = TOPICS.map(() => ({ resets: 0, epochs: new Set<string>(), events: 0 }));
  for (const [i, stream] of streams.entries()) {
    const own = heard[i] as (typeof heard)[number];
    stream.on('*', () => own.events++);
    stream.on('reset', ({ position: [epoch] }) => {
      own.resets++;
      own.epochs.add(epoch);
    });
    await stream.ready;
  }
  const publish = async (): Promise<void> => {
    const before = heard.map(({ events }) => events);
    for (const stream of streams) await stream.publish('message', 'hi');
    await until(() => heard.every(({ events }, i) => events === (before[i] as number) + 1), 'all hear it');
  };
  await publish();
  let done = 0;
  for (const [what, damage] of Object.entries(damages)) {
    await t.test(`${what} get one RESET a topic`, async (t) => {
      await publish();
      damage(engine);
      await until(node.isLost, 'the hub ends');
      await node.server.close();
      node = await start();
      done++;
      await until(() => heard.every(({ resets }) => resets >= done), 'a RESET of each topic');
      await publish();
      t.strictSame(
        heard.map(({ resets, epochs }) => [resets, epochs.size]),
        TOPICS.map(() => [done, done]),
      );
    });
  }
});
