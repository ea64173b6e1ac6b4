/**
 * A reconnect storm: n subscribed clients are cut at once, ten events are published while they are
 * away, then all come back at once with their sessions. Rate and CPU are of recoveries (the session
 * resumed, exactly those ten events); latency is from the storm's start to a client's last missed
 * event. calls…: what a bystander's calls took meanwhile. refused: no resume; resets: events lost. To warm up, a quarter of
 * them is cut and comes back before, and then the next.
 */
import { among, compete, fits, type Suite, type Turn } from '../contest.js';
import { Bystander } from '../load/bystander.js';
import { storm, type Windows } from '../load/generator.js';
import { Returning, type Counts } from '../load/returning.js';
import { roomwireGreeting } from '../load/wires.js';
import type { Row } from '../result.js';

const MISSED = 10;

export async function reconnects(suite: Suite): Promise<Row[]> {
  const n = suite.clients;
  const bytes = suite.bytes[0] as number;
  if (!fits(suite, 'reconnects', n + 1)) return [];
  return compete(suite, {
    work: 'reconnects',
    contestants: among(suite, ['roomwire']),
    bytes,
    label: `reconnects n=${n}`,
    seconds: 2 + n / 1000 + suite.warmSeconds,
    async turn({ server, load, warmUp, timeOnce, sample }) {
      const counts: Counts = { recovered: 0, refused: 0, resets: 0 };
      const greeting = await roomwireGreeting([]);
      let clients = Array.from({ length: n }, (_, i) => new Returning(i, greeting, counts));
      await load.connect(n, (i) => (clients[i] as Returning).wire);
      await warmUp(async () => {
        const some = clients.slice(0, Math.ceil(n / 4));
        await comeBack({ server, load }, some, (run) => run());
        // As the generator has them: those who came back last are its last.
        clients = [...clients.slice(some.length), ...some];
      });
      Object.assign(counts, { recovered: 0, refused: 0, resets: 0 });
      const bystander = await Bystander.start(server.port, {});
      try {
        const [timed, seen] = await comeBack({ server, load }, clients, async (run) => {
          bystander.begin();
          return [await timeOnce(run), await bystander.end()] as const;
        });
        const more = {
          ...counts,
          callsP50Ms: seen.p50Ms,
          callsP99Ms: seen.p99Ms,
          callsLongestMs: seen.longestMs,
        };
        sample({ work: 'reconnects', n, w: MISSED, bytes }, { ...timed, more });
      } finally {
        await bystander.close();
      }
    },
  });
}

/** Cuts those clients, which are the generator's first, publishes, and lets them return in a storm. */
async function comeBack<T>(
  { server, load }: Pick<Turn, 'server' | 'load'>,
  clients: readonly Returning[],
  measure: (run: () => Promise<Windows>) => Promise<T>,
): Promise<T> {
  load.close(clients.length);
  await server.rest();
  server.send({ publish: MISSED });
  await server.rest();
  const measured = await measure(() =>
    storm(async (recovered) => {
      const all = Promise.all(clients.map((client) => client.return(MISSED, recovered)));
      await load.connect(clients.length, (i) => (clients[i] as Returning).wire, { storm: true });
      await load.watch.within(all, () => 'recovering');
    }),
  );
  // The stream goes on, with nothing twice: the next event is the next one for everybody.
  await load.run([{ order: { publish: 1 }, deliveries: load.subscribers.length }], 0);
  return measured;
}
