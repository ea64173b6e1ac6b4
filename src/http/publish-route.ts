/** `POST /api/publish`: one event or a batch, from a backend that holds an API key. */
import * as v from 'valibot';
import { RoomwireError } from '../protocol/errors.js';
import type { PluginHost } from '../server/api.js';
import { json, problemOf } from './problem.js';
import { body, type Route } from './router.js';

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

export function publishRoute(server: PluginHost): Route {
  return {
    method: 'POST',
    path: '/api/publish',
    async handle({ request, caller }) {
      if (caller.kind === 'user') throw new RoomwireError('forbidden', 'publishing over HTTP takes an API key');
      const wanted = body(request, Request);
      const header = request.headers['idempotency-key'];
      const publish = async ({ topic, event, data, key, diagnose = false }: Message, fallback: string | undefined) => {
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
  };
}
