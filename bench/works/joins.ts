/**
 * A join storm: n clients connect and join a room at once (as fast as they are let in), a hundred
 * members to a room. Rate and CPU are of joins; latency is from the storm's start to a client's
 * answer. A quarter as many joined other rooms before, to warm up, and left.
 */
import { among, compete, fits, type Suite } from '../contest.js';
import { Generator, storm } from '../load/generator.js';
import { joinWire } from '../load/requests.js';
import type { Wire } from '../load/wires.js';
import type { Row } from '../result.js';

const MEMBERS = 100;

export async function joins(suite: Suite): Promise<Row[]> {
  const n = suite.clients;
  if (!fits(suite, 'joins', n)) return [];
  const rooms = Math.ceil(n / MEMBERS);
  return compete(suite, {
    work: 'joins',
    contestants: among(suite, ['roomwire', 'uws', 'socket.io', 'socket.io-uws']),
    bytes: 0,
    label: `joins n=${n}`,
    async turn({ contestant: { peer }, server, load, timeOnce, sample }) {
      /** How many each room had at most. */
      const members = new Float64Array(rooms);
      const wires = await Promise.all(
        Array.from({ length: 2 * rooms }, (_, room) =>
          joinWire(peer, room, (count) => (members[room % rooms] = Math.max(count, members[room % rooms] as number))),
        ),
      );
      const warm = new Generator(server);
      try {
        await warm.connect(Math.ceil(n / 4), (i) => wires[rooms + Math.floor(i / MEMBERS)] as Wire);
      } finally {
        warm.close();
      }
      await server.rest();
      members.fill(0);
      const timed = await timeOnce(() =>
        storm((done) => load.connect(n, (i) => wires[Math.floor(i / MEMBERS)] as Wire, { storm: true, ready: done })),
      );
      const full = members.every((count, room) => count === Math.min(MEMBERS, n - room * MEMBERS));
      if (peer === 'roomwire' && !full) throw new Error('a room does not have all who joined it');
      sample({ work: 'joins', n, w: 1, bytes: 0 }, timed);
    },
  });
}
