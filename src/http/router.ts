/** Finds the route of a request by method and path pattern; answers 404 and 405 itself. */
import type { HttpCaller, HttpRequest, HttpResponse, PluginHost } from '../server/api.js';
import { HttpError } from './problem.js';
import type { Arrived } from './route.js';

/** What the router needs of a route. */
export interface Routed {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly for?: 'everyone' | 'known' | 'admins';
  /** Requests a second of one user, or of one address where that is all one knows; not of API keys. */
  readonly perSecond?: number;
  answer(arrived: Arrived): Promise<HttpResponse>;
}

const NOBODY: HttpCaller = { kind: 'nobody', user: { id: '', name: '' } };

interface Compiled {
  readonly route: Routed;
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
    routes: readonly Routed[],
    authenticate: (request: HttpRequest) => Promise<HttpCaller>,
    rate: PluginHost['rate'],
  ) {
    this.#routes = routes.map((route) => {
      const names: string[] = [];
      const source = route.path.replaceAll('.', '\\.').replace(/:(\w+)/g, (_, name: string) => {
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
      const caller = route.for === 'everyone' ? NOBODY : await this.#authenticate(request);
      if (caller.kind !== 'key') take?.(caller.kind === 'user' ? `user ${caller.user.id}` : `at ${request.address}`);
      return route.answer({ request, params, caller });
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
