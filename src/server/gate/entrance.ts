/**
 * What comes to the port: which upgrade is taken, which connection may stay, which HTTP request is answered, and in whose
 * name. The doorkeeper counts; what it refuses is told and written down here.
 */
import { RoomwireError } from '../../protocol/errors.js';
import type { HttpCaller, HttpRequest, HttpResponse } from '../api.js';
import { check } from '../transport/http-answer.js';
import type { Gone, UpgradeInfo } from '../transport/transport.js';
import type { Audit } from '../watch/audit.js';
import type { Arrivals } from './arrivals.js';
import { bearerOf, guest, type Authenticator } from './auth.js';
import { ownerOf } from './budget.js';
import { isLocalHost, isLocalOrigin, type Doorkeeper, type Hold } from './doorkeeper.js';
import type { OwnKey } from './own-key.js';
import { tooMany } from './rates.js';
import type { TokenCheck } from './token-check.js';

const FOREIGN_HOST = 'guests come to a name of this machine, such as localhost: for another one set keys';
const FOREIGN_PAGE = 'guests come from pages of this machine only';

export interface EntranceOptions {
  readonly auth: Authenticator;
  readonly tokens: TokenCheck;
  readonly arrivals: Arrivals;
  readonly door: Doorkeeper;
  readonly ownKey: OwnKey;
  readonly audit: Audit;
  /** The server takes no new work. */
  readonly isDraining: () => boolean;
  readonly failed: (error: unknown) => void;
  /** Without a final slash; empty: none. */
  readonly basePath: string;
}

export type RequestHook = (request: HttpRequest, gone: Gone) => Promise<HttpResponse | undefined>;
export type RefusedRequestHook = (request: HttpRequest, error: RoomwireError) => HttpResponse;

export class Entrance {
  readonly #options: EntranceOptions;
  readonly #requestHooks: RequestHook[] = [];
  /** Writes the answer to what is refused here; without it, there is a plain one. */
  refusedRequest: RefusedRequestHook | undefined;
  #answering = 0;

  constructor(options: EntranceOptions) {
    this.#options = options;
  }

  onRequest(hook: RequestHook): void {
    this.#requestHooks.push(hook);
  }

  /** HTTP requests that are being answered. */
  get answering(): number {
    return this.#answering;
  }

  /** Before anything is spent on an upgrade; what a person should read is a close code instead. */
  refuses(info: UpgradeInfo): HttpResponse | undefined {
    const { door, ownKey } = this.#options;
    if (ownKey.isIn(info.authorization)) return undefined;
    const address = door.addressOf(info.address, info.forwardedFor);
    const hold = door.refuses(address);
    return hold === undefined ? undefined : this.#later(address, hold, 'upgrade refused');
  }

  /** Why the page behind a connection may not stay; undefined: it may, or there is none. */
  forbids({ host, origin }: UpgradeInfo): string | undefined {
    const { auth, door } = this.#options;
    if (auth.guests && !isLocalHost(host)) return FOREIGN_HOST;
    if (auth.guests && !isLocalOrigin(origin)) return FOREIGN_PAGE;
    return door.allowsPage(origin, host) ? undefined : 'pages of this origin may not connect';
  }

  /** By an edge. */
  refusedElsewhere(address: string, limit: string, times: number): void {
    const reason = times === 1 ? 'upgrade refused' : `${times} upgrades refused`;
    this.#options.audit.add({ event: 'limit', address, target: limit, reason });
  }

  #later(address: string, { status, limit, retryAfterMs }: Hold, reason: string): HttpResponse {
    this.#options.audit.add({ event: 'limit', address, target: limit, reason });
    const headers = { 'content-type': 'text/plain', 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) };
    return { status, headers, body: `${limit}: try again later.\n` };
  }

  async request(request: HttpRequest, gone: Gone): Promise<HttpResponse> {
    this.#answering++;
    try {
      return await this.#answer(request, gone);
    } finally {
      this.#answering--;
    }
  }

  async #answer(received: HttpRequest, gone: Gone): Promise<HttpResponse> {
    const { basePath } = this.#options;
    if (basePath === '') return this.#answerAt(received, received.path, gone);
    const { path } = received;
    if (path === basePath) return { status: 308, headers: { location: `${basePath}/` }, body: '' };
    const isBelow = path.startsWith(`${basePath}/`);
    // Whoever asks this process itself of its health need not know the path.
    if (!isBelow && !path.startsWith('/health')) return plain(404, `not found: this server is at ${basePath}/`);
    const response = await this.#answerAt(received, isBelow ? path.slice(basePath.length) : path, gone);
    const headers = Object.entries(response.headers).map(([name, value]) =>
      name.toLowerCase() === 'location' && /^\/(?!\/)/.test(value) ? [name, basePath + value] : [name, value],
    );
    return { ...response, headers: Object.fromEntries(headers) as Record<string, string> };
  }

  async #answerAt(received: HttpRequest, path: string, gone: Gone): Promise<HttpResponse> {
    const { auth, door, audit, failed } = this.#options;
    const address = door.addressOf(received.address, received.headers['x-forwarded-for']);
    const request = { ...received, path, address };
    const refused = (error: RoomwireError, answer: HttpResponse): HttpResponse =>
      this.refusedRequest?.(request, error) ?? answer;
    const token = bearerOf(request.headers['authorization']);
    const isBackend = token !== undefined && auth.apiKey(token) !== undefined;
    const hold = isBackend ? undefined : door.refusesRequest(address);
    if (hold !== undefined) {
      const answer = this.#later(address, hold, 'request refused');
      return refused(tooMany(hold.retryAfterMs, `${hold.limit}: try again later`), answer);
    }
    if (auth.guests && !isLocalHost(request.headers['host'] ?? '')) {
      const target = `${request.method} ${request.path}`;
      audit.add({ event: 'denied', address, target, reason: FOREIGN_HOST });
      return refused(new RoomwireError('forbidden', FOREIGN_HOST), plain(403, FOREIGN_HOST));
    }
    try {
      for (const hook of this.#requestHooks) {
        const response = await hook(request, gone);
        if (response === undefined) continue;
        // Here, where there is somebody to write another one.
        check(response);
        return response;
      }
    } catch (error) {
      failed(error);
      return refused(new RoomwireError('handler_failed'), plain(500, 'internal error'));
    }
    return plain(404, 'not found');
  }

  /** Throws unauthenticated, token_expired, forbidden, too_many and draining. */
  async authenticate({ headers, address }: HttpRequest): Promise<HttpCaller> {
    const { auth, tokens, arrivals, isDraining } = this.#options;
    // On a connection that was open before: it would be cut in the middle.
    if (isDraining()) throw new RoomwireError('draining');
    if (auth.guests && !isLocalOrigin(headers['origin'] ?? '')) throw new RoomwireError('forbidden', FOREIGN_PAGE);
    const token = bearerOf(headers['authorization']);
    const backend = token === undefined ? undefined : auth.apiKey(token);
    if (backend !== undefined) return backend;
    if (auth.guests && (token === undefined || !auth.tokens)) return guestAt(address);
    if (token === undefined) {
      throw new RoomwireError('unauthenticated', 'send Authorization: Bearer with an API key or a token');
    }
    const identity = await tokens.stranger(token, address);
    const { user, expiresAt } = await arrivals.admit(identity, { via: 'http', sid: undefined, address });
    return { kind: 'user', user, expiresAt };
  }
}

/** Another at each request. */
function guestAt(address: string): HttpCaller {
  const { user } = guest();
  return { kind: 'guest', user, keyOwner: ownerOf(user, true, address) };
}

function plain(status: number, body: string): HttpResponse {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: `${body}\n` };
}
