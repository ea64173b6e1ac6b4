/**
 * Stalled clients: n readers of a topic, w events a window, alone and beside as many subscribers that
 * have stopped to read. Figures are of the readers' deliveries; rssPerStalledKiB is what the server's
 * memory grew for each stalled client while several MiB were published to it. Without uWebSockets.js:
 * it would hold up to its maxBackpressure for each (here 4 MiB) and drop events after that.
 */
import { among, compete, fits, type Suite } from '../contest.js';
import { wireOf } from '../load/wires.js';
import type { Row } from '../result.js';
import { subscribersOf } from './dual.js';

const EVENTS = 32;
/** Large, so that the kernel's buffers are full soon. */
const BYTES = 1024;
/** Published to each before the measurement. */
const STALLED_BYTES = 8 * 1024 * 1024;

export async function stalled(suite: Suite): Promise<Row[]> {
  const n = subscribersOf(suite);
  if (!fits(suite, 'stalled', 2 * n)) return [];
  return compete(suite, {
    work: 'stalled',
    contestants: among(suite, ['roomwire']),
    bytes: BYTES,
    flags: ['--expose-gc'],
    label: `stalled n=${n}`,
    seconds: 2.5 * suite.seconds + n / 200,
    async turn({ contestant: { peer }, server, load, time, measure, sample }) {
      const wire = await wireOf(peer, BYTES);
      const cell = { work: 'stalled', n, w: EVENTS, bytes: BYTES } as const;
      const windows = [{ order: { publish: EVENTS }, deliveries: n * EVENTS }];
      await load.connect(n, () => wire);
      await measure({ ...cell, variant: 'none stalled' }, windows);
      await load.connect(n, () => wire);
      for (const subscriber of load.subscribers.slice(n)) subscriber.stall();
      const { rss } = await server.usage();
      for (let bytes = 0; bytes < STALLED_BYTES; bytes += EVENTS * BYTES) await load.run(windows, 0);
      const timed = await time((seconds) => load.run(windows, seconds));
      const grown = (await server.usage()).rss - rss;
      load.checkEqual(0, n);
      sample({ ...cell, variant: 'with stalled' }, { ...timed, more: { rssPerStalledKiB: grown / 1024 / n } });
    },
  });
}
