/**
 * Memory: n sessions that have each joined a room of ten, and then idle. The figures are what the
 * server's process grew by for each of them, collected, beyond a quarter as many that were there
 * before: so what code needs once it runs is in neither. rssOverNoneBytes has it: the growth over
 * the process without any, for each of all sessions. The kernel's socket buffers are in nothing.
 * soaked…: the same sessions after `--soak` seconds, in which others come into rooms of their own, are told to each other,
 * and leave, a hundred at a time.
 */
import { among, compete, fits, type Contest, type Suite } from '../contest.js';
import { Generator } from '../load/generator.js';
import { joinWire } from '../load/requests.js';
import type { Wire } from '../load/wires.js';
import type { PeerProcess } from '../peer-process.js';
import type { Usage } from '../peers/peer.js';
import type { Cell, Row } from '../result.js';

const MEMBERS = 10;
/** Who come and go at a time. */
const OTHERS = 100;
/** How the growth by a session is called. */
const FIGURES = ['rssPerSessionBytes', 'heapPerSessionBytes'] as const;
const SOAKED = ['soakedRssPerSessionBytes', 'soakedHeapPerSessionBytes'] as const;

export async function memory(suite: Suite): Promise<Row[]> {
  const n = suite.clients;
  const first = Math.ceil(n / 4);
  const soak = suite.soakSeconds;
  if (!fits(suite, 'memory', first + n + OTHERS)) return [];
  return compete(suite, {
    work: 'memory',
    contestants: among({ peers: suite.peers, stores: ['memory'] }, ['roomwire', 'uws', 'socket.io', 'socket.io-uws']),
    bytes: 0,
    flags: ['--expose-gc'],
    label: `memory n=${n}`,
    seconds: 1 + n / 2500 + soak,
    turn: idle({ n, soak }, { work: 'memory', n, w: 0, bytes: 0 }),
  });
}

/** What n sessions cost the server, beyond a quarter as many, and again after `soak` seconds: a sample of `cell`. */
export function idle({ n, soak = 0 }: { readonly n: number; readonly soak?: number }, cell: Cell): Contest['turn'] {
  const first = Math.ceil(n / 4);
  return async ({ contestant: { peer }, server, load, sample }) => {
    const wires = await Promise.all(
      Array.from({ length: Math.ceil((first + n) / MEMBERS) }, (_, room) => joinWire(peer, room)),
    );
    const others = await Promise.all(
      Array.from({ length: OTHERS / MEMBERS }, (_, room) => joinWire(peer, wires.length + room)),
    );
    const none = await settled(server);
    // What rooms keep of comings and goings is theirs, not the sessions'.
    if (soak > 0) await comeAndGo(server, others, { seconds: soak / 4, most: FILLING });
    await load.connect(first, (i) => wires[Math.floor(i / MEMBERS)] as Wire);
    const before = await settled(server);
    await load.connect(n, (i) => wires[Math.floor((first + i) / MEMBERS)] as Wire);
    const after = await settled(server);
    const grown = (names: readonly [rss: string, heap: string], { rss, heap }: Usage) => ({
      [names[0]]: (rss - before.rss) / n,
      [names[1]]: (heap - before.heap) / n,
    });
    const more = {
      ...grown(FIGURES, after),
      rssOverNoneBytes: (after.rss - none.rss) / (first + n),
      ...(soak > 0 ? grown(SOAKED, await comeAndGo(server, others, { seconds: soak })) : {}),
    };
    const nothing = { perSecond: null, cpuNanoseconds: null, p50Ms: null, p99Ms: null, wireBytes: null, load: null };
    sample(cell, { ...nothing, windows: 0, deliveries: n, more });
  };
}

/** So often others come and go before: then rooms hold as many events, and diagnosis and rates know as many users, as they ever do. */
const FILLING = 125;

/** Others join and leave for so many seconds, or so often; what the process then has without them. */
async function comeAndGo(
  server: PeerProcess,
  wires: readonly Wire[],
  { seconds, most = Infinity }: { readonly seconds: number; readonly most?: number },
): Promise<Usage> {
  const until = performance.now() + seconds * 1000;
  for (let times = 0; times < most && performance.now() < until; times++) {
    const load = new Generator(server);
    try {
      await load.connect(OTHERS, (i) => wires[Math.floor(i / MEMBERS)] as Wire, { storm: true });
    } finally {
      load.close();
    }
    await server.rest();
  }
  return settled(server);
}

/** Two collections: what the first frees may let go of more. */
async function settled(server: PeerProcess): Promise<Usage> {
  await server.rest();
  await server.usage();
  return server.usage();
}
