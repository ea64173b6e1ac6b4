/**
 * The checker of the chaos tests: a pure function over a history that says which promises were not kept. It knows no
 * clock, socket or server. corruptions.ts is its test: each is made in the history of a good run, and must be found.
 */
import { judgeBeliefs } from './belief-rules.js';
import { judgeDelivery } from './delivery-rules.js';
import { operationsOf, type History } from './history.js';
import { judgeLocks } from './lock-rules.js';
import { judgeRooms } from './room-rules.js';
import { Case, shownFinding, type Counts, type Finding, type Rule } from './rules.js';

export interface Verdict extends Counts {
  /** The first of them. */
  readonly findings: readonly Finding[];
  /** The same to be read. */
  readonly complaints: readonly string[];
  readonly broken: ReadonlyMap<Rule, number>;
}

export function check(history: History): Verdict {
  const run = new Case(history, operationsOf(history));
  run.counts.operations = run.operations.size;
  for (const [place, entry] of history.entries()) if (entry.kind === 'problem') run.find('surprise', entry.text, place);
  for (const { op, call, who, of, answer, asked } of run.operations.values()) {
    if (answer === undefined) run.find('answered', `op ${op} of ${who} (${call} ${of}) was never answered`, asked);
  }
  const logs = judgeDelivery(run);
  judgeRooms(run, logs);
  judgeLocks(run, logs);
  judgeBeliefs(run);
  const { findings, broken, counts } = run;
  return { ...counts, findings, broken, complaints: findings.map(shownFinding) };
}
