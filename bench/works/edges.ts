/**
 * One server whose connections it holds itself, and the same behind one and two edges: fan-out to n subscribers, calls one
 * at a time (its latency) and many at once, and what a session costs the hub; then events beside HTTP (beside-http.ts). `CPU ns` is the hub's, a delivery or call; that of the edges stands beside it.
 * All of these processes share the server's core: rates say what all of it costs, not what more cores would give.
 */
import { existsSync } from 'node:fs';
import { compete, fits, type Suite } from '../contest.js';
import { Callers } from '../load/caller.js';
import { echoOf } from '../load/requests.js';
import { wireOf } from '../load/wires.js';
import type { Row } from '../result.js';
import { besideHttp } from './beside-http.js';
import { idle } from './memory.js';

const SUBSCRIBERS = 4_000;
/** Many first: a lone one would time how its servers are compiled. */
const CALLERS = [100, 1];
const WINDOWS = [1, 32];

export async function edges(suite: Suite): Promise<Row[]> {
  const n = Math.min(SUBSCRIBERS, suite.clients);
  const bytes = suite.bytes[0] as number;
  if (!suite.peers.includes('roomwire') || !fits(suite, 'edges', n)) return [];
  if (!existsSync('/proc/self/task')) {
    if (!suite.planning) suite.progress.say('SKIPPED edges: their CPU time is read from /proc');
    return [];
  }
  const rows: Row[] = [];
  for (const count of [0, 1, 2]) {
    const how = count === 0 ? 'direct' : count === 1 ? '1 edge' : `${count} edges`;
    const contest = {
      work: 'edges',
      contestants: [{ peer: 'roomwire', store: 'memory' }],
      bytes,
      edges: count,
    } as const;
    rows.push(
      ...(await compete(suite, {
        ...contest,
        label: `edges, fan-out, ${how}`,
        seconds: n / 4000 + WINDOWS.length * 1.25 * suite.seconds,
        async turn({ contestant: { peer }, load, measure }) {
          const wire = await wireOf(peer, bytes);
          await load.connect(n, () => wire);
          for (const w of WINDOWS) {
            await measure({ work: 'edges', n, w, bytes, variant: `fan-out, ${how}` }, [
              { order: { publish: w }, deliveries: n * w },
            ]);
          }
          load.checkEqual();
        },
      })),
      ...(await compete(suite, {
        ...contest,
        label: `edges, calls, ${how}`,
        seconds: CALLERS.length * 1.25 * suite.seconds,
        async turn({ contestant: { peer }, server, time, sample }) {
          const exchange = await echoOf(peer, bytes);
          for (const clients of CALLERS) {
            const callers = new Callers(server);
            try {
              await callers.connect(clients, () => exchange);
              const cell = { work: 'edges', n: clients, w: 1, bytes, variant: `calls, ${how}` } as const;
              sample(cell, await time((seconds) => callers.run(seconds)));
            } finally {
              callers.close();
            }
          }
        },
      })),
      ...(await compete(suite, {
        ...contest,
        label: `edges, sessions, ${how}`,
        flags: ['--expose-gc'],
        seconds: 1 + n / 2500,
        turn: idle({ n }, { work: 'edges', n, w: 0, bytes: 0, variant: `sessions, ${how}` }),
      })),
    );
  }
  return [...rows, ...(await besideHttp(suite, bytes))];
}
