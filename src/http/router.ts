/** Routes: a table of method, path pattern and handler; answers 404 and 405 itself and reads JSON bodies strictly. */
import type * as v from 'valibot';
import { checked } from '../protocol/validate.js';
import type { HttpCaller, HttpRequest, HttpResponse, PluginHost } from '../server/api.js';
import { HttpError } from './problem.js';

export interface RouteContext {
  readonly request: HttpRequest;
  /** The path's parts, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly caller: HttpCaller;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Such as `/api/rooms/:roomId`. */
  readonly path: string;
  /** Needs no credentials; `caller` is a guest then. */
  readonly open?: boolean;
  /** Requests a second of one user, or of one address where that is all one knows; not of API keys. */
  readonly perSecond?: number;
  handle(context: RouteContext): Promise<HttpResponse>;
}

const NOBODY: HttpCaller = { kind: 'guest', user: { id: '', name: '' } };

interface Compiled {
  readonly route: Route;
  /** Throws too_many. */
  readonly take: ((key: string) => void) | undefined;
  readonly regex: RegExp;
  readonly names: readonly string[];
}

export class Router {
  readonly #routes: readonly Compiled[];
  readonly #authenticate: (request: HttpRequest) => Promise<HttpCaller>;

  /** Throws a TypeError for a rate that is not above 0. */
  constructor(
    routes: readonly Route[],
    authenticate: (request: HttpRequest) => Promise<HttpCaller>,
    rate: PluginHost['rate'],
  ) {
    this.#routes = routes.map((route) => {
      const names: string[] = [];
      const source = route.path.replace(/:(\w+)/g, (_, name: string) => {
        names.push(name);
        return '([^/]+)';
      });
      const take = route.perSecond === undefined ? undefined : rate(route.perSecond);
      return { route, take, regex: new RegExp(`^${source}$`), names };
    });
    this.#authenticate = authenticate;
  }

  /** undefined when no route has this path. Throws HttpError and RoomwireError. */
  async answer(request: HttpRequest): Promise<HttpResponse | undefined> {
    const allowed: string[] = [];
    for (const { route, take, regex, names } of this.#routes) {
      const match = regex.exec(request.path);
      if (match === null) continue;
      const method = request.method === 'HEAD' ? 'GET' : request.method;
      if (route.method !== method) {
        allowed.push(route.method);
        continue;
      }
      const params = Object.fromEntries(names.map((name, i) => [name, decodePart(match[i + 1] as string)]));
      const caller = route.open === true ? NOBODY : await this.#authenticate(request);
      if (caller.kind !== 'key') take?.(caller.kind === 'user' ? `user ${caller.user.id}` : `at ${request.address}`);
      return route.handle({ request, params, query: new URLSearchParams(request.query), caller });
    }
    if (allowed.length === 0) return undefined;
    const allow = [...new Set(allowed)].join(', ');
    throw new HttpError(405, `this path takes ${allow}`, { allow });
  }
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new HttpError(400, 'the path is not valid percent-encoding');
  }
}

/** The request's JSON body, checked. `optional`: an empty body counts as `{}`. */
export function body<S extends v.GenericSchema>(
  request: HttpRequest,
  schema: S,
  { optional = false }: { readonly optional?: boolean } = {},
): v.InferOutput<S> {
  if (request.bodyTooLarge) throw new HttpError(413, 'the body is too large');
  let value: unknown = {};
  if (request.body.length > 0 || !optional) {
    const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
    // Also what keeps a foreign page's plain form from writing here.
    if (type !== 'application/json') throw new HttpError(415, 'send Content-Type: application/json');
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(request.body));
    } catch {
      throw new HttpError(400, 'the body is not valid JSON');
    }
  }
  return checked(schema, value);
}

/** A whole number in the query, or undefined when it is not there. */
export function queryNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new HttpError(400, `${name} must be a whole number`);
  return Number(text);
}
