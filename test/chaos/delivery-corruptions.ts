/** Ways to spoil what those who hear topics were told, and what publishers were. */
import { errors } from '../../src/protocol/codes.js';
import { roomOf, type At, type Entry, type EntryOf, type Operation } from './history.js';
import type { Rule } from './rules.js';
import { spoils, type Corruption, type Spoilt } from './spoilt.js';

const isStream = (entry: Entry): entry is EntryOf<'begin' | 'event' | 'reset' | 'end'> =>
  entry.kind === 'begin' || entry.kind === 'event' || entry.kind === 'reset' || entry.kind === 'end';

/** The neighbours of an entry in what the same one was told of the same topic. */
function neighbour(h: Spoilt, place: number, step: 1 | -1): number | undefined {
  const { who, topic } = h.at<'event'>(place);
  return h.next(place, (entry) => isStream(entry) && entry.who === who && entry.topic === topic, step);
}

const kindAt = (h: Spoilt, place: number | undefined): string | undefined => h.entries[place ?? -1]?.kind;

/** An event between two others, that somebody else was told too. */
function middle(h: Spoilt): { readonly place: number; readonly next: number; readonly event: EntryOf<'event'> } {
  for (;;) {
    const place = h.pick('event', ({ by }) => by !== null);
    const event = h.at<'event'>(place);
    const [before, next] = [neighbour(h, place, -1), neighbour(h, place, 1)];
    if (kindAt(h, before) !== 'event' || next === undefined || h.at(next).kind !== 'event') continue;
    const shared = (entry: Entry): boolean =>
      entry.kind === 'event' && entry.text === event.text && entry.topic === event.topic && entry.who !== event.who;
    if (h.next(-1, shared) !== undefined) return { place, next, event };
  }
}

/** The last event of one who came to the end of a topic. */
function last(h: Spoilt, kind = ''): EntryOf<'event'> {
  const head = h.at<'head'>(h.pick('head', ({ topic }) => topic.startsWith(kind)));
  const isLast = ({ topic, at }: EntryOf<'event'>): boolean => topic === head.topic && at.join() === head.at.join();
  const { who, topic } = h.at<'event'>(h.pick('event', isLast));
  return h.at<'event'>(h.places('event', (entry) => entry.who === who && entry.topic === topic).at(-1) as number);
}

const after = ([epoch, offset]: At, by = 1): At => [epoch, offset + by];

/** An acknowledged publish that somebody was told of. */
function acked(h: Spoilt): Operation[] {
  const operations = h.operations;
  const texts = new Set(h.entries.map((entry) => (entry.kind === 'event' ? `${entry.topic} ${entry.text}` : '')));
  const all = [...operations.values()].filter(
    ({ call, of, text, answer }) => call === 'publish' && answer?.at && texts.has(`${of} ${text}`),
  );
  const ends = h.places('server');
  return all.filter(({ asked, answered }) => !ends.some((end) => end > asked && end < answered));
}

/** Of an event in the middle of what one was told. */
function spoilsMiddle(what: string, rule: Rule, spoil: (h: Spoilt, of: ReturnType<typeof middle>) => void): Corruption {
  return spoils(what, rule, (h) => spoil(h, middle(h)));
}

/** Of an acknowledged publish. */
function spoilsAcked(what: string, rule: Rule, spoil: (h: Spoilt, of: Operation) => void): Corruption {
  return spoils(what, rule, (h) => spoil(h, h.one(acked(h))));
}

export const deliveryCorruptions: readonly Corruption[] = [
  spoilsMiddle('an event is lost to one', 'gap told', (h, { place }) => h.remove(place)),
  spoils('the first event of a subscription is lost', 'gap told', (h) => {
    const first = (place: number) => neighbour(h, place, 1);
    const place = h.pick('begin', ({ at }, place) => at !== undefined && kindAt(h, first(place)) === 'event');
    h.remove(first(place) as number);
  }),
  spoils('the last events are lost to one', 'head reached', (h) => {
    const { who, topic, at } = last(h);
    const late = (event: EntryOf<'event'>): boolean => event.at[0] === at[0] && event.at[1] > at[1] - 3;
    const head = h.places('head', (entry) => entry.topic === topic)[0] as number;
    const isTail = (event: EntryOf<'event'>): boolean => event.who === who && event.topic === topic && late(event);
    h.remove(...h.places('event', isTail));
    h.change(head, { at: after(at, 0) });
  }),
  spoilsMiddle('two events come the other way round', 'once per cursor', (h, { place, next }) => h.swap(place, next)),
  spoilsMiddle('an event comes twice to one', 'once per cursor', (h, { place, event }) => h.insert(place, event)),
  spoils('an old event comes again to one at the end', 'once per cursor', (h) => {
    const { who, topic, at } = last(h);
    const old = h.pick('event', (event) => event.who === who && event.topic === topic && event.at[0] === at[0]);
    h.append(h.at(old));
  }),
  spoilsMiddle('a RESET goes back', 'once per cursor', (h, { next, event: { who, topic, at } }) => {
    h.insert(next, { kind: 'reset', who, topic, at: after(at, -1) });
  }),
  spoilsMiddle('an event has another offset for one', 'gap told', (h, { place, event }) => {
    h.change(place, { at: after(event.at) });
  }),
  spoilsMiddle('two events have changed places under the right offsets', 'one order', (h, { place, next, event }) => {
    const { text, by } = h.at<'event'>(next);
    h.change(next, { text: event.text, by: event.by });
    h.change(place, { text, by });
  }),
  spoilsMiddle('an event has other data for one', 'one order', (h, { place, event }) => {
    h.change(place, { text: event.text.replace('{', '{"more":1,') });
  }),
  spoilsMiddle('an event has another sender for one', 'one order', (h, { place }) => h.change(place, { by: 'x' })),
  spoils('an ACK names the offset of another event', 'one order', (h) => {
    const { place, event } = middle(h);
    const before = acked(h).filter(({ of, asked, text }) => of === event.topic && asked < place && text !== event.text);
    h.change(h.one(before).answered, { at: event.at });
  }),
  spoilsAcked('an ACK names an event that is nowhere', 'ack kept', (h, { of, answered }) => {
    const head = h.at<'head'>(h.pick('head', ({ topic }) => topic === of));
    h.change(answered, { at: after(head.at, 5) });
  }),
  spoilsAcked('a publish is never answered', 'answered', (h, { answered }) => h.remove(answered)),
  spoilsAcked('a publish was refused and is there', 'refused undone', (h, { answered }) =>
    h.change(answered, { at: undefined, code: errors.forbidden }),
  ),
  spoilsAcked('an event was published by nobody', 'asked for', (h, { asked, answered }) => h.remove(asked, answered)),
  spoils('a publish is in the log a second time', 'once in the log', (h) => {
    const event = last(h);
    const { of, text } = h.one(
      acked(h).filter(({ of, answer }) => of === event.topic && answer?.at?.[0] === event.at[0]),
    );
    h.append({ ...event, topic: of, at: after(event.at), text: text as string, by: 'x' });
  }),
  spoils('something is published after all was answered', 'head last', (h) => {
    const event = last(h);
    const ask = { kind: 'ask', op: 1e9, who: 'late', call: 'publish', of: event.topic, text: 'late 1' } as const;
    h.insert(0, ask, { kind: 'answer', op: 1e9, code: errors.disconnected });
    h.append({ ...event, at: after(event.at), text: ask.text, by: 'late' });
  }),
  spoils('two publishes of one publisher are in the log the other way round', 'publisher order', (h) => {
    const all = acked(h);
    const later = all.filter(({ who, asked, answer }) =>
      all.some((one) => one.who === who && one.asked < asked && one.answer?.at?.[0] === answer?.at?.[0]),
    );
    const second = h.one(later);
    const first = all.filter(({ who, asked, answer }) => {
      return who === second.who && asked < second.asked && answer?.at?.[0] === second.answer?.at?.[0];
    });
    h.swap(h.one(first).asked, second.asked);
  }),
  spoils('an event comes before its ACK', 'ack first', (h) => {
    const own = acked(h).flatMap((operation) => {
      const { who, of, text, asked, answered } = operation;
      const isIt = (entry: Entry) =>
        entry.kind === 'event' && entry.who === who && entry.topic === of && entry.text === text;
      const heard = h.next(answered, isIt);
      const again = h.next(asked, (entry) => entry.kind === 'live' && entry.who === who) ?? Infinity;
      return heard !== undefined && again > heard ? [{ answered, heard }] : [];
    });
    const { answered, heard } = h.one(own);
    const answer = h.at(answered);
    h.insert(heard + 1, answer);
    h.remove(answered);
  }),
  spoilsMiddle('the epoch changes untold', 'epoch told', (h, { place, event }) => {
    h.change(place, { at: ['another', event.at[1]] });
  }),
  spoilsMiddle('an epoch that was over comes back', 'epoch over', (h, { next, event: { who, topic, at } }) => {
    h.insert(next, { kind: 'reset', who, topic, at: ['another', 7] }, { kind: 'reset', who, topic, at });
  }),
  spoils('a server that keeps everything begins another epoch', 'epoch kept', (h) => {
    const { who, topic, by, text } = last(h);
    for (const place of h.places('server')) h.change(place, { forgets: false });
    h.append({ kind: 'reset', who, topic, at: ['another', 0] });
    h.append({ kind: 'event', who, topic, at: ['another', 1], by, text });
  }),
  spoils('something is told before the beginning', 'heard outside', (h) => {
    const begins = h.places('begin', (_begin, place) => {
      const before = kindAt(h, neighbour(h, place, -1));
      return (before === undefined || before === 'end') && kindAt(h, neighbour(h, place, 1)) === 'event';
    });
    h.remove(h.one(begins));
  }),
  spoilsMiddle('something is told after the end', 'heard outside', (h, { place, event: { who, topic } }) => {
    h.insert(place, { kind: 'end', who, topic });
  }),
  spoils('somebody is removed from a topic', 'surprise', (h) => {
    const { who, topic } = last(h);
    h.append({ kind: 'end', who, topic, code: errors.forbidden });
  }),
  spoils('a client gives up', 'surprise', (h) =>
    h.insert(h.random.below(h.entries.length), { kind: 'problem', text: 's0 was refused for good' }),
  ),
  spoils('one who lost a connection is shown to leave', 'cut unseen', (h) => {
    const { who, topic, at } = last(h, 'room:');
    const times = h.places('begin', (begin) => begin.who === who && begin.topic === topic).length;
    for (let i = 1; i <= times; i++) {
      const text = `member:left {"roomId":"${roomOf(topic)}","userId":"${who}","reason":"gone"}`;
      h.append({ kind: 'event', who, topic, at: after(at, i), by: null, text });
    }
  }),
  ...['status', 'metadata', 'members', 'memberCount', 'locks', 'presenter', 'host'].map((part) =>
    spoils(`a member has another ${part} than the server`, 'rooms agree', (h) => {
      const place = h.pick('room', ({ who }) => who !== null);
      h.change(place, { state: { ...h.at<'room'>(place).state, [part]: 'another' } });
    }),
  ),
];
