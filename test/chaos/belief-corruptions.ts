/** Ways to spoil what holders of locks believed, and what a room's log says of them. */
import { errors } from '../../src/protocol/codes.js';
import { eventOf, textOf, type EntryOf, type Operation } from './history.js';
import { spoils, type Corruption, type Spoilt } from './spoilt.js';

interface Update {
  readonly target: string;
  readonly lock: { readonly msg: string } | null;
}
const isUpdate = ({ text }: EntryOf<'event'>): boolean => text.startsWith('lock:update ');
const updateOf = ({ text }: EntryOf<'event'>): Update => eventOf(text).data as Update;
const isHeldBy = (op: number) => (event: EntryOf<'event'>) =>
  isUpdate(event) && parseInt(updateOf(event).lock?.msg ?? '', 10) === op;
const isWrite = (op: number) => (event: EntryOf<'event'>) =>
  event.text.startsWith('room:update ') && (eventOf(event.text).data as { frameCount?: number }).frameCount === op;

const NOTHING = 'nothing null';

/** Handles that were held for a while, and not ended by force. */
function held(h: Spoilt): Operation[] {
  const all = [...h.operations.values()];
  const forces = all.filter(({ call }) => call === 'force');
  return all.filter(({ call, of, asked, sure, over }) => {
    return (
      call === 'lock' &&
      sure < over &&
      over < Infinity &&
      !forces.some((force) => force.of === of && force.answered > asked && force.asked < over)
    );
  });
}

/** Writes that were taken while their lock was believed in. */
function taken(h: Spoilt): Operation[] {
  const handles = held(h);
  return [...h.operations.values()].filter(({ call, of, token, asked, answered, answer }) => {
    if (call !== 'write' || answer === undefined || answer.code !== undefined) return false;
    return handles.some(
      (one) => one.of === of && one.answer?.token === token && one.answered < asked && one.over > answered,
    );
  });
}

/** More that the host of a lock's room is told of it at the end. */
function append(h: Spoilt, lock: string, ...updates: readonly [event: string, data: object][]): void {
  const [roomId, target] = lock.split('/') as [string, string];
  const last = h.places('event', ({ topic }) => topic === `room:${roomId}`).at(-1) as number;
  const { at, ...event } = h.at<'event'>(last);
  updates.forEach(([name, data], i) => {
    const text = textOf(name, name === 'lock:update' ? { target, ...data } : data);
    h.append({ ...event, at: [at[0], at[1] + 1 + i], by: null, text });
  });
}

export const beliefCorruptions: readonly Corruption[] = [
  spoils('two clients believe in one lock', 'one believer', (h) => {
    const all = held(h);
    const pairs = all.flatMap((one) => {
      const next = all.find((other) => other.of === one.of && other.sure > one.over);
      return next === undefined ? [] : [[one, next] as const];
    });
    // A lease that is ended by force in between lets its holder believe.
    const forced = ([one, next]: (typeof pairs)[number]): boolean =>
      [...h.operations.values()].some(({ call, of, asked, answered }) => {
        return call === 'force' && of === one.of && answered > one.asked && asked < next.over;
      });
    const [one, next] = h.one(pairs.filter((pair) => !forced(pair)));
    h.insert(next.sure + 1, h.at(one.over));
    h.remove(one.over);
  }),
  spoils('a client believes in its lock for ever', 'belief ends', (h) => h.remove(h.one(held(h)).over)),
  spoils('a client is told an older token than another before it', 'tokens grow', (h) => {
    const all = held(h);
    const later = h.one(all.filter(({ asked }) => all.some(({ answered }) => answered < asked)));
    const earlier = h.one(all.filter(({ answered }) => answered < later.asked));
    h.change(later.answered, { token: earlier.answer?.token });
  }),
  spoils('a lock is never answered', 'answered', (h) => h.remove(h.one(held(h)).answered)),
  spoils('the room knows nothing of a grant', 'answer true', (h) => {
    const { op } = h.one(held(h));
    for (const place of h.places('event', isHeldBy(op))) h.change(place, { text: NOTHING });
  }),
  spoils('a grant ends twice in the room', 'ends once', (h) =>
    append(h, h.one(held(h)).of, ['lock:update', { lock: null }], ['lock:update', { lock: null }]),
  ),
  spoils('a grant never ends in the room', 'lease lasts', (h) => {
    const { op, of } = h.one(held(h));
    append(h, of, ['lock:update', { lock: { msg: `${op}` } }]);
  }),
  spoils('a lock is granted a second time, after its end', 'asked for', (h) => {
    const { op, of } = h.one(held(h));
    append(h, of, ['lock:update', { lock: { msg: `${op}` } }], ['lock:update', { lock: null }]);
  }),
  spoils('the holder in the room never asked for the lock', 'asked for', (h) => {
    const { op } = h.one(held(h));
    for (const place of h.places('event', isHeldBy(op))) {
      h.change(place, { text: h.at<'event'>(place).text.replace(`"msg":"${op}`, '"msg":"999999999') });
    }
  }),
  spoils('a write is taken under an old token', 'holder alone', (h) => {
    const { asked, token } = h.one(taken(h));
    h.change(asked, { token: (token as number) - 1 });
  }),
  spoils('a write is taken without a token beside one who believes', 'holder alone', (h) =>
    h.change(h.one(taken(h)).asked, { token: undefined }),
  ),
  spoils('a write is taken twice', 'asked for', (h) => {
    const { op, of } = h.one(taken(h));
    append(h, of, ['room:update', { frameCount: op }]);
  }),
  spoils('a write was taken and is gone', 'answer true', (h) => {
    for (const place of h.places('event', isWrite(h.one(taken(h)).op))) h.change(place, { text: NOTHING });
  }),
  spoils('a write was refused and is there', 'answer true', (h) =>
    h.change(h.one(taken(h)).answered, { code: errors.lock_held }),
  ),
  spoils('a holder is refused under the token that counts', 'holder heard', (h) =>
    h.change(h.one(taken(h)).answered, { code: errors.lock_lost }),
  ),
];
