/** Rooms as their members have them, held against the server, and who was shown to come and go. */
import { isDeepStrictEqual } from 'node:util';
import { eventOf, type EntryOf } from './history.js';
import type { Logs } from './delivery-rules.js';
import type { Case } from './rules.js';

export function judgeRooms(run: Case, logs: Logs): void {
  const truths = new Map<string, EntryOf<'room'>['state']>();
  const joins = new Map<string, number>();
  for (const entry of run.history) {
    if (entry.kind === 'room' && entry.who === null) truths.set(entry.room, entry.state);
    if (entry.kind !== 'begin') continue;
    const name = `${entry.topic} ${entry.who}`;
    joins.set(name, (joins.get(name) ?? 0) + 1);
  }
  for (const [place, entry] of run.history.entries()) {
    if (entry.kind !== 'room' || entry.who === null) continue;
    for (const [part, value] of Object.entries(truths.get(entry.room) ?? {})) {
      const has = entry.state[part];
      if (isDeepStrictEqual(has, value)) continue;
      const text = `${part} of ${entry.room} is ${JSON.stringify(value)}, and ${entry.who} has ${JSON.stringify(has)}`;
      run.find('rooms agree', text, place);
    }
  }
  // Each that is shown to join did so as a new client, and each that is shown to leave was replaced; in each epoch, as
  // a server that forgot everything is joined anew.
  for (const [topic, epochs] of logs) {
    for (const log of epochs.values()) {
      const shown = new Map<string, number>();
      for (const { text, by, place } of log.values()) {
        if (by !== null || !/^member:(joined|left) /.test(text)) continue;
        const { event, data } = eventOf(text);
        const { userId, member } = data as { readonly userId?: string; readonly member?: { readonly userId: string } };
        const user = userId ?? member?.userId ?? '';
        const count = (shown.get(`${event} ${user}`) ?? 0) + 1;
        shown.set(`${event} ${user}`, count);
        // Of those whose coming is not written down nobody can say.
        const most = (joins.get(`${topic} ${user}`) ?? Infinity) - (event === 'member:left' ? 1 : 0);
        if (count === most + 1) run.find('cut unseen', `${topic}: ${event} of ${user}, who came ${most} times`, place);
      }
    }
  }
}
