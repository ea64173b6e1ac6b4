/**
 * Rule 6: what became of locks, replayed in the order of the store and held against what clients were told. Two can
 * tell of it: lock-trace.ts, which looks at the store's transactions, and a room's log, which says who holds what and
 * which guarded writes were taken, but no times and nobody's place in line.
 */
import { errors } from '../../src/protocol/codes.js';
import { eventOf, lockName, UNKNOWN, type Entry, type EntryOf, type LockEntry, type Operation } from './history.js';
import { inOrder, valueOf, type Logs } from './delivery-rules.js';
import type { Case } from './rules.js';

type StoryEntry = LockEntry | EntryOf<'server'>;
interface Step {
  readonly entry: StoryEntry;
  readonly place: number;
}
type LockStep = Step & { readonly entry: LockEntry };

export function judgeLocks(run: Case, logs: Logs): void {
  const traced = run.history.flatMap((entry, place) => (isStory(entry) ? [{ entry, place }] : []));
  const stories = [new Story(run, traced)];
  const handles = [...run.operations.values()].filter(({ call }) => call === 'lock');
  for (const roomId of new Set(handles.map(({ of }) => of.split('/')[0]))) {
    const log = [...(logs.get(`room:${roomId}`)?.values() ?? [])].flatMap(inOrder);
    const steps = [...taleOf(log, `${roomId}`, run.operations)];
    stories.push(new Story(run, steps, { allOver: true }));
  }
  for (const story of stories) story.judge();
  for (const { op, call, of, answer, answered } of run.operations.values()) {
    // Nobody held it: there is nothing to force.
    if (call === 'publish' || call === 'force' || answer === undefined || answer.code !== undefined) continue;
    if (stories.some(({ decided }) => decided.has(op))) continue;
    run.find('answer true', `op ${op} (${call} ${of}) was told a success of which the store knows nothing`, answered);
  }
}

const KINDS: ReadonlySet<string> = new Set(['grant', 'renew', 'free', 'queue', 'gone', 'write', 'refuse', 'server']);
const isStory = (entry: Entry): entry is StoryEntry => KINDS.has(entry.kind);

/**
 * A room's log as a story. The holder's message begins with the operation that took the lock, and a guarded write sets
 * the frame count to its own; what else there is to know of them, their clients were told.
 */
function* taleOf(log: ReturnType<typeof inOrder>, roomId: string, operations: Case['operations']): Generator<LockStep> {
  const holders = new Map<string, number>();
  for (const [, { text, by, place }] of log) {
    if (by !== null || !/^(lock:update|room:update) /.test(text)) continue;
    const { event, data } = eventOf(text);
    if (event === 'room:update') {
      const { frameCount: op = 0 } = data as { readonly frameCount?: number };
      const { of = '', token } = operations.get(op) ?? {};
      if (op > 0) yield { entry: { kind: 'write', lock: of, op, token }, place };
      continue;
    }
    const { target, lock: info } = data as { readonly target: string; readonly lock: { readonly msg: string } | null };
    const lock = lockName(roomId, target);
    const op = info === null ? undefined : parseInt(info.msg, 10);
    if (op !== undefined && holders.get(lock) === op) continue;
    // One end and the next grant are one change.
    if (op === undefined || holders.has(lock)) yield { entry: { kind: 'free', lock }, place };
    holders.delete(lock);
    if (op === undefined) continue;
    holders.set(lock, op);
    yield { entry: { kind: 'grant', lock, op, token: operations.get(op)?.answer?.token }, place };
  }
}

interface Lock {
  holder: (LockEntry & { readonly place: number }) | undefined;
  /** Ops that wait, in the order in which they came. */
  readonly line: Set<number>;
}

class Story {
  readonly #run: Case;
  readonly #steps: readonly Step[];
  readonly #locks = new Map<string, Lock>();
  /** What the store says became of each op; a wait is decided by what ends it. */
  readonly decided = new Map<number, Step>();
  readonly #allOver: boolean;
  #lastToken = 0;

  /** `allOver`: it goes on until every lease has ended. */
  constructor(run: Case, steps: readonly Step[], { allOver = false } = {}) {
    this.#run = run;
    this.#steps = steps;
    this.#allOver = allOver;
  }

  judge(): void {
    for (const step of this.#steps) this.#read(step);
    for (const [op, step] of this.decided) this.#judgeAnswer(op, step);
    this.#judgeRealTime();
    for (const [lock, { holder }] of this.#allOver ? this.#locks : []) {
      if (holder) this.#run.find('lease lasts', `${lock} is held by op ${holder.op} for ever`, holder.place);
    }
  }

  #read({ entry, place }: Step): void {
    if (entry.kind === 'server') {
      for (const lock of this.#locks.values()) {
        if (entry.forgets) lock.holder = undefined;
        lock.line.clear();
      }
      return;
    }
    const run = this.#run;
    const { now = -Infinity, op } = entry;
    const lock = valueOf(this.#locks, entry.lock, (): Lock => ({ holder: undefined, line: new Set() }));
    const { holder, line } = lock;
    const live = holder !== undefined && (holder.expiresAt ?? Infinity) > now ? holder : undefined;
    const where = `${entry.lock}${op === undefined ? '' : `, op ${op}`}`;
    if (op !== undefined) this.#decide(op, { entry, place });
    switch (entry.kind) {
      case 'grant': {
        run.counts.grants++;
        if (live) run.find('one holder', `${where}: granted while op ${live.op} holds it`, live.place, place);
        if ((entry.token ?? Infinity) <= this.#lastToken) {
          run.find('tokens grow', `${where}: token ${entry.token} after ${this.#lastToken}`, holder?.place, place);
        }
        this.#lastToken = Math.max(this.#lastToken, entry.token ?? 0);
        if ((entry.expiresAt ?? Infinity) <= now) run.find('lease lasts', `${where}: over when it begins`, place);
        const [first] = line;
        if (entry.waited ? first !== op : first !== undefined) {
          run.find('in turn', `${where}: granted before op ${first ?? 'none'}`, place);
        }
        if (op !== undefined) line.delete(op);
        lock.holder = { ...entry, place };
        break;
      }
      case 'renew':
        if (live === undefined || live.token !== entry.token || live.owner !== entry.owner) {
          run.find('holder alone', `${where}: ${entry.owner} renewed under ${entry.token}`, holder?.place, place);
        } else lock.holder = { ...live, expiresAt: entry.expiresAt };
        break;
      case 'write': {
        run.counts.written++;
        // Without a token it may have come after a lease's end of which a room's log does not know yet.
        const unknown = entry.token === undefined && entry.now === undefined;
        if (!unknown && entry.token !== live?.token) {
          const text = `${where}: written under ${entry.token ?? 'no token'}, the lock's is ${live?.token ?? 'none'}`;
          run.find('holder alone', text, holder?.place, place);
        }
        break;
      }
      case 'free':
        if (holder === undefined || (entry.token !== undefined && holder.token !== entry.token)) {
          run.find(
            'ends once',
            `${where}: the end of ${entry.token ?? 'a grant'}, which was over or never granted`,
            place,
          );
          break;
        }
        if (entry.why === 'release' && live?.owner !== entry.owner) {
          run.find('holder alone', `${where}: ${entry.owner} released what it does not hold`, holder.place, place);
        }
        // Whoever gave up waiting before the turn came holds nothing, and the store takes it back.
        if (entry.why === 'time' && live && (!live.waited || this.#told(live.op))) {
          const early = (live.expiresAt as number) - now;
          run.find('lease lasts', `${where}: the lease of ${live.owner} ended ${early} ms early`, holder.place, place);
        }
        lock.holder = undefined;
        break;
      case 'queue':
        run.counts.waits++;
        if (!live && line.size === 0) run.find('free granted', `${where}: waits for a free lock`, place);
        if (op !== undefined) line.add(op);
        break;
      case 'refuse': {
        const mine = live !== undefined && entry.token === live.token && entry.owner === live.owner;
        if ((entry.code === errors.lock_lost || entry.code === errors.not_holder) && mine) {
          run.find('holder heard', `${where}: ${entry.owner} was refused its own lock`, live.place, place);
        }
        // An ended lease is the first waiter's, though its timer has not come.
        const asksAnew = entry.code === errors.lock_held && !entry.waited && entry.token === undefined;
        if (asksAnew && !live && line.size === 0) run.find('free granted', `${where}: refused a free lock`, place);
        if (op !== undefined) line.delete(op);
        break;
      }
      case 'gone':
        if (op !== undefined) line.delete(op);
    }
  }

  #decide(op: number, step: LockStep): void {
    const { entry, place } = step;
    // What ends by time belongs to no op, though one may be the occasion.
    if (entry.kind === 'queue' || entry.kind === 'gone' || (entry.kind === 'free' && entry.why === 'time')) return;
    const before = this.decided.get(op)?.entry;
    const { call, of, answer } = this.#run.operations.get(op) ?? {};
    // What nobody heard of is taken back, and the same question may be asked again.
    const isTold = entry.kind === 'write' || (before?.kind === 'grant' && before.token === answer?.token);
    if (before?.kind === entry.kind && isTold && (entry.kind === 'write' || entry.kind === 'grant')) {
      const places = [this.decided.get(op)?.place, place];
      this.#run.find('asked for', `op ${op} (${entry.kind} ${entry.lock}) a second time`, ...places);
    }
    const fits = of === entry.lock && (entry.kind === 'refuse' || (call === 'write') === (entry.kind === 'write'));
    if (!fits) this.#run.find('asked for', `nobody asked for op ${op} (${entry.kind} ${entry.lock})`, place);
    this.decided.set(op, step);
  }

  #told(op: number | undefined): boolean {
    const { answer } = this.#run.operations.get(op as number) ?? {};
    return answer !== undefined && answer.code === undefined;
  }

  /** What its client was told is what the store says. */
  #judgeAnswer(op: number, { entry, place }: Step): void {
    const { call, answer, answered } = this.#run.operations.get(op) ?? {};
    if (answer === undefined || entry.kind === 'server') return;
    const { code, token } = answer;
    const told = `op ${op} (${call} ${entry.lock})`;
    if (code !== undefined) {
      // A handle that was not wanted any more is given back, whatever came of it.
      if (UNKNOWN.has(code) || entry.kind === 'refuse' || call === 'lock') return;
      this.#run.find('answer true', `${told} took effect, told ${code}`, place, answered);
    } else if (entry.kind === 'refuse') {
      this.#run.find('answer true', `${told} was refused, told a success`, place, answered);
    } else if (entry.kind === 'grant' && entry.token !== token) {
      this.#run.find('answer true', `${told} was told token ${token}, the store gave ${entry.token}`, place, answered);
    }
  }

  /** What comes earlier in the store was not asked after the answer to what comes later. */
  #judgeRealTime(): void {
    const latest = new Map<string, Operation>();
    for (const step of this.#steps) {
      const { entry, place } = step;
      if (entry.kind === 'server' || entry.op === undefined || this.decided.get(entry.op)?.entry !== entry) continue;
      const operation = this.#run.operations.get(entry.op);
      if (operation === undefined) continue;
      const before = latest.get(entry.lock);
      // Who gave up is answered at once, and the server may hear of it later.
      const gaveUp = UNKNOWN.has(operation.answer?.code ?? 0);
      if (before !== undefined && !gaveUp && before.asked > operation.answered) {
        const text = `op ${entry.op} was answered before op ${before.op} was asked, but comes after it`;
        this.#run.find('real time', text, operation.answered, before.asked, place);
      }
      if (before === undefined || operation.asked > before.asked) latest.set(entry.lock, operation);
    }
  }
}
