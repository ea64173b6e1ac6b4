/**
 * Fan-out: n subscribers of one topic, w events in each window. Latency is from the command to the
 * last delivery of a window.
 */
import { contestantsOf } from '../contestants.js';
import { compete, fits, type Suite } from '../contest.js';
import { wireOf } from '../load/wires.js';
import type { Row } from '../result.js';

/** A window that would take longer is not asked for: the smaller ones have told the rate. */
const MAX_WINDOW_SECONDS = 8;

export async function fanout(suite: Suite): Promise<Row[]> {
  const rows: Row[] = [];
  for (const bytes of suite.bytes) {
    for (const n of suite.n) {
      if (!fits(suite, 'fanout', n)) continue;
      rows.push(
        ...(await compete(suite, {
          work: 'fanout',
          contestants: contestantsOf(suite.peers, suite.stores),
          bytes,
          label: `fanout n=${n} ${bytes} B`,
          // Windows of the slow are longer than what is asked for.
          seconds: n / 4000 + suite.w.length * (1.25 * suite.seconds + n / 10_000),
          async turn({ contestant, load, measure }) {
            const wire = await wireOf(contestant.peer, bytes);
            await load.connect(n, () => wire);
            let rate: number | null = null;
            for (const w of suite.w) {
              const deliveries = n * w;
              const seconds = rate === null ? 0 : deliveries / rate;
              if (seconds > MAX_WINDOW_SECONDS) {
                const cell = `fanout ${contestant.peer} n=${n} w=${w} ${bytes} B`;
                suite.progress.say(`SKIPPED ${cell}: a window would take ${Math.round(seconds)} s`);
                continue;
              }
              const window = { order: { publish: w }, deliveries };
              rate = (await measure({ work: 'fanout', n, w, bytes }, [window])).perSecond;
            }
            load.checkEqual();
          },
        })),
      );
    }
  }
  return rows;
}
