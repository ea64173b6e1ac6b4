/**
 * Memory: n sessions that have each joined a room of ten, and then idle. The figures are what the
 * server's process grew by for each of them, collected, beyond a quarter as many that were there
 * before: so what code needs once it runs is in neither. rssOverNoneBytes has it: the growth over
 * the process without any, for each of all sessions. The kernel's socket buffers are in nothing.
 */
import { among, compete, fits, type Contest, type Suite } from '../contest.js';
import { joinWire } from '../load/requests.js';
import type { Wire } from '../load/wires.js';
import type { PeerProcess } from '../peer-process.js';
import type { Usage } from '../peers/peer.js';
import type { Cell, Row } from '../result.js';

const MEMBERS = 10;

export async function memory(suite: Suite): Promise<Row[]> {
  const n = suite.clients;
  const first = Math.ceil(n / 4);
  if (!fits(suite, 'memory', first + n)) return [];
  return compete(suite, {
    work: 'memory',
    contestants: among({ peers: suite.peers, stores: ['memory'] }, ['roomwire', 'uws', 'socket.io', 'socket.io-uws']),
    bytes: 0,
    flags: ['--expose-gc'],
    label: `memory n=${n}`,
    seconds: 1 + n / 2500,
    turn: idle(n, { work: 'memory', n, w: 0, bytes: 0 }),
  });
}

/** What n sessions cost the server, beyond a quarter as many: a sample of `cell`. */
export function idle(n: number, cell: Cell): Contest['turn'] {
  const first = Math.ceil(n / 4);
  return async ({ contestant: { peer }, server, load, sample }) => {
    const wires = await Promise.all(
      Array.from({ length: Math.ceil((first + n) / MEMBERS) }, (_, room) => joinWire(peer, room)),
    );
    const none = await settled(server);
    await load.connect(first, (i) => wires[Math.floor(i / MEMBERS)] as Wire);
    const before = await settled(server);
    await load.connect(n, (i) => wires[Math.floor((first + i) / MEMBERS)] as Wire);
    const after = await settled(server);
    const more = {
      rssPerSessionBytes: (after.rss - before.rss) / n,
      heapPerSessionBytes: (after.heap - before.heap) / n,
      rssOverNoneBytes: (after.rss - none.rss) / (first + n),
    };
    const nothing = { perSecond: null, cpuNanoseconds: null, p50Ms: null, p99Ms: null, wireBytes: null, load: null };
    sample(cell, { ...nothing, windows: 0, deliveries: n, more });
  };
}

/** Two collections: what the first frees may let go of more. */
async function settled(server: PeerProcess): Promise<Usage> {
  await server.rest();
  await server.usage();
  return server.usage();
}
