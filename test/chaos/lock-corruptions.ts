/** Ways to spoil what the store made of locks, and what their clients were told of it. */
import type { Corruption, Spoilt } from './corruptions.js';
import type { Entry, EntryOf } from './history.js';

const LOCK_HELD = 205;
const LOCK_LOST = 125;

const isOf = (lock: string) => (entry: Entry) => 'lock' in entry && entry.lock === lock;

/** When the lease of a lock ends, as of the entry at `place`. */
function leaseBefore(
  h: Spoilt,
  place: number,
): { readonly expiresAt: number; readonly grant: EntryOf<'grant'> } | undefined {
  const { lock, token } = h.at<'free'>(place);
  const isLease = (entry: Entry): boolean =>
    isOf(lock)(entry) && (entry.kind === 'grant' || entry.kind === 'renew') && entry.token === token;
  const lease = h.next(place, isLease, -1);
  const granted = h.next(place, (entry) => isLease(entry) && entry.kind === 'grant', -1);
  if (lease === undefined || granted === undefined) return undefined;
  return { expiresAt: h.at<'renew'>(lease).expiresAt, grant: h.at<'grant'>(granted) };
}

/** An end that came before its time. */
const isEarly = (h: Spoilt) => (free: EntryOf<'free'>, place: number) =>
  free.why !== 'time' && (leaseBefore(h, place)?.expiresAt ?? 0) > (free.now ?? Infinity);

const firstOf = (h: Spoilt): { readonly place: number; readonly lock: string; readonly now: number } => {
  const { lock, now = 0 } = h.at<'grant'>(h.pick('grant'));
  return { place: h.next(-1, isOf(lock)) as number, lock, now: now - 1e6 };
};

/** Where the answer is to an operation of which the store says this. */
function answerTo(h: Spoilt, kind: 'grant' | 'renew' | 'free' | 'refuse'): number {
  const operations = h.operations;
  const decided = h.places(kind, ({ op }) => {
    const { answer } = operations.get(op as number) ?? {};
    return answer !== undefined && (answer.code === undefined) === (kind !== 'refuse');
  });
  return operations.get(h.at<'grant'>(h.one(decided)).op as number)?.answered as number;
}

export const lockCorruptions: readonly Corruption[] = [
  {
    what: 'a lock is granted to a second holder',
    rule: 'one holder',
    spoil(h) {
      const place = h.pick('grant');
      const { op: _op, ...grant } = h.at<'grant'>(place);
      h.insert(place + 1, { ...grant, token: (grant.token as number) + 1, owner: 'another', waited: false });
    },
  },
  {
    what: 'a release is forgotten before the next grant',
    rule: 'one holder',
    spoil(h) {
      const place = h.pick('free', (free, place) => {
        if (!isEarly(h)(free, place)) return false;
        const next = h.next(place, isOf(free.lock));
        const grant = next === undefined ? undefined : h.at<'grant'>(next);
        return grant?.kind === 'grant' && (grant.now as number) < (leaseBefore(h, place)?.expiresAt as number);
      });
      h.remove(place);
    },
  },
  {
    what: 'a token is granted again',
    rule: 'tokens grow',
    spoil(h) {
      const [first, ...others] = h.places('grant');
      h.change(h.one(others), { token: h.at<'grant'>(first as number).token });
    },
  },
  {
    what: 'a lease is over when it begins',
    rule: 'lease lasts',
    spoil(h) {
      const place = h.pick('grant');
      h.change(place, { expiresAt: h.at<'grant'>(place).now });
    },
  },
  {
    what: 'a lease ends before its time',
    rule: 'lease lasts',
    spoil(h) {
      const place = h.pick('free', (free, place) => isEarly(h)(free, place) && !leaseBefore(h, place)?.grant.waited);
      h.change(place, { why: 'time' });
    },
  },
  {
    what: 'one who waits is overtaken by a newcomer',
    rule: 'in turn',
    spoil: (h) =>
      h.change(
        h.pick('grant', ({ waited }) => waited),
        { waited: false },
      ),
  },
  {
    what: 'one gets the lock for a place in line that it never had',
    rule: 'in turn',
    spoil: (h) =>
      h.change(
        h.pick('grant', ({ waited }) => !waited),
        { waited: true },
      ),
  },
  {
    what: 'a lease is renewed by another',
    rule: 'holder alone',
    spoil: (h) => h.change(h.pick('renew'), { owner: 'another' }),
  },
  {
    what: 'a lock is released by another',
    rule: 'holder alone',
    spoil: (h) =>
      h.change(
        h.pick('free', ({ why }) => why === 'release'),
        { owner: 'another' },
      ),
  },
  {
    what: 'something is written under an old token',
    rule: 'holder alone',
    spoil(h) {
      const place = h.pick('write', ({ token }) => token !== undefined);
      h.change(place, { token: (h.at<'write'>(place).token as number) - 1 });
    },
  },
  {
    what: 'something is written without a token beside a holder',
    rule: 'holder alone',
    spoil: (h) =>
      h.change(
        h.pick('write', ({ token }) => token !== undefined),
        { token: undefined },
      ),
  },
  {
    what: 'a grant ends twice',
    rule: 'ends once',
    spoil(h) {
      const place = h.pick('free');
      h.insert(place, h.at(place));
    },
  },
  {
    what: 'a free lock is refused',
    rule: 'free granted',
    spoil(h) {
      const { place, lock, now } = firstOf(h);
      h.insert(place, { kind: 'refuse', lock, now, code: LOCK_HELD, owner: 'another', waited: false });
    },
  },
  {
    what: 'one waits for a free lock',
    rule: 'free granted',
    spoil(h) {
      const { place, lock, now } = firstOf(h);
      h.insert(place, { kind: 'queue', lock, now });
    },
  },
  {
    what: 'the holder is refused its own lock',
    rule: 'holder heard',
    spoil(h) {
      const place = h.pick('grant');
      const { lock, now, token, owner = '' } = h.at<'grant'>(place);
      h.insert(place + 1, { kind: 'refuse', lock, now, token, owner, code: LOCK_LOST, waited: false });
    },
  },
  { what: 'an operation is never answered', rule: 'answered', spoil: (h) => h.remove(h.pick('answer')) },
  {
    what: 'a client is told another token',
    rule: 'answer true',
    spoil(h) {
      const place = answerTo(h, 'grant');
      h.change(place, { token: (h.at<'answer'>(place).token as number) + 1 });
    },
  },
  {
    what: 'a client is told that what was refused is done',
    rule: 'answer true',
    spoil: (h) => h.change(answerTo(h, 'refuse'), { code: undefined }),
  },
  {
    what: 'a client is told that what was done is refused',
    rule: 'answer true',
    spoil: (h) => h.change(answerTo(h, h.one(['renew', 'free'])), { code: LOCK_LOST }),
  },
  {
    what: 'the store knows nothing of what a client was told',
    rule: 'answer true',
    spoil(h) {
      const { op } = h.at<'answer'>(answerTo(h, 'renew'));
      h.remove(h.pick('renew', (renew) => renew.op === op));
    },
  },
  {
    what: 'one question is granted twice',
    rule: 'asked for',
    spoil: (h) => h.insert(h.entries.length, h.at(h.pick('grant', ({ op }) => op !== undefined))),
  },
  { what: 'a write is done twice', rule: 'asked for', spoil: (h) => h.insert(h.entries.length, h.at(h.pick('write'))) },
  {
    what: 'a lock is granted that nobody asked for',
    rule: 'asked for',
    spoil: (h) => h.change(h.pick('grant'), { op: 1e9 }),
  },
  {
    what: 'the store has two operations the other way round than their clients',
    rule: 'real time',
    spoil(h) {
      const operations = h.operations;
      const pairs = h
        .places('refuse', ({ code }) => code === LOCK_LOST)
        .flatMap((place) => {
          const { lock, op } = h.at<'refuse'>(place);
          const next = h.next(place, isOf(lock));
          if (next === undefined || kindOf(h, next) !== 'refuse') return [];
          const [one, other] = [operations.get(op as number), operations.get(h.at<'refuse'>(next).op as number)];
          return one && other && one.answered < other.asked && one.answer?.code === LOCK_LOST
            ? [[place, next] as const]
            : [];
        });
      h.swap(...h.one(pairs));
    },
  },
];

const kindOf = (h: Spoilt, place: number): string => h.at(place).kind;
