/** Ways to spoil what the store made of locks, and what their clients were told of it. */
import { errors } from '../../src/protocol/codes.js';
import type { Entry, LockEntry } from './history.js';
import { spoils, type Corruption, type Spoilt } from './spoilt.js';

const isOf = (lock: string) => (entry: Entry) => 'lock' in entry && entry.lock === lock;

/** The grant that ends at `place`, and when its lease would have. */
function leaseBefore(h: Spoilt, place: number): { readonly expiresAt: number; readonly waited: boolean } | undefined {
  const { lock, token } = h.at<'free'>(place);
  const of = (kinds: readonly string[]) => (entry: Entry) =>
    isOf(lock)(entry) && kinds.includes(entry.kind) && (entry as LockEntry).token === token;
  const lease = h.next(place, of(['grant', 'renew']), -1);
  const granted = h.next(place, of(['grant']), -1);
  if (lease === undefined || granted === undefined) return undefined;
  return { expiresAt: h.at<'renew'>(lease).expiresAt as number, waited: h.at<'grant'>(granted).waited === true };
}

/** An end that came before its time. */
const isEarly = (h: Spoilt) => (free: LockEntry, place: number) =>
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
  spoils('a lock is granted to a second holder', 'one holder', (h) => {
    const place = h.pick('grant');
    const { op: _op, ...grant } = h.at<'grant'>(place);
    h.insert(place + 1, { ...grant, token: (grant.token as number) + 1, owner: 'another', waited: false });
  }),
  spoils('a release is forgotten before the next grant', 'one holder', (h) => {
    const place = h.pick('free', (free, place) => {
      if (!isEarly(h)(free, place)) return false;
      const next = h.next(place, isOf(free.lock));
      const grant = next === undefined ? undefined : h.at<'grant'>(next);
      return grant?.kind === 'grant' && (grant.now as number) < (leaseBefore(h, place)?.expiresAt as number);
    });
    h.remove(place);
  }),
  spoils('a token is granted again', 'tokens grow', (h) => {
    const [first, ...others] = h.places('grant');
    h.change(h.one(others), { token: h.at<'grant'>(first as number).token });
  }),
  spoils('a lease is over when it begins', 'lease lasts', (h) => {
    const place = h.pick('grant');
    h.change(place, { expiresAt: h.at<'grant'>(place).now });
  }),
  spoils('a lease ends before its time', 'lease lasts', (h) => {
    const place = h.pick('free', (free, place) => isEarly(h)(free, place) && !leaseBefore(h, place)?.waited);
    h.change(place, { why: 'time' });
  }),
  spoils('one who waits is overtaken by a newcomer', 'in turn', (h) => {
    const place = h.pick('grant', ({ waited }) => waited);
    h.change(place, { waited: false });
  }),
  spoils('one gets the lock for a place in line that it never had', 'in turn', (h) => {
    const place = h.pick('grant', ({ waited }) => !waited);
    h.change(place, { waited: true });
  }),
  spoils('a lease is renewed by another', 'holder alone', (h) => h.change(h.pick('renew'), { owner: 'another' })),
  spoils('a lock is released by another', 'holder alone', (h) => {
    const place = h.pick('free', ({ why }) => why === 'release');
    h.change(place, { owner: 'another' });
  }),
  spoils('something is written under an old token', 'holder alone', (h) => {
    const place = h.pick('write', ({ token }) => token !== undefined);
    h.change(place, { token: (h.at<'write'>(place).token as number) - 1 });
  }),
  spoils('something is written without a token beside a holder', 'holder alone', (h) => {
    const place = h.pick('write', ({ token }) => token !== undefined);
    h.change(place, { token: undefined });
  }),
  spoils('a grant ends twice', 'ends once', (h) => {
    const place = h.pick('free');
    h.insert(place, h.at(place));
  }),
  spoils('a free lock is refused', 'free granted', (h) => {
    const { place, lock, now } = firstOf(h);
    h.insert(place, { kind: 'refuse', lock, now, code: errors.lock_held, owner: 'another', waited: false });
  }),
  spoils('one waits for a free lock', 'free granted', (h) => {
    const { place, lock, now } = firstOf(h);
    h.insert(place, { kind: 'queue', lock, now });
  }),
  spoils('the holder is refused its own lock', 'holder heard', (h) => {
    const place = h.pick('grant');
    const { lock, now, token, owner = '' } = h.at<'grant'>(place);
    h.insert(place + 1, { kind: 'refuse', lock, now, token, owner, code: errors.lock_lost, waited: false });
  }),
  spoils('an operation is never answered', 'answered', (h) => h.remove(h.pick('answer'))),
  spoils('a client is told another token', 'answer true', (h) => {
    const place = answerTo(h, 'grant');
    h.change(place, { token: (h.at<'answer'>(place).token as number) + 1 });
  }),
  spoils('a client is told that what was refused is done', 'answer true', (h) =>
    h.change(answerTo(h, 'refuse'), { code: undefined }),
  ),
  spoils('a client is told that what was done is refused', 'answer true', (h) =>
    h.change(answerTo(h, h.one(['renew', 'free'])), { code: errors.lock_lost }),
  ),
  spoils('the store knows nothing of what a client was told', 'answer true', (h) => {
    const { op } = h.at<'answer'>(answerTo(h, 'renew'));
    h.remove(h.pick('renew', (renew) => renew.op === op));
  }),
  spoils('one question is granted twice', 'asked for', (h) => {
    const operations = h.operations;
    h.append(h.at(h.pick('grant', ({ op, token }) => operations.get(op as number)?.answer?.token === token)));
  }),
  spoils('a write is done twice', 'asked for', (h) => h.append(h.at(h.pick('write')))),
  spoils('a lock is granted that nobody asked for', 'asked for', (h) => h.change(h.pick('grant'), { op: 1e9 })),
  spoils('the store has two operations the other way round than their clients', 'real time', (h) => {
    const operations = h.operations;
    const pairs = h
      .places('refuse', ({ code }) => code === errors.lock_lost)
      .flatMap((place) => {
        const { lock, op } = h.at<'refuse'>(place);
        const next = h.next(place, isOf(lock));
        if (next === undefined || kindOf(h, next) !== 'refuse') return [];
        const [one, other] = [operations.get(op as number), operations.get(h.at<'refuse'>(next).op as number)];
        return one && other && one.answered < other.asked && one.answer?.code === errors.lock_lost
          ? [[place, next] as const]
          : [];
      });
    h.swap(...h.one(pairs));
  }),
];

const kindOf = (h: Spoilt, place: number): string => h.at(place).kind;
