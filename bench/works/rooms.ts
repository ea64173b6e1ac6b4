/**
 * Small rooms. "of 3": n topics of three subscribers each, the connections in ten topics each; w
 * events a window, each to a topic at random. "of 10": one topic of ten, one event a
 * window (`topics` has it without the control channel between two events). Latency is from the command to the last delivery of a window.
 */
import { among, compete, fits, type Contest, type Suite, type Turn } from '../contest.js';
import { wireOf, type Wire } from '../load/wires.js';
import { drawing } from '../peers/names.js';
import type { Row } from '../result.js';

const MEMBERS = 3;
const TOPICS_EACH = 10;
const MOST_CONNECTIONS = 3_000;
const WINDOWS = [1, 256];
const LONE_MEMBERS = 10;

/** All but the floor, which has one topic. */
export const WITH_TOPICS = ['roomwire', 'uws', 'ws', 'socket.io', 'socket.io-uws', 'nats'] as const;

export async function rooms(suite: Suite): Promise<Row[]> {
  const groups = Math.max(1, Math.floor(Math.min(suite.clients, MOST_CONNECTIONS) / MEMBERS));
  const bytes = suite.bytes[0] as number;
  if (!fits(suite, 'rooms', groups * MEMBERS)) return [];
  const n = groups * TOPICS_EACH;
  const parts = { work: 'rooms', contestants: among(suite, WITH_TOPICS), bytes } satisfies Partial<Contest>;
  return [
    ...(await compete(suite, {
      ...parts,
      label: `rooms n=${n}`,
      seconds: 2.5 * suite.seconds + groups / 500,
      turn: (turn) => many(turn, groups, bytes),
    })),
    ...(await compete(suite, {
      ...parts,
      label: 'rooms n=1',
      seconds: 1.25 * suite.seconds,
      turn: (turn) => one(turn, bytes),
    })),
  ];
}

async function many({ contestant: { peer }, load, measure }: Turn, groups: number, bytes: number): Promise<void> {
  const n = groups * TOPICS_EACH;
  // Connections 3g to 3g + 2 are in the topics g, g + groups, g + 2 · groups …
  const topicsOf = (group: number): number[] => Array.from({ length: TOPICS_EACH }, (_, i) => group + i * groups);
  const wires = await Promise.all(Array.from({ length: groups }, (_, g) => wireOf(peer, bytes, topicsOf(g))));
  await load.connect(groups * MEMBERS, (i) => wires[Math.floor(i / MEMBERS)] as Wire);
  for (const w of WINDOWS) {
    const window = { order: { publish: w, random: n }, deliveries: MEMBERS * w };
    await measure({ work: 'rooms', n, w, bytes, variant: `of ${MEMBERS}` }, [window]);
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
}

async function one({ contestant: { peer }, load, measure }: Turn, bytes: number): Promise<void> {
  const wire = await wireOf(peer, bytes);
  await load.connect(LONE_MEMBERS, () => wire);
  const window = { order: { publish: 1 }, deliveries: LONE_MEMBERS };
  await measure({ work: 'rooms', n: 1, w: 1, bytes, variant: `of ${LONE_MEMBERS}` }, [window]);
  load.checkEqual();
}
