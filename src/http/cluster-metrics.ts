/**
 * Metrics of a cluster, which the hub answers whichever node is asked: how it stands itself, and how it last saw each node.
 * Nodes are few, and no client's to make.
 */
import { Gauge, type Registry } from 'prom-client';
import type { NodeReport, PluginHost } from '../server/api.js';
import { gaugesIn } from './gauges.js';

/** None for a server that is of no cluster. */
export function addCluster(registry: Registry, server: PluginHost): void {
  const own = server.cluster();
  if (own === undefined) return;
  const add = gaugesIn(registry);
  const since = (ms: number | null | undefined): number => (ms ?? 0) / 1_000;
  add('roomwire_cluster_term', 'The term of the hub: it grows by one with each.', () => server.cluster()?.term ?? 0);
  add('roomwire_cluster_last_append_seconds', 'Since the hub last wrote to the log.', () =>
    since(server.cluster()?.lastBeatMs),
  );
  add('roomwire_cluster_log_answer_seconds', 'Since the log last answered the hub.', () =>
    since(server.cluster()?.logMs),
  );
  const ofNodes = (name: string, help: string, read: (node: NodeReport) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['node'],
      registers: [registry],
      collect() {
        this.reset();
        for (const node of server.nodes()) this.set({ node: node.node }, read(node));
      },
    });
  };
  ofNodes('roomwire_node_hub', '1 for a node that is the hub.', ({ role }) => (role === 'hub' ? 1 : 0));
  ofNodes('roomwire_node_term', 'The newest term that a node knows.', ({ term }) => term);
  ofNodes('roomwire_node_lag_records', 'Records of the log that a node has yet to apply.', ({ lag }) => lag);
  ofNodes('roomwire_node_stuck', '1 for a node that cannot take part.', ({ problem }) =>
    problem === undefined ? 0 : 1,
  );
  ofNodes('roomwire_node_seen_seconds', 'Since a node told of itself, which it does each second.', ({ seenMs }) =>
    since(seenMs),
  );
}
