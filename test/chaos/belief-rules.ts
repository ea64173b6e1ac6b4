/**
 * Rule 6 as clients see it: what they were told of locks, what the holders of handles believed meanwhile, and what
 * those who write under a token found.
 */
import { errors } from '../../src/protocol/codes.js';
import type { Operation } from './history.js';
import { valueOf } from './delivery-rules.js';
import type { Case } from './rules.js';

interface Belief {
  readonly operation: Operation;
  readonly until: number;
}

export function judgeBeliefs(run: Case): void {
  const operations = [...run.operations.values()];
  const forces = operations.filter(({ call }) => call === 'force');
  const byLock = new Map<string, Belief[]>();
  for (const operation of operations) {
    const { op, call, of, answer, over, lost, answered } = operation;
    if (call !== 'lock' || answer?.token === undefined) continue;
    if (lost) run.counts.lostLocks++;
    if (over === Infinity) run.find('belief ends', `op ${op} believes in ${of} for ever`, answered);
    valueOf(byLock, of, () => []).push({ operation, until: Math.min(over, forcedAt(operation, forces)) });
  }
  for (const beliefs of byLock.values()) judgeOverlaps(run, beliefs);
  for (const { op, call, of, token, answer, asked, answered } of operations) {
    if (call !== 'write' || answer === undefined) continue;
    const { code } = answer;
    if (code === errors.lock_lost || code === errors.lock_held) run.counts.refused++;
    for (const { operation: held, until } of byLock.get(of) ?? []) {
      if (held.answered > asked || until < answered) continue;
      if (code === undefined && token === undefined) {
        run.find('holder alone', `write ${op} without a token, while op ${held.op} has ${of}`, held.answered, asked);
      } else if (code === errors.lock_lost && token === held.answer?.token) {
        run.find('holder heard', `write ${op} was refused under the current token ${token}`, held.answered, answered);
      }
    }
  }
  judgeTokens(run, operations);
}

/** When somebody asked to end the lease by force: from here on its client may believe in what is no more. */
function forcedAt({ of, asked, over }: Operation, forces: readonly Operation[]): number {
  const meant = forces.filter((force) => force.of === of && force.answered > asked && force.asked < over);
  return Math.min(...meant.map((force) => force.asked));
}

function judgeOverlaps(run: Case, beliefs: readonly Belief[]): void {
  const sure = beliefs.filter(({ operation, until }) => operation.sure < until);
  let last: Belief | undefined;
  for (const belief of sure.sort((a, b) => a.operation.sure - b.operation.sure)) {
    const { operation: one, until } = belief;
    if (last !== undefined && one.sure < last.until) {
      const text = `ops ${last.operation.op} and ${one.op} believe in ${one.of}`;
      run.find('one believer', text, last.operation.answered, one.answered, one.sure, last.operation.over);
    }
    if (last === undefined || until > last.until) last = belief;
  }
}

/** A token is greater than every one that was told before it was asked for, whatever the lock. */
function judgeTokens(run: Case, operations: readonly Operation[]): void {
  const told = operations.filter(({ call, answer }) => (call === 'lock' || call === 'acquire') && answer?.token);
  const byAnswer = [...told].sort((a, b) => a.answered - b.answered);
  let [next, highest] = [0, 0];
  for (const { op, asked, answered, answer } of told) {
    for (; (byAnswer[next]?.answered ?? Infinity) < asked; next++) {
      highest = Math.max(highest, byAnswer[next]?.answer?.token ?? 0);
    }
    const { token = 0 } = answer ?? {};
    if (token > highest) continue;
    run.find('tokens grow', `op ${op} was told token ${token}, and asked after ${highest} was told`, asked, answered);
  }
}
