/** For a backend, which holds an API key: who is here, in which topics; it moves them, asks them, and ends their stay. */
import * as v from 'valibot';
import type { PluginHost, Session } from '../server/api.js';
import { Answered, Kicked, Session as SessionAnswer, User, UserMoved, Users } from '../protocol/http-answers.js';
import { plainJson } from './plain-json.js';
import { HttpError, json } from './problem.js';
import { answering, route, WholeNumber, type Route } from './route.js';

const Name = v.string();
/** A reason goes into a close frame, for people. */
const Reason = v.object({ reason: v.optional(v.pipe(v.string(), v.maxLength(500))) });
const Ask = v.strictObject({
  name: v.pipe(v.string(), v.minLength(1)),
  data: v.optional(v.unknown(), null),
  timeoutMs: v.optional(v.pipe(v.number(), v.minValue(1))),
});

export function userRoutes(server: PluginHost): Route[] {
  const kick = async (sessions: readonly Session[], reason?: string): Promise<{ kicked: number }> => {
    await Promise.all(sessions.map((session) => server.kick(session, reason)));
    return { kicked: sessions.length };
  };
  /** What the user follows over HTTP ends, too. */
  const kickUser = async (userId: string, reason?: string): Promise<{ kicked: number }> => {
    const ended = server.unfollow(userId, reason);
    const { kicked } = await kick(server.sessionsOf(userId), reason);
    return { kicked: kicked + ended };
  };
  const present = (sid: string): Session => {
    const found = server.session(sid);
    if (found === undefined) throw new HttpError(404, 'no such session');
    return found;
  };

  return [
    answering({
      method: 'GET',
      path: '/api/users',
      id: 'listUsers',
      summary: 'Users who are here, by part of an id or a name.',
      for: 'admins',
      query: { search: v.optional(v.string()), limit: v.optional(WholeNumber) },
      answer: { description: 'at most 500, in the order in which they came', schema: Users },
      handle: ({ query }) => ({ users: server.users(query) }),
    }),
    answering({
      method: 'GET',
      path: '/api/users/:userId',
      id: 'getUser',
      summary: 'The sessions of a user.',
      for: 'admins',
      params: { userId: Name },
      answer: { description: 'none where nobody is there', schema: User },
      handle({ params: { userId } }) {
        const sessions = server.sessionsOf(userId);
        const connections = sessions.filter(({ connected }) => connected).length;
        return { userId, connections, sessions: sessions.map(shown) };
      },
    }),
    answering({
      method: 'DELETE',
      path: '/api/users/:userId/sessions',
      id: 'kickUser',
      summary: 'Ends all sessions of a user.',
      for: 'admins',
      params: { userId: Name },
      answer: { description: 'how many', schema: Kicked },
      handle: ({ params }) => kickUser(params.userId),
    }),
    answering({
      method: 'GET',
      path: '/api/sessions/:sid',
      id: 'getSession',
      summary: 'A session.',
      for: 'admins',
      params: { sid: Name },
      answer: { description: 'the session', schema: SessionAnswer },
      problems: [404],
      handle: ({ params }) => shown(present(params.sid)),
    }),
    answering({
      method: 'DELETE',
      path: '/api/sessions/:sid',
      id: 'kickSession',
      summary: 'Ends a session.',
      for: 'admins',
      params: { sid: Name },
      answer: { description: 'how many: 1', schema: Kicked },
      problems: [404],
      handle: ({ params }) => kick([present(params.sid)]),
    }),
    route({
      method: 'POST',
      path: '/api/users/:userId/kick',
      id: 'kickUserForReason',
      summary: 'Ends all sessions of a user, and says why.',
      for: 'admins',
      params: { userId: Name },
      body: Reason,
      bodyOptional: true,
      answers: { 200: { description: 'how many', schema: Kicked } },
      handle: async ({ params, body: { reason } }) => json(200, await kickUser(params.userId, reason)),
    }),
    route({
      method: 'POST',
      path: '/api/sessions/:sid/call',
      id: 'callSession',
      summary: 'Asks a client, and waits for its answer.',
      for: 'admins',
      params: { sid: Name },
      body: Ask,
      answers: { 200: { description: 'what the client answered', schema: Answered } },
      problems: [404, 409, 504],
      async handle({ params, body: { name, data, timeoutMs } }) {
        const options = timeoutMs === undefined ? {} : { timeoutMs };
        const result = await server.call(present(params.sid), name, data, options);
        return json(200, { result: plainJson(result) });
      },
    }),
    ...(['PUT', 'DELETE'] as const).flatMap((method) => {
      const isIn = method === 'PUT';
      const moves = (topic: string): object => (isIn ? { subscribe: [topic] } : { unsubscribe: [topic] });
      return [
        answering({
          method,
          path: '/api/sessions/:sid/topics/:topic',
          id: isIn ? 'subscribeSession' : 'unsubscribeSession',
          summary: isIn ? 'Puts a session into a topic of the contract.' : 'Takes a session out of a topic.',
          for: 'admins',
          params: { sid: Name, topic: Name },
          answer: { description: 'the session, with its topics', schema: SessionAnswer },
          problems: [404, 429],
          async handle({ params: { sid, topic } }) {
            const [moved] = await server.move([present(sid)], moves(topic));
            if (moved === undefined) throw new HttpError(404, 'no such session');
            return shown(moved);
          },
        }),
        answering({
          method,
          path: '/api/users/:userId/topics/:topic',
          id: isIn ? 'subscribeUser' : 'unsubscribeUser',
          summary: isIn
            ? 'Puts the sessions that a user has now into a topic of the contract.'
            : 'Takes the sessions that a user has now out of a topic.',
          for: 'admins',
          params: { userId: Name, topic: Name },
          answer: { description: 'the sessions, none where nobody is there', schema: UserMoved },
          problems: [404, 429],
          async handle({ params: { userId, topic } }) {
            const moved = await server.move(server.sessionsOf(userId), moves(topic));
            return { userId, topic, sessions: moved.map(shown) };
          },
        }),
      ];
    }),
  ];
}

function shown({ sid, user, connected, topics }: Session): object {
  return { sid, user: { id: user.id, name: user.name }, connected, topics: [...topics] };
}
