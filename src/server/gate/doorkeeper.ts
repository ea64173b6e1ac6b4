/**
 * Who may knock at all, before there is a token: by what a browser says of its page, by address and in all. Counts
 * connections, has rates for upgrades and requests, and a pause for addresses that keep presenting bad tokens.
 */
import { SUBPROTOCOL, TOKEN_ITEM_PREFIX } from '../../protocol/frames.js';
import { anyNumber, knownNames, wholeNumber } from '../../protocol/setting.js';
import { hopAddress, isLoopbackAddress, networkOf, Networks } from '../transport/addresses.js';
import { spend, waitFor } from './rates.js';

/** What keeps outsiders from using the server up before they have said who they are. 0: no limit. */
export interface AdmissionOptions {
  /** Open connections in all. Default 100,000. */
  readonly connections?: number;
  /** Open connections of one user. Default 1,000. */
  readonly connectionsPerUser?: number;
  /** Sessions in all, with and without a connection. Default 200,000. */
  readonly sessions?: number;
  /** Sessions of one user that wait for their connection to come back; the longest waiting ends for one more. Default 1,000. */
  readonly waitingSessionsPerUser?: number;
  /** Open connections from one address. Default 0: many may sit behind one. */
  readonly connectionsPerAddress?: number;
  /** Upgrades a second in all. Default 0. */
  readonly upgradesPerSecond?: number;
  /** Upgrades a second from one address. Default 0. */
  readonly upgradesPerSecondPerAddress?: number;
  /** Tokens checked at once; the others wait their turn. Default 64. */
  readonly tokenChecks?: number;
  /** Tokens checked a second in all; above it HELLO is told to come again. Default 0. */
  readonly tokenChecksPerSecond?: number;
  /** Bad tokens a second from one address; above it the address has to wait. Default 50. */
  readonly badTokensPerSecondPerAddress?: number;
  /** HTTP requests a second from one address that bring no API key. Default 1,000. */
  readonly requestsPerSecondPerAddress?: number;
  /** Addresses and networks (`10.0.0.0/8`) of proxies whose X-Forwarded-For is believed. Default none. */
  readonly trustedProxies?: readonly string[];
  /** Web origins whose pages may connect. Default: any with a token; only this machine's as a guest. */
  readonly origins?: readonly string[];
}

export const defaultAdmission = {
  connections: 100_000,
  connectionsPerUser: 1_000,
  sessions: 200_000,
  waitingSessionsPerUser: 1_000,
  connectionsPerAddress: 0,
  upgradesPerSecond: 0,
  upgradesPerSecondPerAddress: 0,
  tokenChecks: 64,
  tokenChecksPerSecond: 0,
  badTokensPerSecondPerAddress: 50,
  requestsPerSecondPerAddress: 1_000,
} as const;

/** What stands in the way for now. */
export interface Hold {
  /** Of the HTTP answer. */
  readonly status: 429 | 503;
  /** The limit's name. */
  readonly limit: string;
  readonly retryAfterMs: number;
}

interface Known {
  connections: number;
  upgradesFullAt: number;
  badTokensFullAt: number;
  requestsFullAt: number;
  shunnedUntil: number;
}

/** Addresses remembered beside those with open connections; more and the idle ones are forgotten. */
const REMEMBERED = 50_000;
const TRY_AGAIN_MS = 1_000;

type AdmissionLimits = Required<Omit<AdmissionOptions, 'trustedProxies' | 'origins'>>;

export class Doorkeeper {
  /** A bad token was counted, and its address has to wait now. */
  shuns: ((address: string, ms: number) => void) | undefined;
  limits: AdmissionLimits;
  readonly #proxies: Networks | undefined;
  readonly #origins: readonly string[] | undefined;
  readonly #monotonic: () => number;
  readonly #addresses = new Map<string, Known>();
  #connections = 0;
  #upgradesFullAt = 0;
  #checksFullAt = 0;

  /** Throws a TypeError for a limit that is none, and for a proxy that is no address or network. */
  constructor(options: AdmissionOptions, monotonic: () => number) {
    const { trustedProxies = [], origins, ...limits } = options;
    const given = Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
    this.limits = { ...defaultAdmission, ...given };
    knownNames('admission', given, Object.keys(defaultAdmission));
    for (const [name, value] of Object.entries(this.limits)) {
      const path = `admission.${name}`;
      if (name.includes('PerSecond')) anyNumber(path, value);
      else wholeNumber(path, value, name === 'tokenChecks' ? 1 : 0);
    }
    this.#monotonic = monotonic;
    this.#origins = origins;
    if (trustedProxies.length > 0) this.#proxies = new Networks('trustedProxies', trustedProxies);
  }

  /** The client's own address: what the nearest proxy that is not trusted told, from the right. */
  addressOf(peer: string, forwardedFor: string | undefined): string {
    if (this.#proxies === undefined || forwardedFor === undefined) return peer;
    let address = peer;
    for (const hop of forwardedFor.split(',').reverse()) {
      if (!this.#proxies.has(address)) break;
      const next = hopAddress(hop.trim());
      if (next === undefined) break;
      address = next;
    }
    return address;
  }

  /** Whether pages of this origin may connect: none at all is no page; a server's own pages always may. */
  allowsPage(origin: string, host: string): boolean {
    if (origin === '' || this.#origins === undefined || this.#origins.includes(origin)) return true;
    return URL.canParse(origin) && host !== '' && new URL(origin).host === host.toLowerCase();
  }

  /** Counts an upgrade; undefined lets it in. */
  refuses(address: string): Hold | undefined {
    const { limits } = this;
    const now = this.#monotonic();
    if (limits.connections > 0 && this.#connections >= limits.connections) {
      return { status: 503, limit: 'connections', retryAfterMs: TRY_AGAIN_MS };
    }
    if (limits.upgradesPerSecond > 0) {
      const wait = waitFor(this.#upgradesFullAt, now, limits.upgradesPerSecond);
      if (wait > 0) return { status: 503, limit: 'upgradesPerSecond', retryAfterMs: Math.ceil(wait) };
    }
    const known = this.#known(address);
    if (known !== undefined) {
      const hold = this.#refusesAddress(known, now);
      if (hold !== undefined) return hold;
    }
    if (limits.upgradesPerSecond > 0) this.#upgradesFullAt = spend(this.#upgradesFullAt, now, limits.upgradesPerSecond);
    if (limits.upgradesPerSecondPerAddress > 0) {
      const one = known ?? this.#remember(address, now);
      one.upgradesFullAt = spend(one.upgradesFullAt, now, limits.upgradesPerSecondPerAddress);
    }
    return undefined;
  }

  #refusesAddress(known: Known, now: number): Hold | undefined {
    if (known.shunnedUntil > now) {
      return { status: 429, limit: 'badTokensPerSecondPerAddress', retryAfterMs: Math.ceil(known.shunnedUntil - now) };
    }
    const { connectionsPerAddress, upgradesPerSecondPerAddress, badTokensPerSecondPerAddress } = this.limits;
    if (connectionsPerAddress > 0 && known.connections >= connectionsPerAddress) {
      return { status: 429, limit: 'connectionsPerAddress', retryAfterMs: TRY_AGAIN_MS };
    }
    const waits = [
      ['upgradesPerSecondPerAddress', upgradesPerSecondPerAddress, known.upgradesFullAt],
      ['badTokensPerSecondPerAddress', badTokensPerSecondPerAddress, known.badTokensFullAt],
    ] as const;
    for (const [limit, perSecond, fullAt] of waits) {
      const wait = perSecond > 0 ? waitFor(fullAt, now, perSecond) : 0;
      if (wait > 0) return { status: 429, limit, retryAfterMs: Math.ceil(wait) };
    }
    return undefined;
  }

  get connections(): number {
    return this.#connections;
  }

  /** Counts an upgrade that another doorkeeper has let in, who has but a share of what may be. */
  upgraded(): void {
    const { upgradesPerSecond } = this.limits;
    if (upgradesPerSecond > 0) this.#upgradesFullAt = spend(this.#upgradesFullAt, this.#monotonic(), upgradesPerSecond);
  }

  /** From now on. */
  limit(limits: Partial<AdmissionLimits>): void {
    this.limits = { ...this.limits, ...limits };
  }

  opened(address: string): void {
    this.#connections++;
    if (this.limits.connectionsPerAddress > 0) this.#remember(address, this.#monotonic()).connections++;
  }

  closed(address: string): void {
    this.#connections--;
    if (this.limits.connectionsPerAddress === 0) return;
    const known = this.#known(address);
    if (known !== undefined && known.connections > 0) known.connections--;
  }

  /** Ms until a token may be checked; 0 counts one. */
  checksToken(): number {
    const { tokenChecksPerSecond } = this.limits;
    if (tokenChecksPerSecond === 0) return 0;
    const now = this.#monotonic();
    const wait = waitFor(this.#checksFullAt, now, tokenChecksPerSecond);
    if (wait === 0) this.#checksFullAt = spend(this.#checksFullAt, now, tokenChecksPerSecond);
    return Math.ceil(wait);
  }

  /** Counts a request; undefined lets it in. */
  refusesRequest(address: string): Hold | undefined {
    const perSecond = this.limits.requestsPerSecondPerAddress;
    if (perSecond === 0) return undefined;
    const now = this.#monotonic();
    const known = this.#remember(address, now);
    const wait = waitFor(known.requestsFullAt, now, perSecond);
    if (wait > 0) return { status: 429, limit: 'requestsPerSecondPerAddress', retryAfterMs: Math.ceil(wait) };
    known.requestsFullAt = spend(known.requestsFullAt, now, perSecond);
    return undefined;
  }

  badToken(address: string): void {
    const perSecond = this.limits.badTokensPerSecondPerAddress;
    if (perSecond === 0) return;
    const now = this.#monotonic();
    const known = this.#remember(address, now);
    known.badTokensFullAt = spend(known.badTokensFullAt, now, perSecond);
    const wait = this.shuns === undefined ? 0 : waitFor(known.badTokensFullAt, now, perSecond);
    if (wait > 0) this.shuns?.(address, Math.ceil(wait));
  }

  /** Another doorkeeper has counted its bad tokens. */
  shun(address: string, ms: number): void {
    const now = this.#monotonic();
    this.#remember(address, now).shunnedUntil = now + ms;
  }

  /** Whether the address has to wait for its bad tokens; ms. */
  waitsForBadTokens(address: string): number {
    const perSecond = this.limits.badTokensPerSecondPerAddress;
    const known = this.#known(address);
    if (perSecond === 0 || known === undefined) return 0;
    return Math.ceil(waitFor(known.badTokensFullAt, this.#monotonic(), perSecond));
  }

  #known(address: string): Known | undefined {
    return this.#addresses.get(networkOf(address));
  }

  #remember(address: string, now: number): Known {
    let known = this.#known(address);
    if (known === undefined) {
      if (this.#addresses.size >= REMEMBERED) this.#forget(now);
      this.#addresses.set(networkOf(address), (known = newcomer()));
    }
    return known;
  }

  /** Whose buckets are full again is as good as unknown. When that is nobody, the ones without connections go. */
  #forget(now: number): void {
    const idle = ({ upgradesFullAt, badTokensFullAt, requestsFullAt, shunnedUntil }: Known): boolean =>
      Math.max(upgradesFullAt, badTokensFullAt, requestsFullAt, shunnedUntil) <= now;
    for (const all of [false, true]) {
      for (const [address, known] of this.#addresses) {
        if (known.connections === 0 && (all || idle(known))) this.#addresses.delete(address);
      }
      if (this.#addresses.size < REMEMBERED) return;
    }
  }
}

function newcomer(): Known {
  return { connections: 0, upgradesFullAt: 0, badTokensFullAt: 0, requestsFullAt: 0, shunnedUntil: 0 };
}

/** RW-CON-2: ours when offered; else the first item that is no token, so that the close code can be read. */
export function chooseSubprotocol(offered: readonly string[]): string | undefined {
  if (offered.includes(SUBPROTOCOL)) return SUBPROTOCOL;
  return offered.find((item) => !item.startsWith(TOKEN_ITEM_PREFIX));
}

/** Whether only this machine can reach `host`: the one place where guests are let in. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || isLoopbackAddress(host);
}

/**
 * Whether a request comes from no web page, or from a page of this machine. Where guests are let in,
 * others are not: any page that a developer visits could otherwise speak for them.
 */
export function isLocalOrigin(origin: string): boolean {
  if (origin === '') return true;
  return isLocalName(URL.canParse(origin) ? new URL(origin).hostname : '');
}

/**
 * Whether the Host header is a name of this machine. Where guests are let in, a request under another name is a page's
 * that made its own name lead here (DNS rebinding): to its browser it is no other origin, so it would read all there is.
 * Programs may send none; a browser always does.
 */
export function isLocalHost(host: string): boolean {
  if (host === '') return true;
  const name = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{0,5})?$/i.exec(host)?.[1];
  return name !== undefined && isLocalName(name.toLowerCase());
}

/** `localhost` and all below it never leave the machine (RFC 6761). */
function isLocalName(name: string): boolean {
  return /^(.*\.)?localhost\.?$/.test(name) || isLoopback(name.replace(/^\[(.*)\]$/, '$1'));
}
