/**
 * Calls: n clients, each with one call under way, in a closed loop. The server gives back what it
 * got: roomwire a call of the contract, Socket.IO an emit with acknowledgement, uws and ws the
 * message. Rate, CPU, wire bytes and latency are those of one call; latency is from its send to its
 * answer.
 */
import { among, compete, fits, type Suite } from '../contest.js';
import { Callers } from '../load/caller.js';
import { echoOf } from '../load/requests.js';
import type { Row } from '../result.js';

const CLIENTS = 100;

export async function calls(suite: Suite): Promise<Row[]> {
  const n = Math.min(CLIENTS, suite.clients);
  const bytes = suite.bytes[0] as number;
  if (!fits(suite, 'calls', n)) return [];
  return compete(suite, {
    work: 'calls',
    contestants: among(suite, ['roomwire', 'uws', 'ws', 'socket.io', 'socket.io-uws']),
    bytes,
    label: `calls n=${n}`,
    seconds: 1.25 * suite.seconds,
    async turn({ contestant: { peer }, server, time, sample }) {
      const exchange = await echoOf(peer, bytes);
      const callers = new Callers(server);
      try {
        await callers.connect(n, () => exchange);
        sample({ work: 'calls', n, w: 1, bytes }, await time((seconds) => callers.run(seconds)));
      } finally {
        callers.close();
      }
    },
  });
}
