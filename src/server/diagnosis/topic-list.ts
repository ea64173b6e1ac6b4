/**
 * The topics in memory, the busiest of late first: what a person watches to see where the traffic is.
 * Keeps nothing of its own: the rate of a topic is read from the times of its ring.
 */
import type { TopicLine, TopicList } from '../../protocol/http-answers.js';
import type { TopicQuery } from '../api.js';
import type { Hub } from '../hub/hub.js';
import type { Ring } from '../hub/ring.js';
import type { Topic } from '../hub/topic.js';
import { OWN_PREFIX } from '../wire/names.js';

/** Ms over which events are counted. */
const WINDOW = 10_000;
/** A history that reaches back less than the window still gives a rate from this on. */
const SHORTEST = 1_000;

export function topicList(hub: Hub, { search = '', limit = 100 }: TopicQuery): TopicList {
  const most = Math.min(Math.max(1, limit), 500);
  const needle = search.toLowerCase();
  const now = hub.now();
  const fitting: Topic[] = [];
  for (const name of hub.topicNames()) {
    if (name.startsWith(OWN_PREFIX) || (needle !== '' && !name.toLowerCase().includes(needle))) continue;
    fitting.push(hub.topic(name) as Topic);
  }
  const topics = newest(fitting, most).map((topic) => lineOf(topic, now));
  return { now, total: fitting.length, topics };
}

/** Store time of its newest event; 0 for none since the start. */
function lastAt({ ring }: Topic): number {
  return ring.chunks.at(-1)?.at ?? 0;
}

/** The loop waits meanwhile, and there may be many: their times alone are sorted, by the engine, and then the few. */
function newest(topics: readonly Topic[], most: number): Topic[] {
  let found = topics;
  if (topics.length > most) {
    const times = Float64Array.from(topics, lastAt).sort();
    const least = times[times.length - most] as number;
    const above = topics.filter((topic) => lastAt(topic) > least);
    const equal = topics.filter((topic) => lastAt(topic) === least);
    found = [...above, ...equal.slice(0, most - above.length)];
  }
  return [...found].sort((a, b) => lastAt(b) - lastAt(a) || byName(a, b));
}

function byName(a: Topic, b: Topic): number {
  return b.cursors.length - a.cursors.length || (a.name < b.name ? -1 : 1);
}

function lineOf(topic: Topic, now: number): TopicLine {
  const { name, epoch, head, cursors, ring } = topic;
  const at = lastAt(topic);
  let behind = 0;
  for (const { next } of cursors) if (next <= head) behind++;
  return {
    topic: name,
    epoch,
    head,
    subscribers: cursors.length,
    behind,
    perSecond: rateOf(ring, head, now),
    lastAt: at === 0 ? null : at,
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
