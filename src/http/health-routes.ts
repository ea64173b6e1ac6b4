/** Health: the process answers, the server takes work, events arrive (server/probe). */
import type { HttpResponse, PluginHost } from '../server/api.js';
import { ClusterReport, Delivery, Health, HealthSummary } from '../protocol/http-answers.js';
import { json } from './problem.js';
import { route, type Route } from './route.js';
import { version } from './version.js';

export function healthRoutes(server: PluginHost): Route[] {
  const own = version();
  const looking = (id: string, path: string, summary: string, up: () => boolean): Route =>
    route({
      method: 'GET',
      path,
      id,
      summary,
      open: true,
      answers: { 200: { description: 'yes', schema: Health }, 503: { description: 'no', schema: Health } },
      handle: async () => said(up()),
    });
  return [
    route({
      method: 'GET',
      path: '/health',
      id: 'getHealth',
      summary: 'Whether the server takes work, its version, and the engine that carries its connections.',
      open: true,
      answers: {
        200: { description: 'yes', schema: HealthSummary },
        503: { description: 'no', schema: HealthSummary },
      },
      handle: async () => said(server.ready, { version: own, engine: server.engineInfo, ...clusterOf(server) }),
    }),
    looking('isLive', '/health/live', 'Whether the process answers.', () => true),
    route({
      method: 'GET',
      path: '/health/node',
      id: 'getNode',
      summary: 'How the node of a cluster that is asked stands. It answers itself, also while there is no hub.',
      open: true,
      answers: {
        200: { description: 'it takes part, or is of no cluster', schema: ClusterReport },
        503: { description: 'it cannot take part', schema: ClusterReport },
      },
      handle: async () => nodeAnswer(server.cluster() ?? SINGLE),
    }),
    looking('isReady', '/health/ready', 'Whether the server takes work.', () => server.ready),
    route({
      method: 'GET',
      path: '/health/delivery',
      id: 'checkDelivery',
      summary: 'Whether an event that is published reaches a client, and where it stands still.',
      for: 'admins',
      answers: {
        200: { description: 'it arrived', schema: Delivery },
        503: { description: 'it did not', schema: Delivery },
      },
      async handle() {
        const found = await server.checkDelivery();
        return json(found.status === 'ok' ? 200 : 503, { ...found, counts: server.stats() });
      },
    }),
  ];
}

const SINGLE: ClusterReport = { role: 'single', node: '', term: 0, hub: '', lag: 0, lastBeatMs: null, logMs: null };

function nodeAnswer(report: ClusterReport): HttpResponse {
  return json(report.problem === undefined ? 200 : 503, report);
}

function clusterOf(server: PluginHost): { readonly cluster?: ClusterReport } {
  const cluster = server.cluster();
  return cluster === undefined ? {} : { cluster };
}

function said(up: boolean, more: object = {}): HttpResponse {
  return up
    ? json(200, { status: 'ok', ...more })
    : json(503, { status: 'unavailable', ...more }, { 'retry-after': '1' });
}
