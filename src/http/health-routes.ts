/** Health: the process answers, the server takes work, events arrive (server/probe). */
import type { PluginHost } from '../server/api.js';
import { Delivery, Health } from './answers.js';
import { json } from './problem.js';
import { route, type Route } from './route.js';

export function healthRoutes(server: PluginHost): Route[] {
  const looking = (id: string, path: string, summary: string, up: () => boolean): Route =>
    route({
      method: 'GET',
      path,
      id,
      summary,
      for: 'everyone',
      answers: { 200: { description: 'yes', schema: Health }, 503: { description: 'no', schema: Health } },
      handle: async () =>
        up() ? json(200, { status: 'ok' }) : json(503, { status: 'unavailable' }, { 'retry-after': '1' }),
    });
  return [
    looking('isLive', '/health/live', 'Whether the process answers.', () => true),
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
