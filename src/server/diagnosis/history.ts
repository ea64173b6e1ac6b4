/**
 * A topic's events as its log has them: for a person who looks without being in the topic, so that nobody
 * sees them and no `matched` counts them.
 */
import { RoomwireError } from '../../protocol/errors.js';
import type { LoggedEvent, TopicHistory } from '../../protocol/http-answers.js';
import type { HistoryQuery } from '../api.js';
import type { Hub } from '../hub/hub.js';
import { loggedEvents } from '../hub/logged.js';

/** Of one answer; what is left comes with the next question. */
const MAX_BYTES = 256 * 1024;

/** Rejects with store_unavailable. */
export async function historyOf(hub: Hub, name: string, { after, limit = 50 }: HistoryQuery): Promise<TopicHistory> {
  const most = Math.min(Math.max(1, limit), 500);
  const [epoch, head] = await hub.transact((tx) => tx.position(name));
  const from = Math.max(1, after === undefined ? head - most + 1 : after + 1);
  const events = from > head ? [] : await read(hub, name, { from, most, head });
  const topic = hub.topic(name);
  // Deleted and made again while the log was read: these are not the events of that epoch.
  if (topic !== undefined && topic.epoch !== epoch) return { topic: name, epoch, head, events: [] };
  return { topic: name, epoch, head, events };
}

async function read(
  hub: Hub,
  name: string,
  { from, most, head }: { readonly from: number; readonly most: number; readonly head: number },
): Promise<LoggedEvent[]> {
  const events: LoggedEvent[] = [];
  const ring = hub.topic(name)?.ring;
  try {
    for (const { first, frame } of await hub.fanOut.read(name, from, MAX_BYTES)) {
      // The store may be ahead of what was told so far.
      events.push(...loggedEvents({ first, frame, at: ring?.find(first)?.at }, from, head));
      if (events.length >= most) break;
    }
  } catch (error) {
    // Away, or damaged.
    throw new RoomwireError('store_unavailable', undefined, { cause: error });
  }
  return events.slice(0, most);
}
