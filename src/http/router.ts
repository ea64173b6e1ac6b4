/** Finds the route of a request by method and path pattern, roomwire's own first, then the program's, and answers 405. */
import type { Gone, HttpCaller, HttpRequest, HttpResponse, PluginHost } from '../server/api.js';
import type { Listed } from './openapi.js';
import { HttpError, refusalOf, type Answered, type Refused } from './problem.js';
import { requireAdmin, type Route } from './route.js';

const NOBODY: HttpCaller = { kind: 'nobody', user: { id: '', name: '' } };

type Authenticate = (request: HttpRequest) => Promise<HttpCaller>;

/** A request, and what tells when nobody waits for its answer any more. */
export interface Incoming {
  readonly request: HttpRequest;
  readonly gone: Gone;
}

interface Compiled {
  readonly route: Route;
  /** Throws too_many. */
  readonly take: ((key: string) => void) | undefined;
  readonly regex: RegExp;
  readonly names: readonly string[];
}

export class Router {
  readonly #routes: readonly Compiled[];
  readonly #authenticate: Authenticate;

  /** Throws a TypeError for a rate that is not above 0. */
  constructor(routes: readonly Route[], authenticate: Authenticate, rate: PluginHost['rate']) {
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

  /** undefined when no route takes it: `allowed` then has the methods that its path takes. Throws HttpError and RoomwireError. */
  async answer({ request, gone }: Incoming, allowed: Set<string>): Promise<HttpResponse | undefined> {
    for (const { route, take, regex, names } of this.#routes) {
      const match = regex.exec(request.path);
      if (match === null) continue;
      const method = request.method === 'HEAD' ? 'GET' : request.method;
      if (route.method !== method) {
        allowed.add(route.method);
        continue;
      }
      const params = Object.fromEntries(names.map((name, i) => [name, decodePart(match[i + 1] as string)]));
      const caller = route.open === true ? NOBODY : await this.#authenticate(request);
      if (caller.kind !== 'key') take?.(caller.kind === 'user' ? `user ${caller.user.id}` : `at ${request.address}`);
      if (route.for === 'admins') requireAdmin(caller);
      return route.handle({ request, params, query: new URLSearchParams(request.query), caller, gone });
    }
    return undefined;
  }
}

export interface RoutesOptions {
  /** Default: RFC 9457 problem documents, as everywhere else. */
  readonly refused?: Refused;
}

/** What a program gets as `server.plugins.http`. */
export interface HttpApi {
  /** Adds endpoints, and shows them in /openapi.json; roomwire's own come first. Throws a TypeError for a rate that is not above 0. */
  routes(routes: readonly Route[], options?: RoutesOptions): void;
}

export class OwnRoutes implements HttpApi {
  readonly #server: PluginHost;
  readonly #authenticate: Authenticate;
  readonly #added: { readonly router: Router; readonly refused: Refused | undefined }[] = [];
  readonly #listed: Listed[] = [];

  constructor(server: PluginHost, authenticate: Authenticate) {
    this.#server = server;
    this.#authenticate = authenticate;
  }

  get listed(): readonly Listed[] {
    return this.#listed;
  }

  routes(routes: readonly Route[], { refused }: RoutesOptions = {}): void {
    const router = new Router(routes, this.#authenticate, (perSecond) => this.#server.rate(perSecond));
    this.#added.push({ router, refused });
    this.#listed.push(...routes.map((route) => ({ ...route, refusesItsWay: refused !== undefined })));
  }

  /** undefined when none of them has this path; `allowed`: the methods for which others have it. */
  async answer(asked: Incoming, allowed: Set<string>): Promise<Answered | undefined> {
    // A 405 has the form of whoever has the path first.
    let isKnown = allowed.size > 0;
    let form: Refused | undefined;
    for (const { router, refused } of this.#added) {
      try {
        const response = await router.answer(asked, allowed);
        if (response !== undefined) return { response };
        if (!isKnown && allowed.size > 0) {
          isKnown = true;
          form = refused;
        }
      } catch (error) {
        const refusal = refusalOf(error, refused);
        if (refusal !== undefined) return refusal;
        this.#server.log.error({ err: error, path: asked.request.path }, 'an endpoint failed');
        return refusalOf(new HttpError(500, 'internal server error'), refused);
      }
    }
    if (!isKnown) return undefined;
    const allow = [...allowed].join(', ');
    return refusalOf(new HttpError(405, `this path takes ${allow}`, { allow }), form);
  }
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new HttpError(400, 'the path is not valid percent-encoding');
  }
}
