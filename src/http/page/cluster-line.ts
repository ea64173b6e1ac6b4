/** In the top bar, where there is a cluster: how the node that serves this page stands. Other servers are asked once. */
import type { ClusterReport } from '../../protocol/http-answers.js';
import { byId, setText } from './dom.js';
import { isolated } from './isolated.js';
import { Poll } from './poll.js';

export function showCluster(): void {
  const line = byId('cluster', HTMLSpanElement);
  const poll = new Poll(async () => {
    setText(line, textOf((await (await fetch('./health/node')).json()) as ClusterReport));
    line.hidden = false;
  });
  const begin = async (): Promise<void> => {
    const { cluster } = (await (await fetch('./health')).json()) as { readonly cluster?: ClusterReport };
    if (cluster !== undefined) poll.start();
  };
  // Without an answer the bar says enough.
  begin().catch(() => undefined);
}

function textOf({ role, node, hub, term, lag, lastBeatMs, problem }: ClusterReport): string {
  if (problem !== undefined) return `${role} ${isolated(node)}: ${isolated(problem)}`;
  const parts = [`${role} ${isolated(node)}`, `term ${term}`];
  if (role === 'standby') parts.push(hub === '' ? 'no hub' : `hub ${isolated(hub)}`, `${lag} behind`);
  if (lastBeatMs !== null) parts.push(`beat ${(lastBeatMs / 1_000).toFixed(1)} s ago`);
  return parts.join(', ');
}
