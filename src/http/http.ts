/** The HTTP plugin: health, REST for rooms, publishing for backends and the page, on the server's own port. */
import type { AuditEvent, HttpCaller, HttpRequest, HttpResponse, Plugin, PluginHost } from '../server/api.js';
import { oneOf, webOrigin } from '../protocol/setting.js';
import type { RoomsApi } from '../rooms/rooms.js';
import { adminRoutes } from './admin-routes.js';
import { eventsRoute } from './events-route.js';
import { healthRoutes } from './health-routes.js';
import { metricsRoutes, type MetricsAccess } from './metrics.js';
import { pageFile } from './page-files.js';
import { openApiRoute } from './openapi-route.js';
import { json, refusal, refusalOf, type Answered } from './problem.js';
import { publishRoute } from './publish-route.js';
import { roomRoutes } from './room-routes.js';
import { OwnRoutes, Router, type HttpApi, type Incoming } from './router.js';
import { userRoutes } from './user-routes.js';
import { watchRoutes } from './watch-routes.js';

export interface HttpOptions {
  /** Serves the page at `/`. Default true. */
  readonly page?: boolean;
  /** Who may read `/metrics`: `key` (default; guests too, where there are any), `open`: everyone, `off`: nobody. */
  readonly metrics?: MetricsAccess;
  /** Web origins whose pages may use this API, such as `https://app.example`. Default none but its own. */
  readonly origins?: readonly string[];
}

const ALLOWED = {
  'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
  'access-control-allow-headers':
    'authorization, content-type, if-match, if-none-match, lock-token, lock-target, idempotency-key, last-event-id',
  'access-control-max-age': '600',
};

const EXPOSED = { 'access-control-expose-headers': 'etag, location, retry-after, allow, www-authenticate' };

/** What a refusal says to the audit trail. */
const EVENTS: Readonly<Record<number, AuditEvent>> = {
  401: 'login_refused',
  403: 'denied',
  413: 'limit',
  429: 'limit',
};

/** Put it after `rooms()` in `plugins` to serve their REST too. */
export function http({ page = true, metrics = 'key', origins = [] }: HttpOptions = {}): Plugin<'http', HttpApi> {
  oneOf('metrics', metrics, ['key', 'open', 'off']);
  for (const origin of origins) webOrigin('origins', origin);
  return {
    name: 'http',
    setup(server) {
      const rooms = server.plugins['rooms'] as RoomsApi | undefined;
      const ofRooms = rooms === undefined ? undefined : roomRoutes(rooms);
      const routes = [
        ...healthRoutes(server),
        publishRoute(server, rooms),
        ...adminRoutes(server),
        ...userRoutes(server),
        ...watchRoutes(server, rooms),
        eventsRoute(server),
        ...metricsRoutes(server, rooms, metrics),
        ...(ofRooms?.routes ?? []),
      ];
      const authenticate = async (request: HttpRequest): Promise<HttpCaller> => {
        const caller = await server.authenticate(request);
        if (caller.kind === 'key' && !['GET', 'HEAD'].includes(request.method)) {
          server.audit({ event: 'admin', user: caller.user.id, ...placeOf(request) });
        }
        return caller;
      };
      const own = new OwnRoutes(server, authenticate);
      routes.push(
        openApiRoute(() => [...routes, ...own.listed], { names: ofRooms?.names ?? {}, basePath: server.basePath }),
      );
      const router = new Router(routes, authenticate, (perSecond) => server.rate(perSecond));
      server.onRequest(async (request, gone) => {
        if (request.method === 'OPTIONS' && isAllowed(request, origins)) {
          return forOrigin({ status: 204, headers: ALLOWED, body: '' }, request, origins);
        }
        const { response, reason } = await answer({ request, gone }, [router, own], page);
        if (reason !== undefined && response !== undefined) note(server, request, response.status, reason);
        return response && forOrigin(response, request, origins);
      });
      server.onRefusedRequest((request, error) => forOrigin(refusal(error), request, origins));
      return own;
    },
  };
}

function placeOf({ method, path, address }: HttpRequest): { address: string; target: string } {
  return { address, target: `${method} ${path}` };
}

/** To the audit trail where it is of interest to security, else to the log alone. */
function note(server: PluginHost, request: HttpRequest, status: number, reason: string): void {
  const event = EVENTS[status];
  if (event !== undefined) server.audit({ event, ...placeOf(request), code: String(status), reason });
  else server.log.info({ ...placeOf(request), code: String(status), reason }, 'refused');
}

async function answer(asked: Incoming, [router, own]: readonly [Router, OwnRoutes], page: boolean): Promise<Answered> {
  try {
    const allowed = new Set<string>();
    const found = await router.answer(asked, allowed);
    if (found !== undefined) return { response: found };
    const owned = await own.answer(asked, allowed);
    if (owned !== undefined) return owned;
    return { response: (page ? pageFile(asked.request) : undefined) ?? unknownPath(asked.request) };
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    return refusal;
  }
}

/** Paths of ours that do not exist; any other may be another plugin's. */
function unknownPath({ path }: HttpRequest): HttpResponse | undefined {
  if (!path.startsWith('/api/')) return undefined;
  const detail = 'no such path; see docs/http.md';
  return json(404, { type: 'about:blank', title: detail, status: 404, detail }, {}, 'application/problem+json');
}

function isAllowed({ headers: { origin } }: HttpRequest, origins: readonly string[]): boolean {
  return origin !== undefined && origins.includes(origin);
}

/** What lets a page of an allowed origin read the answer, whatever it is: refusals and failures too. */
function forOrigin(response: HttpResponse, request: HttpRequest, origins: readonly string[]): HttpResponse {
  if (origins.length === 0) return response;
  const { vary, ...headers } = namesLowered(response.headers);
  const varied = { ...headers, vary: vary === undefined ? 'origin' : `${vary}, origin` };
  if (!isAllowed(request, origins)) return { ...response, headers: varied };
  const cors = { 'access-control-allow-origin': request.headers['origin'] as string, ...EXPOSED };
  return { ...response, headers: { ...varied, ...cors } };
}

/** An endpoint of the program's own may write them as it likes. */
function namesLowered(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
