/**
 * `GET /metrics` for Prometheus: what the server counted (watch/counters.ts), what it holds now, and the
 * refusals it hears of. A registry per server; everything is read when it is asked for. All labels come
 * from sets that are fixed when the server starts, so that no client can make a new series.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Registry } from 'prom-client';
import { closes, errors } from '../protocol/codes.js';
import type { RoomsApi } from '../rooms/rooms.js';
import type { AuditEntry, EdgeReport, PluginHost } from '../server/api.js';
import { route, type Route } from './route.js';
import type { HooksApi } from '../hooks/hooks.js';
import type { OutboxApi } from '../hooks/outbox.js';
import { addCluster } from './cluster-metrics.js';
import { gaugesIn } from './gauges.js';
import { addHookMetrics } from './hook-metrics.js';
import { TimingMetric, type Timings } from './timing-metric.js';

/** Who may read them: holders of an API key (and guests, where guests may do everything), everyone, nobody. */
export type MetricsAccess = 'key' | 'open' | 'off';

/** Of admission: what an upgrade is refused for. */
const ADMISSION = ['connections', 'connectionsPerAddress', 'upgradesPerSecond', 'upgradesPerSecondPerAddress'];
const CODES = new Set([...Object.keys(errors), ...Object.keys(closes), ...ADMISSION, 'badTokensPerSecondPerAddress']);
const QUANTILES = [50, 99, 100] as const;
const LOOP_RESOLUTION_MS = 20;

/** No route when they are off. */
export function metricsRoutes(
  server: PluginHost,
  rooms: RoomsApi | undefined,
  access: MetricsAccess,
): readonly Route[] {
  if (access === 'off') return [];
  const registry = new Registry();
  addCounts(registry, server);
  addHoldings(registry, server, rooms);
  addEdges(registry, server);
  addCluster(registry, server);
  addProcess(registry, server);
  const hooks = server.plugins['hooks'] as HooksApi | undefined;
  if (hooks !== undefined) addHookMetrics(registry, hooks);
  const outbox = server.plugins['outbox'] as OutboxApi | undefined;
  if (outbox !== undefined) addOutbox(registry, outbox);
  return [
    route({
      method: 'GET',
      path: '/metrics',
      id: 'getMetrics',
      summary: 'Metrics for Prometheus.',
      ...(access === 'open' ? { open: true } : { for: 'admins' }),
      answers: { 200: { description: 'in the text format of Prometheus', type: 'text/plain' } },
      async handle() {
        const headers = { 'content-type': registry.contentType, 'cache-control': 'no-store' };
        return { status: 200, headers, body: await registry.metrics() };
      },
    }),
  ];
}

/** What only grows. */
function addCounts(registry: Registry, server: PluginHost): void {
  const { counts } = server;
  const counter = (name: string, help: string, read: () => number): void => {
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        set(this, {}, read());
      },
    });
  };
  counter('roomwire_connects_total', 'Connections that were welcomed.', () => counts.connected);
  new Counter({
    name: 'roomwire_disconnects_total',
    help: 'Connections that ended, by the name or number of the close code.',
    labelNames: ['code'],
    registers: [registry],
    collect() {
      for (const [code, count] of counts.disconnected) set(this, { code }, count);
    },
  });
  counter('roomwire_messages_received_total', 'WebSocket messages received.', () => counts.messagesIn);
  counter('roomwire_frames_received_total', 'Frames in these messages.', () => counts.framesIn);
  counter('roomwire_received_bytes_total', 'Bytes of these messages.', () => counts.bytesIn);
  counter('roomwire_events_total', 'Events appended to topics.', () => counts.events);
  counter('roomwire_deliveries_total', 'Events, times the subscribers they were for.', () => counts.deliveries);
  counter('roomwire_delivery_bytes_total', 'Bytes of these deliveries.', () => counts.deliveryBytes);
  counter('roomwire_reply_bytes_total', 'Bytes of replies and notices.', () => counts.replyBytes);
  counter('roomwire_catch_up_bytes_total', 'Bytes sent from the history.', () => counts.catchUpBytes);
  counter('roomwire_resets_total', 'RESETs told: clients too slow for the history.', () => counts.resets);
  counter('roomwire_live_bytes_total', 'Bytes sent to those who follow topics over HTTP.', () => counts.liveBytes);
  counter('roomwire_commits_refused_total', 'Commits that the store refused.', () => counts.commitsRefused);
  new Counter({
    name: 'roomwire_calls_total',
    help: 'Calls by name and result (ok or the error\'s name); call="": not in the contract.',
    labelNames: ['call', 'result'],
    registers: [registry],
    collect() {
      for (const [call, { results }] of counts.calls) {
        for (const [result, count] of results) set(this, { call, result }, count);
      }
    },
  });
  const timing = (name: string, help: string, read: () => Timings): void =>
    registry.registerMetric(new TimingMetric(name, help, read));
  timing('roomwire_call_duration_seconds', 'From a call to its answer.', () =>
    [...counts.calls].filter(([, { results }]) => results.size > 0).map(([call, { duration }]) => [{ call }, duration]),
  );
  timing('roomwire_commit_duration_seconds', 'A commit of the store, retries included.', () => [[{}, counts.commit]]);
  timing('roomwire_flush_duration_seconds', 'From a commit to all its replies and events in sockets.', () => [
    [{}, counts.flush],
  ]);
  const refusals = new Counter({
    name: 'roomwire_refusals_total',
    help: 'Refused connections, requests and frames: the events of the audit trail, by code.',
    labelNames: ['event', 'code'],
    registers: [registry],
  });
  server.onAudit((entry) => refusals.inc({ event: entry.event, code: codeOf(entry) }));
}

/** What there is now. */
function addHoldings(registry: Registry, server: PluginHost, rooms: RoomsApi | undefined): void {
  let stats = server.stats();
  const gauge = gaugesIn(registry);
  // The first to be read takes the numbers for all of them.
  gauge('roomwire_connections', 'Open connections.', () => (stats = server.stats()).connections);
  gauge('roomwire_connections_stalled', 'Connections whose socket takes no more for now.', () => stats.stalled);
  gauge('roomwire_cursors_behind', 'Subscriptions not sent yet what is there for them.', () => stats.behind);
  gauge('roomwire_sessions', 'Sessions, those in their grace too.', () => stats.sessions);
  gauge('roomwire_users', 'Users with a session.', () => stats.users);
  gauge('roomwire_topics', 'Topics in memory.', () => stats.topics);
  gauge('roomwire_ring_bytes', 'Bytes of the events kept in memory.', () => stats.ringBytes);
  gauge('roomwire_live_readers', 'Those who follow topics over HTTP, or poll them.', () => stats.readers);
  gauge('roomwire_ready', '1 while the server takes work.', () => (server.ready ? 1 : 0));
  if (rooms === undefined) return;
  new Gauge({
    name: 'roomwire_holders',
    help: 'Held locks, presenters, and calls that wait for a lock.',
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      for (const [kind, count] of Object.entries(rooms.holders())) this.set({ kind }, count);
    },
  });
}

/** Of each edge that is joined now. Their names are no client's to make. */
function addEdges(registry: Registry, server: PluginHost): void {
  const gauge = (name: string, help: string, read: (edge: EdgeReport) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['edge'],
      registers: [registry],
      collect() {
        this.reset();
        for (const edge of server.edges()) this.set({ edge: edge.name }, read(edge));
      },
    });
  };
  gauge('roomwire_edge_connections', 'Open connections of an edge.', ({ connections }) => connections);
  gauge('roomwire_edge_in_flight_bytes', 'Sent to an edge and not taken yet.', ({ inFlightBytes }) => inFlightBytes);
  gauge('roomwire_edge_cpu_seconds_total', 'CPU time of an edge.', ({ cpuSeconds }) => cpuSeconds);
  gauge('roomwire_edge_resident_memory_bytes', 'Resident memory of an edge.', ({ rssBytes }) => rssBytes);
  gauge(
    'roomwire_edge_event_loop_delay_seconds',
    'How late the event loop of an edge was in the last second, at most.',
    ({ loopDelay }) => loopDelay[2],
  );
}

/** Rows of the backend's database that are to be published. */
function addOutbox(registry: Registry, outbox: OutboxApi): void {
  const gauge = gaugesIn(registry);
  gauge('roomwire_outbox_up', '1 while the rows of the outbox are taken.', () => (outbox.stats().up ? 1 : 0));
  gauge('roomwire_outbox_waiting', 'Rows that waited when they were last looked at.', () => outbox.stats().waiting);
  gauge('roomwire_outbox_lag_seconds', 'How long the first of them had waited.', () => outbox.stats().lagSeconds);
  const counts = { published: 'Rows published.', refused: 'Rows set aside, as they are no events.' } as const;
  for (const [name, help] of Object.entries(counts) as [keyof typeof counts, string][]) {
    new Counter({
      name: `roomwire_outbox_${name}_total`,
      help,
      registers: [registry],
      collect() {
        set(this, {}, outbox.stats()[name]);
      },
    });
  }
}

function addProcess(registry: Registry, server: PluginHost): void {
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  server.onOpen(() => void delay.enable());
  server.onClose(() => void delay.disable());
  new Gauge({
    name: 'roomwire_event_loop_delay_seconds',
    help: 'How late the event loop was since these were last read.',
    labelNames: ['quantile'],
    registers: [registry],
    collect() {
      for (const percent of QUANTILES) {
        // What is measured includes the wait that was asked for.
        const late = delay.count === 0 ? 0 : delay.percentile(percent) / 1e9 - LOOP_RESOLUTION_MS / 1e3;
        this.set({ quantile: String(percent / 100) }, Math.max(0, late));
      }
      delay.reset();
    },
  });
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time of the process.',
    registers: [registry],
    collect() {
      const { user, system } = process.cpuUsage();
      set(this, {}, (user + system) / 1e6);
    },
  });
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory of the process.',
    registers: [registry],
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  const start = new Gauge({
    name: 'process_start_time_seconds',
    help: 'When the process started, in Unix time.',
    registers: [registry],
  });
  start.set(Math.round(Date.now() / 1_000 - process.uptime()));
}

/** A code of the tables, an admission limit, or an HTTP status. */
function codeOf({ code, target = '' }: AuditEntry): string {
  const known = code ?? target;
  if (CODES.has(known) || /^[45]\d\d$/.test(known)) return known;
  return code === undefined ? '' : 'other';
}

function set(counter: Counter, labels: Record<string, string>, value: number): void {
  counter.remove(labels);
  counter.inc(labels, value);
}
