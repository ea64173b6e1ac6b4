/** `POST /api/publish`: one event or a batch, from a backend that holds an API key. */
import * as v from 'valibot';
import { RoomwireError } from '../protocol/errors.js';
import { requireCarriable, unfit } from '../protocol/validate.js';
import type { RoomsApi } from '../rooms/rooms.js';
import type { PluginHost, PublishOptions } from '../server/api.js';
import { Problem, Published } from '../protocol/http-answers.js';
import { BUG, json, partProblem } from './problem.js';
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
type Message = v.InferOutput<typeof Message>;
/** One that does not fit has its own answer, like one that is refused later: the others are published. */
const Item = v.fallback(Message, (found) => unfit(found?.issues ?? []) as never) as v.GenericSchema<
  Message,
  Message | RoomwireError
>;
const Request = v.union([Message, v.strictObject({ messages: v.pipe(v.array(Item), v.maxLength(BATCH)) })]);
const Results = v.object({ results: v.array(v.union([Published, v.object({ error: Problem })])) });

type Key = Pick<PublishOptions, 'key' | 'keyScope' | 'keyOwner'>;

export function publishRoute(server: PluginHost, rooms: RoomsApi | undefined): Route {
  const publish = async (message: Message, key: Key) => {
    requireCarriable(message, { name: 'message', level: 1 });
    const { topic, event, data, diagnose = false } = message;
    if (diagnose && (await isNobodys(topic))) return unpublished(topic);
    const published = await server.publish(topic, event, data ?? null, key);
    return diagnose ? { ...published, ...(await diagnosed(topic)) } : published;
  };
  /** Whether it is the topic of a room that nobody made. */
  const isNobodys = async (topic: string): Promise<boolean> => {
    const roomId = /^room:(.+)$/su.exec(topic)?.[1];
    return roomId !== undefined && rooms !== undefined && (await rooms.get(roomId)) === undefined;
  };
  /** Of a room that is not there: a name that was misspelt is not to be one that exists from then on. */
  const unpublished = async (topic: string) => ({
    epoch: '',
    offset: 0,
    matched: 0,
    diagnosis: await server.inspect(topic),
  });
  /** The event is there, whatever becomes of this. */
  const diagnosed = async (topic: string) => {
    try {
      return { diagnosis: await server.inspect(topic) };
    } catch (error) {
      server.log.warn({ err: error, topic }, 'an event was published, and its topic could not be diagnosed');
      return {};
    }
  };
  const failure = (error: unknown): { readonly error: Problem } => {
    const problem = partProblem(error);
    if (problem === undefined) server.log.error({ err: error }, 'one event of a batch could not be published');
    return { error: problem ?? BUG };
  };

  return route({
    method: 'POST',
    path: '/api/publish',
    id: 'publish',
    summary: 'Publishes one event, or a batch in order and in one commit.',
    for: 'admins',
    headers: { 'idempotency-key': v.optional(v.pipe(v.string(), v.minLength(1, 'must not be empty'))) },
    body: Request,
    // One bad item has its own answer; the others are published.
    bodyInParts: true,
    answers: { 200: { description: 'where it is, and how many were there', schema: v.union([Published, Results]) } },
    problems: [404],
    async handle({ body: wanted, headers: { 'idempotency-key': header }, caller }) {
      // Guests are each another user at each request, and all the same developer.
      const keyScope = [caller.holder ?? caller.kind];
      const owned = caller.keyOwner === undefined ? { keyScope } : { keyScope, keyOwner: caller.keyOwner };
      if (!('messages' in wanted)) {
        const key = wanted.key ?? header;
        return json(200, await publish(wanted, key === undefined ? {} : { ...owned, key }));
      }
      const keyOf = (key: string | undefined, i: number): Key => {
        if (key !== undefined) return { ...owned, key };
        // Apart from keys that are given: a batch's own key is no item's.
        return header === undefined ? {} : { ...owned, key: header, keyScope: [...keyScope, 'item', String(i)] };
      };
      // All in one tick, hence one commit and in order; each has its own answer.
      const results = await Promise.all(
        wanted.messages.map(async (message, i) => {
          try {
            if (message instanceof RoomwireError) throw message;
            return await publish(message, keyOf(message.key, i));
          } catch (error) {
            return failure(error);
          }
        }),
      );
      return json(200, { results });
    },
  });
}
