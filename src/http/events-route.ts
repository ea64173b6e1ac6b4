/**
 * `GET /api/topics/:topic/events`: the log of a topic for a backend, or its events as they come, for whoever may subscribe to
 * it: one answer that goes on (`live=sse`), or the next that there are (`live=poll`).
 */
import * as v from 'valibot';
import { RoomwireError } from '../protocol/errors.js';
import type { Position } from '../protocol/frames.js';
import { History, Polled } from '../protocol/http-answers.js';
import type { PluginHost } from '../server/api.js';
import { eventStream } from './event-stream.js';
import { plainEvent } from './plain-json.js';
import { json } from './problem.js';
import { requireAdmin, route, WholeNumber, type Route } from './route.js';

const LAST_EVENT_ID = 'last-event-id';
/** No proxy is to keep it, compress it or gather it. */
const STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
};

export function eventsRoute(server: PluginHost): Route {
  return route({
    method: 'GET',
    path: '/api/topics/:topic/events',
    id: 'readEvents',
    summary:
      'Events of a topic as its log has them (API keys), or live, for who may subscribe; who asks is not in the topic.',
    params: { topic: v.string() },
    query: {
      after: v.optional(v.pipe(WholeNumber, v.description('an offset of the epoch that is'))),
      limit: v.optional(WholeNumber),
      live: v.optional(
        v.pipe(
          v.picklist(['sse', 'poll']),
          v.description(
            'sse: one answer that goes on; poll: one answer, as soon as there are events, or after a while',
          ),
        ),
      ),
    },
    headers: {
      [LAST_EVENT_ID]: v.optional(
        v.pipe(v.string(), v.description('with `live`: the position to go on from, `<epoch>:<offset>`')),
      ),
    },
    answers: {
      200: {
        description: 'in order; without `after` the newest. Live: those after the position',
        schema: v.union([Polled, History]),
        also: 'text/event-stream',
      },
    },
    problems: [404],
    async handle({ request, params: { topic }, query: { after, limit, live }, headers, caller, gone }) {
      if (live === undefined) {
        requireAdmin(caller);
        const history = await server.history(topic, { after, limit });
        return json(200, { ...history, events: history.events.map(plainEvent) });
      }
      const { address, method } = request;
      const from = positionOf(headers[LAST_EVENT_ID]) ?? after;
      const asked = { caller, address, from, gone };
      if (live === 'poll') {
        const { position, ...found } = await server.poll(topic, { ...asked, limit });
        return json(200, { ...found, events: found.events.map(plainEvent), lastEventId: position.join(':') });
      }
      // What would be followed is asked for by GET alone.
      const body = method === 'HEAD' ? '' : await server.follow(topic, { ...asked, format: eventStream });
      return { status: 200, headers: STREAM_HEADERS, body };
    },
  });
}

/** Throws bad_request. */
function positionOf(text: string | undefined): Position | undefined {
  if (text === undefined) return undefined;
  const [, epoch, offset] = /^([^\s:]{1,200}):(0|[1-9]\d{0,14})$/.exec(text) ?? [];
  if (epoch !== undefined) return [epoch, Number(offset)];
  const message = 'takes the id of an event, <epoch>:<offset>';
  throw new RoomwireError('bad_request', `${LAST_EVENT_ID}: ${message}`, {
    details: { issues: [{ path: LAST_EVENT_ID, message }] },
  });
}
