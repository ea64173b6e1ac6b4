/**
 * Many small rooms: n topics of three subscribers each, the connections in ten topics each; w events
 * a window, each to a topic at random. Latency is from the command to the last delivery of a window.
 */
import { wireOf } from '../contestants.js';
import { among, compete, fits, type Suite } from '../contest.js';
import { drawing } from '../peers/names.js';
import type { Row } from '../result.js';
import type { Wire } from '../load/wires.js';

const MEMBERS = 3;
const TOPICS_EACH = 10;
const MOST_CONNECTIONS = 3_000;
const WINDOWS = [1, 256];

export async function rooms(suite: Suite): Promise<Row[]> {
  const groups = Math.max(1, Math.floor(Math.min(suite.clients, MOST_CONNECTIONS) / MEMBERS));
  const n = groups * TOPICS_EACH;
  const bytes = suite.bytes[0] as number;
  if (!fits(suite, 'rooms', groups * MEMBERS)) return [];
  // Connections 3g to 3g + 2 are in the topics g, g + groups, g + 2 · groups …
  const topicsOf = (group: number): number[] => Array.from({ length: TOPICS_EACH }, (_, i) => group + i * groups);
  return compete(suite, {
    work: 'rooms',
    contestants: among(suite, ['roomwire', 'uws']),
    bytes,
    label: `rooms n=${n}`,
    async turn({ contestant: { peer }, load, measure }) {
      const wires = await Promise.all(Array.from({ length: groups }, (_, g) => wireOf(peer, bytes, topicsOf(g))));
      await load.connect(groups * MEMBERS, (i) => wires[Math.floor(i / MEMBERS)] as Wire);
      for (const w of WINDOWS) {
        const window = { order: { publish: w, random: n }, deliveries: MEMBERS * w };
        await measure({ work: 'rooms', n, w, bytes }, [window]);
      }
      // The server drew the same topics.
      const draw = drawing();
      const expected = new Float64Array(groups);
      const events = load.subscribers.reduce((sum, subscriber) => sum + subscriber.events, 0) / MEMBERS;
      for (let i = 0; i < events; i++) {
        const group = draw(n) % groups;
        expected[group] = (expected[group] as number) + 1;
      }
      load.checkEach((i) => expected[Math.floor(i / MEMBERS)]);
    },
  });
}
