/**
 * Endpoints of the program's own, beside roomwire's: same port, same credentials, the same strict reading
 * of bodies. Their refusals can take the form that the program's clients know.
 */
import type { HttpCaller, HttpRequest, PluginHost } from '../server/api.js';
import { HttpError, refusalOf, type Answered, type Refused } from './problem.js';
import { Router, type Route } from './router.js';

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
    const router = new Router(routes, this.#authenticate, (perSecond) => this.#server.rate(perSecond));
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
