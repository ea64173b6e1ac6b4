/** For administrators, who hold an API key: who is connected, how topics stand, why an event did not arrive. */
import { RoomwireError } from '../protocol/errors.js';
import type { HttpCaller, PluginHost, Session } from '../server/api.js';
import { HttpError, json } from './problem.js';
import { queryNumber, type Route, type RouteContext } from './router.js';

export function adminRoutes(server: PluginHost): Route[] {
  const route = (
    method: Route['method'],
    path: string,
    handle: (context: RouteContext) => Promise<unknown>,
  ): Route => ({
    method,
    path,
    async handle(context) {
      requireAdmin(context.caller);
      return json(200, await handle(context));
    },
  });
  const kick = async (sessions: readonly Session[]): Promise<{ kicked: number }> => {
    await Promise.all(sessions.map((session) => server.kick(session)));
    return { kicked: sessions.length };
  };
  const session = ({ params }: RouteContext): Session => {
    const found = server.session(params['sid'] as string);
    if (found === undefined) throw new HttpError(404, 'no such session');
    return found;
  };

  return [
    route('GET', '/api/stats', async () => server.stats()),
    route('GET', '/api/topics/:topic', ({ params }) => server.inspect(params['topic'] as string)),
    route('GET', '/api/topics/:topic/why', async ({ params, query }) => {
      const offset = queryNumber(query, 'offset');
      const who = query.get('session') ?? query.get('user');
      if (offset === undefined || who === null) throw new HttpError(400, 'ask with ?offset=N&user=ID or &session=SID');
      return server.why(params['topic'] as string, offset, who);
    }),
    route('GET', '/api/users/:userId', async ({ params }) => {
      const sessions = server.sessionsOf(params['userId'] as string);
      const connections = sessions.filter(({ connected }) => connected).length;
      return { userId: params['userId'], connections, sessions: sessions.map(shown) };
    }),
    route('DELETE', '/api/users/:userId/sessions', ({ params }) => kick(server.sessionsOf(params['userId'] as string))),
    route('GET', '/api/sessions/:sid', async (context) => shown(session(context))),
    route('DELETE', '/api/sessions/:sid', (context) => kick([session(context)])),
  ];
}

/** Guests exist only on loopback without keys, where everyone may do everything. Throws forbidden. */
export function requireAdmin({ kind }: HttpCaller): void {
  if (kind === 'user') throw new RoomwireError('forbidden', 'this takes an API key');
}

function shown({ sid, user, connected, topics }: Session): object {
  return { sid, user: { id: user.id, name: user.name }, connected, topics: [...topics] };
}
