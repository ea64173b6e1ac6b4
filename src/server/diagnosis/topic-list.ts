/**
 * The topics in memory, the busiest of late first: what a person watches to see where the traffic is.
 * Keeps nothing of its own: the rate of a topic is read from the times of its ring. Used by diagnosis.ts.
 */
import type { Hub } from '../hub/hub.js';
import type { Ring } from '../hub/ring.js';
import type { Topic } from '../hub/topic.js';
import { OWN_PREFIX } from '../probe/own.js';
import type { TopicLine, TopicList, TopicQuery } from './report.js';

/** Ms over which events are counted. */
const WINDOW = 10_000;
/** A history that reaches back less than the window still gives a rate from this on. */
const SHORTEST = 1_000;

export function topicList(hub: Hub, { search = '', limit = 100 }: TopicQuery): TopicList {
  const most = Math.min(Math.max(1, limit), 500);
  const needle = search.toLowerCase();
  const now = hub.now();
  let total = 0;
  let found: { readonly topic: Topic; readonly lastAt: number }[] = [];
  const shorten = (): void => {
    found = found.sort((a, b) => b.lastAt - a.lastAt || byName(a.topic, b.topic)).slice(0, most);
  };
  for (const name of hub.topicNames()) {
    if (name.startsWith(OWN_PREFIX) || !name.toLowerCase().includes(needle)) continue;
    const topic = hub.topic(name) as Topic;
    total++;
    // One pass, and never more at once than twice what is asked for.
    if (found.push({ topic, lastAt: topic.ring.chunks.at(-1)?.at ?? 0 }) >= most * 2) shorten();
  }
  shorten();
  return { now, total, topics: found.map(({ topic, lastAt }) => lineOf(topic, lastAt, now)) };
}

function byName(a: Topic, b: Topic): number {
  return b.cursors.length - a.cursors.length || (a.name < b.name ? -1 : 1);
}

function lineOf(topic: Topic, lastAt: number, now: number): TopicLine {
  const { name, epoch, head, cursors, ring } = topic;
  let behind = 0;
  for (const { next } of cursors) if (next <= head) behind++;
  return {
    topic: name,
    epoch,
    head,
    subscribers: cursors.length,
    behind,
    perSecond: rateOf(ring, head, now),
    lastAt: lastAt === 0 ? null : lastAt,
  };
}

/** Events a second of the last ten, or of as much of them as a busy topic's ring holds. */
function rateOf({ chunks }: Ring, head: number, now: number): number {
  const [oldest] = chunks;
  if (oldest === undefined) return 0;
  const since = now - WINDOW;
  // What was read back from the store has lost its time: it is older than all that has one.
  let low = 0;
  let high = chunks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((chunks[middle]?.at ?? -Infinity) > since) high = middle;
    else low = middle + 1;
  }
  const first = chunks[low];
  if (first === undefined) return 0;
  const span = now - (oldest.at ?? 0);
  // It was trimmed within the window: what is left says how fast it goes.
  if (low === 0 && oldest.first > 1 && span >= SHORTEST) return ((head + 1 - oldest.first) * 1_000) / span;
  return ((head + 1 - first.first) * 1_000) / WINDOW;
}
