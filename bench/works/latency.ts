/**
 * Publish → delivery: a member of a room publishes, all n members are to hear it; about a thousand
 * connections in all, the rooms in turn. "16 under way" is a closed loop: its events a second are
 * the rate that was reached. Then an open loop, by the clock, at shares of that rate of the
 * contestant's own, and at one rate that is the same for all. Latency is of each delivery, from
 * when its event was due (so a stall counts for all that it held up). `load` is how much of the time
 * the load had something to do, sentLateP99Ms how late it was itself: where that is near p99, p99 is the load's.
 */
import { among, compete, fits, type Suite } from '../contest.js';
import { roomOf } from '../load/requests.js';
import { Speakers, type Room } from '../load/speakers.js';
import { COMMON_RATE, REACHED, SHARES, type Row } from '../result.js';
import { WITH_TOPICS } from './rooms.js';

const SIZES = [10, 100];
const CONNECTIONS = 1_000;
const UNDER_WAY = 16;

export async function latency(suite: Suite): Promise<Row[]> {
  const bytes = suite.bytes[0] as number;
  const seconds = Math.max(suite.seconds, suite.leastSeconds);
  const rows: Row[] = [];
  for (const n of SIZES) {
    const count = Math.max(1, Math.floor(Math.min(CONNECTIONS, suite.clients) / n));
    if (!fits(suite, 'latency', count * n)) continue;
    rows.push(
      ...(await compete(suite, {
        work: 'latency',
        contestants: among(suite, WITH_TOPICS),
        bytes,
        label: `latency n=${n}`,
        seconds: 1.25 * (suite.seconds + (SHARES.length + 1) * seconds),
        async turn({ contestant: { peer }, load, time, sample }) {
          const rooms = await Promise.all(
            Array.from({ length: count }, (_, i): Promise<Room> => roomOf(peer, bytes, i)),
          );
          const speakers = new Speakers(load, rooms, n);
          await speakers.connect();
          const cell = { work: 'latency', n, w: 1, bytes } as const;
          const reached = await time((over) => speakers.saturate(UNDER_WAY, over));
          sample({ ...cell, variant: REACHED }, reached);
          const rates = SHARES.map((share) => [share.name, (share.of * (reached.perSecond as number)) / n] as const);
          for (const [variant, perSecond] of [...rates, [COMMON_RATE.name, COMMON_RATE.perSecond / n] as const]) {
            sample({ ...cell, variant }, await time((over) => speakers.pace(perSecond, over), seconds));
          }
        },
      })),
    );
  }
  return rows;
}
