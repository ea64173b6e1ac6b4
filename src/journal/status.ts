/** How one node stands, as its store knows, and as it is told. */
import type { ClusterReport } from '../protocol/http-answers.js';
import type { View } from './view.js';

export type Role = 'standby' | 'hub' | 'over';

export interface ClusterStatus {
  readonly role: Role;
  readonly node: string;
  /** Who is the hub, as far as this node knows. */
  readonly view: View;
  /** Number of the record that this node has applied. */
  readonly applied: number;
  /** The newest that is known to be in the log. */
  readonly head: number;
  /** Ms since the hub wrote to the log; undefined: not while this node listened. */
  readonly lastBeatMs: number | undefined;
  /** Ms since the log last answered; undefined: not yet. */
  readonly logMs: number | undefined;
  /** Why this node cannot take part; undefined: it does. */
  readonly problem: string | undefined;
}

export function reportOf({
  role,
  node,
  view,
  applied,
  head,
  lastBeatMs,
  logMs,
  problem,
}: ClusterStatus): ClusterReport {
  const whole = (ms: number | undefined): number | null => (ms === undefined ? null : Math.round(ms));
  return {
    ...{ role, node, term: view.term, hub: view.isHeld ? view.node : '' },
    lag: Math.max(0, head - applied),
    ...{ lastBeatMs: whole(lastBeatMs), logMs: whole(logMs) },
    ...(problem === undefined ? {} : { problem }),
  };
}
