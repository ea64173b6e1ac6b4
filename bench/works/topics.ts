/**
 * Whether the number of topics costs anything: ten connections, each in all of n topics; events to
 * topics at random, each in a tick of its own (w is 1), 64 of them a window. Every topic has had an
 * event before. Latency is from the command to the last delivery of a window. setupMs: from the
 * first connect to the last subscription's answer; rssPerSubscriptionBytes: what the server's memory
 * grew by then.
 */
import { among, compete, fits, type Suite } from '../contest.js';
import { wireOf } from '../load/wires.js';
import type { Row } from '../result.js';
import { WITH_TOPICS } from './rooms.js';

const COUNTS = [1, 100, 10_000, 100_000];
const CONNECTIONS = 10;
const EVENTS = 64;
/** Before the measurement every topic gets an event, so many in a tick: a topic's first one costs more. */
const AT_ONCE = 1000;
/** The most topics per client of the command line, so that few clients make a small work. */
const PER_CLIENT = 10;

export async function topics(suite: Suite): Promise<Row[]> {
  const bytes = suite.bytes[0] as number;
  const rows: Row[] = [];
  if (!fits(suite, 'topics', CONNECTIONS)) return rows;
  for (const n of COUNTS.filter((count) => count === 1 || count <= suite.clients * PER_CLIENT)) {
    const all = Array.from({ length: n }, (_, i) => i);
    const window = { order: { publish: EVENTS, random: n, apart: true }, deliveries: EVENTS * CONNECTIONS };
    rows.push(
      ...(await compete(suite, {
        work: 'topics',
        contestants: among(suite, WITH_TOPICS),
        bytes,
        flags: ['--expose-gc'],
        label: `topics n=${n}`,
        seconds: 1.25 * suite.seconds + n / 12_000,
        async turn({ contestant: { peer }, server, load, time, sample }) {
          const wire = await wireOf(peer, bytes, all);
          const { rss } = await server.usage();
          const start = performance.now();
          await load.connect(CONNECTIONS, () => wire);
          const setupMs = performance.now() - start;
          const grown = (await server.usage()).rss - rss;
          for (let first = 0; first < n; first += AT_ONCE) {
            const some = all.slice(first, first + AT_ONCE);
            await load.run([{ order: { publish: 1, topics: some }, deliveries: some.length * CONNECTIONS }], 0);
          }
          const timed = await time((seconds) => load.run([window], seconds));
          load.checkEqual();
          const more = { setupMs, rssPerSubscriptionBytes: grown / (n * CONNECTIONS) };
          sample({ work: 'topics', n, w: 1, bytes }, { ...timed, more });
        },
      })),
    );
  }
  return rows;
}
