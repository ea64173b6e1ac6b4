/** `POST /api/publish`: one event or a batch, from a backend that holds an API key. */
import * as v from 'valibot';
import { RoomwireError } from '../protocol/errors.js';
import { requireCarriable } from '../protocol/validate.js';
import type { PluginHost } from '../server/api.js';
import { Problem, Published } from './answers.js';
import { json, problemOf } from './problem.js';
import { route, type Route } from './route.js';

const BATCH = 1_000;
const Name = v.pipe(v.string(), v.minLength(1));
const Message = v.strictObject({
  topic: Name,
  event: Name,
  data: v.unknown(),
  key: v.optional(Name),
  diagnose: v.optional(v.boolean()),
});
const Request = v.union([Message, v.strictObject({ messages: v.pipe(v.array(Message), v.maxLength(BATCH)) })]);
type Message = v.InferOutput<typeof Message>;
const Results = v.object({ results: v.array(v.union([Published, v.object({ error: Problem })])) });

export function publishRoute(server: PluginHost): Route {
  return route({
    method: 'POST',
    path: '/api/publish',
    id: 'publish',
    summary: 'Publishes one event, or a batch in order and in one commit.',
    for: 'admins',
    headers: { 'idempotency-key': v.optional(v.string()) },
    body: Request,
    // One bad item has its own answer; the others are published.
    bodyInParts: true,
    answers: { 200: { description: 'where it is, and how many were there', schema: v.union([Published, Results]) } },
    problems: [404],
    async handle({ body: wanted, headers: { 'idempotency-key': header } }) {
      const publish = async (message: Message, fallback: string | undefined) => {
        requireCarriable(message, { name: 'message', level: 1 });
        const { topic, event, data, key, diagnose = false } = message;
        const published = await server.publish(topic, event, data ?? null, { key: key ?? fallback });
        return diagnose ? { ...published, diagnosis: await server.inspect(topic) } : published;
      };
      if (!('messages' in wanted)) return json(200, await publish(wanted, header));
      // All in one tick, hence one commit and in order; each has its own answer.
      const results = await Promise.all(
        wanted.messages.map((message, i) =>
          publish(message, header === undefined ? undefined : `${header}/${i}`).catch((error: unknown) => {
            if (error instanceof RoomwireError) return { error: problemOf(error) };
            throw error;
          }),
        ),
      );
      return json(200, { results });
    },
  });
}
