/**
 * Checkers: pure functions over what was recorded. `checkDelivery` holds what subscribers saw against what writers
 * were told; `checkLocks` replays, in the store's order, what happened to locks and holds it against the rules and
 * against what clients were told. Neither knows a clock, a socket or the server's code.
 */

/** `[epoch, offset]`. */
export type At = readonly [epoch: string, offset: number];

export interface Verdict {
  /** One sentence each; a bad history may have many, and only the first are kept. */
  readonly complaints: readonly string[];
  readonly complaintCount: number;
}

const MAX_COMPLAINTS = 20;

class Report {
  readonly complaints: string[] = [];
  complaintCount = 0;

  complain(text: string): void {
    this.complaintCount++;
    if (this.complaints.length < MAX_COMPLAINTS) this.complaints.push(text);
  }
}

// ---- delivery -------------------------------------------------------------------------------------------------

export interface Write {
  readonly topic: string;
  readonly writer: string;
  /** Of this writer in this topic, from 0. */
  readonly seq: number;
  /** What the server said; undefined: nothing, so it may have happened or not. */
  readonly ack?: At | undefined;
}

export interface SeenEvent {
  readonly at: At;
  readonly writer: string;
  readonly seq: number;
  /** The server itself wrote it: `seq` is its offset. */
  readonly byServer?: boolean | undefined;
}
/** Told that events up to `reset` were missed. */
export interface SeenReset {
  readonly reset: At;
  /** Nothing was missed: a new client of the same name begins here. */
  readonly anew?: boolean | undefined;
}

export interface SubscriberRecord {
  readonly name: string;
  readonly topic: string;
  /** What the subscription began after. */
  readonly from: At;
  readonly seen: readonly (SeenEvent | SeenReset)[];
}

export interface DeliveryHistory {
  readonly writes: readonly Write[];
  readonly subscribers: readonly SubscriberRecord[];
  /** By topic: the last event of all. Each subscriber must have come so far. */
  readonly heads: Readonly<Record<string, At>>;
  /** The store forgets its keys and logs with the server: the repetition of a write may then be a second event. */
  readonly forgets: boolean;
}

export interface DeliveryVerdict extends Verdict {
  readonly deliveries: number;
  readonly acknowledged: number;
  /** Events that a subscriber should have seen and was not told to have missed. */
  readonly lost: number;
  readonly doubled: number;
  readonly resets: number;
}

/** A topic's events as all who saw or wrote them say. */
class TopicLog {
  /** By epoch: offset → event. */
  readonly epochs = new Map<string, Map<number, string>>();
  /** By event: epoch → offset. */
  readonly #places = new Map<string, Map<string, number>>();
  readonly byServer = new Set<string>();
  doubled = 0;

  put([epoch, offset]: At, event: string, { who, forgets, report }: PutOptions): void {
    let log = this.epochs.get(epoch);
    if (log === undefined) this.epochs.set(epoch, (log = new Map()));
    const known = log.get(offset);
    if (known === event) return;
    if (known !== undefined) {
      report.complain(`two orders: ${who} has ${event} at ${epoch}:${offset}, where others have ${known}`);
      return;
    }
    log.set(offset, event);
    let places = this.#places.get(event);
    if (places === undefined) this.#places.set(event, (places = new Map()));
    if (places.has(epoch) || (!forgets && places.size > 0)) {
      this.doubled++;
      const [[otherEpoch, otherOffset] = ['', 0]] = places;
      report.complain(`doubled: ${event} is at ${otherEpoch}:${otherOffset} and at ${epoch}:${offset}`);
    }
    places.set(epoch, offset);
  }
}

interface PutOptions {
  readonly who: string;
  readonly forgets: boolean;
  readonly report: Report;
}

export function checkDelivery({ writes, subscribers, heads, forgets }: DeliveryHistory): DeliveryVerdict {
  const report = new Report();
  const logs = new Map<string, TopicLog>();
  const written = new Set<string>();
  let [deliveries, acknowledged, lost, doubled, resets] = [0, 0, 0, 0, 0];
  const logOf = (topic: string): TopicLog => {
    let log = logs.get(topic);
    if (log === undefined) logs.set(topic, (log = new TopicLog()));
    return log;
  };
  for (const { topic, writer, seq, ack } of writes) {
    written.add(`${topic} ${writer}#${seq}`);
    if (ack === undefined) continue;
    acknowledged++;
    logOf(topic).put(ack, `${writer}#${seq}`, { who: `the writer ${writer}`, forgets, report });
  }

  for (const { name, topic, from, seen } of subscribers) {
    const log = logOf(topic);
    const left = new Set<string>();
    let [epoch, offset] = from;
    for (const [index, entry] of seen.entries()) {
      if ('reset' in entry) {
        if (entry.anew !== true) resets++;
        const [nextEpoch, nextOffset] = entry.reset;
        if (nextEpoch === epoch && nextOffset < offset) {
          report.complain(`${name}: a RESET of ${topic} goes back from ${epoch}:${offset} to ${nextOffset}`);
        }
        if (nextEpoch !== epoch) left.add(epoch);
        if (left.has(nextEpoch)) report.complain(`${name}: ${topic} is in its old epoch ${nextEpoch} again`);
        [epoch, offset] = [nextEpoch, nextOffset];
        continue;
      }
      deliveries++;
      const event = `${entry.writer}#${entry.seq}`;
      const [nowEpoch, nowOffset] = entry.at;
      if (entry.byServer !== true && !written.has(`${topic} ${event}`))
        report.complain(`${name}: nobody wrote ${event} in ${topic}`);
      if (nowEpoch !== epoch) {
        report.complain(`${name}: ${topic} changed from epoch ${epoch} to ${nowEpoch} without a RESET`);
        left.add(epoch);
        [epoch, offset] = [nowEpoch, nowOffset - 1];
      }
      if (entry.byServer === true) log.byServer.add(event);
      log.put(entry.at, event, { who: name, forgets, report });
      if (nowOffset <= offset) {
        const again = seen
          .slice(0, index)
          .some((other) => 'at' in other && other.at[0] === epoch && other.at[1] === nowOffset);
        if (again) doubled++;
        report.complain(
          `${name}: ${again ? 'doubled' : 'reordered'}: ${event} at ${epoch}:${nowOffset} came after ${offset}`,
        );
        continue;
      }
      if (nowOffset > offset + 1) {
        lost += nowOffset - offset - 1;
        report.complain(`${name}: lost: ${topic} ${epoch}:${offset + 1}–${nowOffset - 1}, and no RESET told`);
      }
      offset = nowOffset;
    }
    const [headEpoch, headOffset] = heads[topic] ?? from;
    if (epoch !== headEpoch) report.complain(`${name}: ends in epoch ${epoch} of ${topic}, which is in ${headEpoch}`);
    if (epoch !== headEpoch || offset < headOffset) {
      lost += epoch === headEpoch ? headOffset - offset : headOffset;
      report.complain(`${name}: lost: ends at ${epoch}:${offset} of ${topic}, whose last is ${headOffset}`);
    }
  }

  for (const [topic, log] of logs) {
    doubled += log.doubled;
    const [headEpoch, headOffset] = heads[topic] ?? ['', Infinity];
    for (const [epoch, events] of log.epochs) {
      const next = new Map<string, number>();
      for (const [offset, event] of [...events].sort(([a], [b]) => a - b)) {
        // What the server does by itself, as when a lease ends, may come later.
        const isBeyond = epoch === headEpoch && offset > headOffset && !log.byServer.has(event);
        if (isBeyond) report.complain(`${topic}: ${event} is beyond the last event`);
        const at = event.lastIndexOf('#');
        const writer = event.slice(0, at);
        const seq = Number(event.slice(at + 1));
        const after = next.get(writer) ?? -1;
        if (seq < after) report.complain(`${topic}: ${event} at ${epoch}:${offset} comes after ${writer}#${after}`);
        next.set(writer, Math.max(after, seq));
      }
    }
  }
  return { ...report, deliveries, acknowledged, lost, doubled, resets };
}

// ---- locks ----------------------------------------------------------------------------------------------------

interface Happened {
  readonly lock: string;
  /** Store time, ms. */
  readonly now: number;
  /** The client's operation it belongs to, if any. */
  readonly op?: number | undefined;
}

/** What happened to a lock, in the order of the store. */
export type LockEntry =
  | (Happened & {
      readonly kind: 'grant';
      readonly token: number;
      readonly owner: string;
      readonly expiresAt: number;
      /** It came to one who waited in line. */
      readonly waited: boolean;
    })
  | (Happened & {
      readonly kind: 'renew';
      readonly token: number;
      /** Who asked. */
      readonly owner: string;
      readonly expiresAt: number;
    })
  | (Happened & {
      readonly kind: 'end';
      readonly token: number;
      /** `time`: nobody asked for it. */
      readonly why: 'release' | 'force' | 'leave' | 'time';
      readonly owner: string;
    })
  | (Happened & { readonly kind: 'queue' })
  /** It waits no more: cancelled, out of time, disconnected, or refused just before this. */
  | (Happened & { readonly kind: 'gone' })
  /** A write that the lock guards was taken; `token` undefined: it came without one. */
  | (Happened & { readonly kind: 'write'; readonly token: number | undefined })
  | (Happened & {
      readonly kind: 'refuse';
      readonly code: number;
      readonly owner: string;
      readonly token?: number | undefined;
      /** After waiting in line. */
      readonly waited: boolean;
    })
  /** The server began anew. `forgets`: with an empty store. */
  | { readonly kind: 'restart'; readonly forgets: boolean };

/** An operation as its client saw it. `asked` and `answered` count on one clock that all clients share. */
export interface LockOperation {
  readonly op: number;
  readonly call: 'acquire' | 'refresh' | 'release' | 'msg' | 'force' | 'write';
  readonly asked: number;
  /** Undefined: never. */
  readonly answered?: number | undefined;
  /** The token of the answer, where it has one; a refusal has a code. */
  readonly answer?: { readonly token?: number | undefined } | { readonly code: number } | undefined;
}

export interface LockHistory {
  readonly entries: readonly LockEntry[];
  readonly operations: readonly LockOperation[];
}

export interface LockVerdict extends Verdict {
  readonly operations: number;
  readonly grants: number;
  readonly waits: number;
  readonly ends: number;
}

/** Codes of answers that say nothing of what became of the operation: cancelled, deadline, disconnected. */
const UNKNOWN: ReadonlySet<number> = new Set([113, 200, 204]);
const LOCK_HELD = 205;
const LOCK_LOST = 125;
const NOT_HOLDER = 126;

interface Holder {
  readonly token: number;
  readonly owner: string;
  expiresAt: number;
  /** Who was granted it after waiting. */
  readonly waiter: number | undefined;
}

interface LockModel {
  holder: Holder | undefined;
  /** Ops that wait, in the order in which they came. */
  readonly line: Set<number>;
}

export function checkLocks({ entries, operations }: LockHistory): LockVerdict {
  const report = new Report();
  const byOp = new Map(operations.map((operation) => [operation.op, operation]));
  const locks = new Map<string, LockModel>();
  /** What the store says became of each op; a wait is decided by what ends it. */
  const decided = new Map<number, LockEntry>();
  let [lastToken, grants, waits, ends] = [0, 0, 0, 0];

  const told = (op: number | undefined): boolean => {
    const answer = op === undefined ? undefined : byOp.get(op)?.answer;
    return answer !== undefined && !('code' in answer);
  };
  for (const entry of entries) {
    if (entry.kind === 'restart') {
      for (const model of locks.values()) {
        if (entry.forgets) model.holder = undefined;
        model.line.clear();
      }
      continue;
    }
    const { lock, now, op } = entry;
    let model = locks.get(lock);
    if (model === undefined) locks.set(lock, (model = { holder: undefined, line: new Set() }));
    const { holder } = model;
    const live = holder !== undefined && holder.expiresAt > now ? holder : undefined;
    // What ends by time belongs to no op, though one may be the occasion.
    const decides = entry.kind === 'end' ? entry.why !== 'time' : entry.kind !== 'queue' && entry.kind !== 'gone';
    if (op !== undefined && decides) decided.set(op, entry);
    const where = `${lock} at ${now}${op === undefined ? '' : `, op ${op}`}`;
    switch (entry.kind) {
      case 'grant': {
        grants++;
        if (live !== undefined) {
          report.complain(`two holders: ${where}: granted to ${entry.owner} while ${live.owner} holds it`);
        }
        if (entry.token <= lastToken) report.complain(`${where}: token ${entry.token} after ${lastToken}`);
        lastToken = Math.max(lastToken, entry.token);
        if (entry.expiresAt <= now) report.complain(`${where}: a lease that is over when it begins`);
        const [first] = model.line;
        if (entry.waited ? first !== op : first !== undefined) {
          report.complain(`${where}: granted out of turn, before op ${first ?? 'none'}`);
        }
        if (op !== undefined) model.line.delete(op);
        const { token, owner, expiresAt } = entry;
        model.holder = { token, owner, expiresAt, waiter: entry.waited ? op : undefined };
        break;
      }
      case 'renew':
        if (live?.token !== entry.token || live.owner !== entry.owner) {
          report.complain(`${where}: ${entry.owner} renewed under the old token ${entry.token}`);
        } else live.expiresAt = entry.expiresAt;
        break;
      case 'write':
        if (entry.token === undefined ? live !== undefined : live?.token !== entry.token) {
          report.complain(
            `${where}: a write under ${entry.token ?? 'no'} token, the lock's is ${live?.token ?? 'none'}`,
          );
        }
        break;
      case 'end':
        ends++;
        if (holder?.token !== entry.token) {
          report.complain(`${where}: an end of ${entry.token}, which was over or never granted`);
          break;
        }
        if (entry.why === 'release' && (live === undefined || live.owner !== entry.owner)) {
          report.complain(`${where}: ${entry.owner} released what it does not hold`);
        }
        // Whoever gave up waiting before the turn came holds nothing, and the store takes it back.
        if (entry.why === 'time' && live !== undefined && (live.waiter === undefined || told(live.waiter))) {
          report.complain(`${where}: the lease of ${live.owner} ended ${live.expiresAt - now} ms early`);
        }
        model.holder = undefined;
        break;
      case 'queue':
        waits++;
        if (live === undefined && model.line.size === 0) report.complain(`${where}: waits for a free lock`);
        if (op !== undefined) model.line.add(op);
        break;
      case 'refuse': {
        const mine = live !== undefined && entry.token === live.token && entry.owner === live.owner;
        if ((entry.code === LOCK_LOST || entry.code === NOT_HOLDER) && mine) {
          report.complain(`${where}: the holder ${entry.owner} was refused its own lock`);
        }
        if (entry.code === LOCK_HELD && !entry.waited && entry.token === undefined) {
          // An ended lease is the first waiter's, though its timer has not come.
          if (live === undefined && model.line.size === 0) report.complain(`${where}: refused a free lock`);
        }
        if (op !== undefined) model.line.delete(op);
        break;
      }
      case 'gone':
        if (op !== undefined) model.line.delete(op);
        break;
    }
  }

  checkAnswers({ operations, decided, entries, report });
  return { ...report, operations: operations.length, grants, waits, ends };
}

/** What clients were told is what the store says, and no answer came before a question it depends on. */
function checkAnswers({
  operations,
  decided,
  entries,
  report,
}: {
  readonly operations: readonly LockOperation[];
  readonly decided: ReadonlyMap<number, LockEntry>;
  readonly entries: readonly LockEntry[];
  readonly report: Report;
}): void {
  const byOp = new Map(operations.map((operation) => [operation.op, operation]));
  for (const { op, call, answered, answer } of operations) {
    if (answered === undefined || answer === undefined) {
      report.complain(`op ${op} (${call}) was never answered`);
      continue;
    }
    const entry = decided.get(op);
    if ('code' in answer) {
      if (entry === undefined || UNKNOWN.has(answer.code)) continue;
      if (entry.kind !== 'refuse')
        report.complain(`op ${op} (${call}) took effect (${entry.kind}), told ${answer.code}`);
      continue;
    }
    // Nobody held it: there is nothing to force.
    if (call === 'force' && entry === undefined) continue;
    if (entry === undefined || entry.kind === 'refuse') {
      report.complain(`op ${op} (${call}) was told a success that the store does not know`);
    } else if (entry.kind === 'grant' && entry.token !== answer.token) {
      report.complain(`op ${op} was told token ${answer.token ?? 'none'}, the store gave ${entry.token}`);
    }
  }
  // Real time: what comes earlier in the store was not asked after the answer to what comes later.
  const latest = new Map<string, { readonly op: number; readonly asked: number }>();
  for (const entry of entries) {
    if (entry.kind === 'restart' || entry.op === undefined || decided.get(entry.op) !== entry) continue;
    const operation = byOp.get(entry.op);
    if (operation === undefined) continue;
    const before = latest.get(entry.lock);
    // Who gave up is answered at once, and the server may hear of it later.
    const gaveUp = operation.answer !== undefined && 'code' in operation.answer && UNKNOWN.has(operation.answer.code);
    if (before !== undefined && !gaveUp && operation.answered !== undefined && before.asked > operation.answered) {
      report.complain(`op ${operation.op} was answered before op ${before.op} was asked, but comes after it`);
    }
    if (before === undefined || operation.asked > before.asked) {
      latest.set(entry.lock, { op: operation.op, asked: operation.asked });
    }
  }
}
