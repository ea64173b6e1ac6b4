/**
 * Storms: n clients at once, as fast as they are let in, a hundred to a topic or room. `connects`:
 * each connects and subscribes a plain topic, the same for every peer. `joins`: each connects and
 * joins a room; it is told who is in it, and they are told of it. What has no members of its own has the handler
 * that its users write (peers/members.ts). Rate and CPU are of clients; latency is from the storm's
 * start to a client's answer. A quarter as many come to others before, to warm up, and leave, in storms one after the other.
 */
import { among, compete, fits, type Suite } from '../contest.js';
import { Generator, storm } from '../load/generator.js';
import { joinWire } from '../load/requests.js';
import { deafWire, wireOf, type Wire } from '../load/wires.js';
import type { Peer } from '../contestants.js';
import type { Row } from '../result.js';
import { WITH_TOPICS } from './rooms.js';

const MEMBERS = 100;

interface Storm {
  readonly work: 'connects' | 'joins';
  readonly peers: readonly Peer[];
  /** `joined` hears how many were there, where that is told. */
  readonly wire: (peer: Peer, topic: number, joined: (members: number) => void) => Promise<Wire>;
  readonly lists: boolean;
}

export const connects = (suite: Suite): Promise<Row[]> =>
  storms(suite, {
    work: 'connects',
    peers: WITH_TOPICS,
    wire: async (peer, topic) => deafWire(await wireOf(peer, 1, [topic])),
    lists: false,
  });

export const joins = (suite: Suite): Promise<Row[]> =>
  storms(suite, {
    work: 'joins',
    peers: ['roomwire', 'uws', 'ws', 'socket.io', 'socket.io-uws'],
    wire: joinWire,
    lists: true,
  });

async function storms(suite: Suite, { work, peers, wire, lists }: Storm): Promise<Row[]> {
  const n = suite.clients;
  if (!fits(suite, work, n)) return [];
  const topics = Math.ceil(n / MEMBERS);
  return compete(suite, {
    work,
    contestants: among(suite, peers),
    bytes: 0,
    label: `${work} n=${n}`,
    seconds: 0.5 + n / 2500 + suite.warmSeconds,
    async turn({ contestant: { peer }, server, load, warmUp, timeOnce, sample }) {
      /** How many each room had at most. */
      const members = new Float64Array(topics);
      const wires = await Promise.all(
        Array.from({ length: 2 * topics }, (_, topic) =>
          wire(peer, topic, (count) => (members[topic % topics] = Math.max(count, members[topic % topics] as number))),
        ),
      );
      await warmUp(async () => {
        const others = new Generator(server);
        try {
          await others.connect(Math.ceil(n / 4), (i) => wires[topics + Math.floor(i / MEMBERS)] as Wire, {
            storm: true,
          });
        } finally {
          others.close();
        }
        // What their going costs is not to be part of the next storm.
        await server.rest();
      });
      members.fill(0);
      const timed = await timeOnce(() =>
        storm((done) => load.connect(n, (i) => wires[Math.floor(i / MEMBERS)] as Wire, { storm: true, ready: done })),
      );
      const full = members.every((count, room) => count === Math.min(MEMBERS, n - room * MEMBERS));
      if (lists && !full) throw new Error('a room does not have all who joined it');
      await server.rest();
      // What members are told after their own answer.
      const more = lists ? { more: { toldBytes: load.wireBytes / n } } : {};
      sample({ work, n, w: 1, bytes: 0 }, { ...timed, ...more });
    },
  });
}
