/**
 * Endpoints of the program's own, beside roomwire's: same port, same credentials, the same strict reading
 * of bodies. Their refusals can take the form that the program's clients know.
 */
import type * as v from 'valibot';
import { checked } from '../protocol/validate.js';
import type { HttpCaller, HttpRequest, HttpResponse, PluginHost } from '../server/api.js';
import { HttpError, refusalOf, type Answered, type Refused } from './problem.js';
import { carriableJsonOf, type Arrived } from './route.js';
import { Router } from './router.js';

export interface RouteContext extends Arrived {
  readonly query: URLSearchParams;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Such as `/api/rooms/:roomId`. */
  readonly path: string;
  /** Takes no credentials, and looks at none: `caller` is `nobody`. */
  readonly open?: boolean;
  /** Requests a second of one user, or of one address where that is all one knows; not of API keys. */
  readonly perSecond?: number;
  handle(context: RouteContext): Promise<HttpResponse>;
}

/** The request's JSON body, checked, with text and depth as frames can carry them. `optional`: an empty body counts as `{}`. Throws HttpError and RoomwireError. */
export function body<S extends v.GenericSchema>(
  request: HttpRequest,
  schema: S,
  { optional = false }: { readonly optional?: boolean } = {},
): v.InferOutput<S> {
  return checked(schema, carriableJsonOf(request, optional));
}

export interface RoutesOptions {
  /** Default: RFC 9457 problem documents, as everywhere else. */
  readonly refused?: Refused;
}

/** What a program gets as `server.plugins.http`. */
export interface HttpApi {
  /** Adds endpoints; roomwire's own come first. Throws a TypeError for a rate that is not above 0. */
  routes(routes: readonly Route[], options?: RoutesOptions): void;
}

type Authenticate = (request: HttpRequest) => Promise<HttpCaller>;

export class OwnRoutes implements HttpApi {
  readonly #server: PluginHost;
  readonly #authenticate: Authenticate;
  readonly #added: { readonly router: Router; readonly refused: Refused | undefined }[] = [];

  constructor(server: PluginHost, authenticate: Authenticate) {
    this.#server = server;
    this.#authenticate = authenticate;
  }

  routes(routes: readonly Route[], { refused }: RoutesOptions = {}): void {
    const routed = routes.map((route) => ({
      method: route.method,
      path: route.path,
      ...(route.open === true ? { for: 'everyone' as const } : {}),
      ...(route.perSecond === undefined ? {} : { perSecond: route.perSecond }),
      answer: (arrived: Arrived) => route.handle({ ...arrived, query: new URLSearchParams(arrived.request.query) }),
    }));
    const router = new Router(routed, this.#authenticate, (perSecond) => this.#server.rate(perSecond));
    this.#added.push({ router, refused });
  }

  /** undefined when none of them has this path. */
  async answer(request: HttpRequest): Promise<Answered | undefined> {
    for (const { router, refused } of this.#added) {
      try {
        const response = await router.answer(request);
        if (response !== undefined) return { response };
      } catch (error) {
        const refusal = refusalOf(error, refused);
        if (refusal !== undefined) return refusal;
        this.#server.log.error({ err: error, path: request.path }, 'an endpoint failed');
        return refusalOf(new HttpError(500, 'internal server error'), refused);
      }
    }
    return undefined;
  }
}
