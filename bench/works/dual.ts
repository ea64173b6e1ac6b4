/**
 * One update to two topics, of n subscribers: all of them in both topics, or half of them in each
 * ("apart"). "One tick" publishes it to both at once; "two broadcasts" to one, and when everyone has
 * it to the other. w is 1; latency is from the command to the last delivery of a window.
 */
import { among, compete, fits, type Suite } from '../contest.js';
import type { Window } from '../load/generator.js';
import { wireOf } from '../load/wires.js';
import type { Row } from '../result.js';

/** Subscribers: a thousand, or what the command line has instead. */
export function subscribersOf({ n }: Suite): number {
  return n.includes(1000) ? 1000 : Math.min(...n);
}

export async function dual(suite: Suite): Promise<Row[]> {
  // Two halves.
  const n = Math.max(2, subscribersOf(suite) & ~1);
  const bytes = suite.bytes[0] as number;
  if (!fits(suite, 'dual', n)) return [];
  const rows: Row[] = [];
  for (const people of ['both', 'apart'] as const) {
    const deliveries = people === 'both' ? 2 * n : n;
    const oneTick: Window[] = [{ order: { publish: 1, topics: [0, 1] }, deliveries }];
    const broadcasts: Window[] = [0, 1].map((topic) => ({
      order: { publish: 1, topics: [topic] },
      deliveries: deliveries / 2,
    }));
    rows.push(
      ...(await compete(suite, {
        work: 'dual',
        contestants: among(suite, ['roomwire', 'uws']),
        bytes,
        label: `dual ${people}`,
        seconds: 2.5 * suite.seconds,
        async turn({ contestant: { peer }, load, measure }) {
          const wires = await Promise.all(
            (people === 'both' ? [[0, 1]] : [[0], [1]]).map((topics) => wireOf(peer, bytes, topics)),
          );
          await load.connect(n, (i) => wires[Math.floor((i * wires.length) / n)] as (typeof wires)[number]);
          const cell = { work: 'dual', n, w: 1, bytes } as const;
          await measure({ ...cell, variant: `${people}, one tick` }, oneTick);
          await measure({ ...cell, variant: `${people}, two broadcasts` }, broadcasts);
          load.checkEqual(0, n / wires.length);
          load.checkEqual(n - n / wires.length);
        },
      })),
    );
  }
  return rows;
}
