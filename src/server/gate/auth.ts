/**
 * Who a client is: JSON Web Tokens checked by `jose` for sockets and HTTP, API keys for backends,
 * and guests, who are let in only on loopback when no keys are configured.
 */
import { type KeyObject } from 'node:crypto';
import { decodeProtectedHeader, errors as joseErrors, jwtVerify, type CryptoKey, type JWTPayload } from 'jose';
import { encode, EncodeError } from '../../protocol/codec.js';
import { RoomwireError } from '../../protocol/errors.js';
import { anyNumber } from '../../protocol/setting.js';
import { shortened } from '../../protocol/text.js';
import type { HttpCaller, Log, User } from '../api.js';
import { ApiKeys } from './api-keys.js';
import { afterMs } from '../transport/exchange.js';
import { KeysUnavailable, RemoteKeys } from './jwks.js';
import { silent } from '../watch/log.js';
import { OWN_PREFIX } from '../wire/names.js';
import { randomText } from './random.js';
import { tooMany } from './rates.js';
import { publicKeyAlgorithms, publicKeyOf, secretAlgorithms, setAlgorithms } from './token-keys.js';
import type { Timer } from '../time/wheel.js';

export type Claims = JWTPayload & Readonly<Record<string, unknown>>;

export interface AuthOptions<U extends User = User> {
  /** Shared secret for HS256/384/512: at least 32 bytes. */
  readonly secret?: string;
  /** Public key in PEM (SPKI) for RS256, PS256, ES256, EdDSA and their kin. */
  readonly publicKey?: string;
  /**
   * Address of the issuer's JSON Web Key Set. It is fetched at the first token, again after ten minutes, and
   * when a token names a key it lacks, at most every half minute (every second while that fails); while the
   * issuer is away, the keys it had serve on, and a token with another one is told to come again. https, or
   * http on this machine.
   */
  readonly jwksUrl?: string;
  /** Algorithms taken. Default: HS256 with `secret`; what fits the key's type with `publicKey`; RS256, PS256, ES256 and EdDSA with `jwksUrl`. */
  readonly algorithms?: readonly string[];
  readonly issuer?: string;
  readonly audience?: string;
  /** Seconds of clock difference that are forgiven. Default 5. */
  readonly clockTolerance?: number;
  /**
   * Makes the user of a token's claims; throw to refuse (a RoomwireError `forbidden` for good). Default: `sub` as
   * id, `name` (or the id) as name, and the lists `groups`, `roles` and `rooms` (topic patterns) where they are there.
   */
  readonly user?: (claims: Claims) => U;
  /**
   * Secrets of backends, for HTTP: `name=key`, or a bare key, of at least 16 characters. They may do everything. Locks and
   * idempotency keys go by the name: to rotate a key, list the old and the new one under the same name for a while.
   */
  readonly apiKeys?: readonly string[];
}

export interface Identity {
  readonly user: User;
  /** Ms since the Unix epoch; null: never. */
  readonly expiresAt: number | null;
  readonly guest: boolean;
  /** Those of the contract that a new session is put into. */
  readonly topics?: readonly string[];
}

/** What the server lends; without one there are the defaults. */
export interface AuthParts {
  readonly wall?: () => number;
  readonly monotonic?: () => number;
  readonly after?: (ms: number, fn: () => void) => Timer;
  /** Tokens checked at the same time; the others wait their turn. */
  readonly atOnce?: number;
  readonly log?: Log;
}

const defaultParts = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  after: afterMs,
  atOnce: 64,
  log: silent,
};
const KEYS_RETRY_MS = 2_000;
/** Of a user's name, in UTF-16 units. */
const NAME_LENGTH = 200;
/** The last ms that a Date has: what expires later never does, and all clients can hold it as an int. */
const LAST_MS = 8_640_000_000_000_000;
/** Bytes of a token; more is not looked at. */
const TOKEN_BYTES = 8 * 1024;

export class Authenticator {
  readonly #options: AuthOptions;
  readonly #key: Uint8Array | KeyObject | RemoteKeys | undefined;
  readonly #algorithms: string[];
  readonly #apiKeys: ApiKeys;
  readonly #wall: () => number;

  /** Whether someone without a token is let in, as a guest: set where only this machine can come. */
  guests = false;
  readonly #atOnce: number;
  #checking = 0;
  readonly #waiting: (() => void)[] = [];

  /** Throws a TypeError that says what to set when the options cannot work. */
  constructor(options: AuthOptions, parts: AuthParts = {}) {
    const { wall, monotonic, after, atOnce, log } = { ...defaultParts, ...parts };
    this.#options = options;
    this.#wall = wall;
    this.#atOnce = atOnce;
    if ([options.secret, options.publicKey, options.jwksUrl].filter((key) => key !== undefined).length > 1) {
      throw new TypeError(
        'auth: set one of secret, publicKey and jwksUrl: one key must not serve two kinds of algorithm',
      );
    }
    if (options.secret !== undefined) {
      this.#key = new TextEncoder().encode(options.secret);
      if (this.#key.length < 32)
        throw new TypeError('auth.secret: use at least 32 bytes, such as `openssl rand -hex 32`');
      this.#algorithms = secretAlgorithms(options.algorithms);
    } else if (options.publicKey !== undefined) {
      const key = publicKeyOf(options.publicKey);
      this.#key = key;
      this.#algorithms = publicKeyAlgorithms(key, options.algorithms);
    } else if (options.jwksUrl !== undefined) {
      this.#key = new RemoteKeys(options.jwksUrl, { monotonic, after, log });
      this.#algorithms = setAlgorithms(options.algorithms);
    } else {
      this.#algorithms = [];
      // They would be believed to keep others out.
      for (const name of ['algorithms', 'issuer', 'audience'] as const) {
        if (options[name] !== undefined) {
          throw new TypeError(`auth.${name}: means nothing without a key: set auth.secret, publicKey or jwksUrl`);
        }
      }
    }
    for (const name of ['issuer', 'audience'] as const) {
      if (options[name] === '') throw new TypeError(`auth.${name}: is empty: no token could name it`);
    }
    if (options.clockTolerance !== undefined) anyNumber('auth.clockTolerance', options.clockTolerance);
    this.#apiKeys = new ApiKeys(options.apiKeys ?? []);
  }

  /** Whether sockets need a token. Without, everyone is a guest. */
  get tokens(): boolean {
    return this.#key !== undefined;
  }

  get configured(): boolean {
    return this.tokens || this.#apiKeys.size > 0;
  }

  get clockToleranceMs(): number {
    return (this.#options.clockTolerance ?? 5) * 1_000;
  }

  /**
   * Ms until rights end. A token that was taken because the clocks may differ by so much gets what the difference leaves, or
   * its owner would come again and again.
   */
  msLeft(expiresAt: number): number {
    const left = expiresAt - this.#wall();
    return left > 0 ? left : left + this.clockToleranceMs;
  }

  /** Ends what it asks of others. */
  close(): void {
    if (this.#key instanceof RemoteKeys) this.#key.close();
  }

  /** The backend whose API key this is. */
  apiKey(key: string): HttpCaller | undefined {
    return this.#apiKeys.find(key);
  }

  /** Rejects with unauthenticated or token_expired; says nothing about why beyond that. */
  async verify(token: string, wanted: () => boolean = () => true): Promise<Identity> {
    if (token.length > TOKEN_BYTES) {
      throw new RoomwireError('unauthenticated', undefined, { cause: new Error(`longer than ${TOKEN_BYTES} bytes`) });
    }
    // Before its turn: what waits for the issuer must not hold up tokens whose key is known.
    const key = await this.#keyOf(token);
    let claims: Claims;
    await this.#turn();
    try {
      // Its peer left in the queue.
      if (!wanted()) throw new RoomwireError('disconnected');
      ({ payload: claims } = await jwtVerify(token, key, {
        algorithms: this.#algorithms,
        currentDate: new Date(this.#wall()),
        clockTolerance: this.clockToleranceMs / 1_000,
        ...(this.#options.issuer === undefined ? {} : { issuer: this.#options.issuer }),
        ...(this.#options.audience === undefined ? {} : { audience: this.#options.audience }),
      }));
    } catch (error) {
      if (error instanceof RoomwireError) throw error;
      throw new RoomwireError(error instanceof joseErrors.JWTExpired ? 'token_expired' : 'unauthenticated', undefined, {
        cause: error,
      });
    } finally {
      this.#checking--;
      this.#waiting.shift()?.();
    }
    const user = this.#userOf(claims);
    if (user.id === OWN_PREFIX) throw new RoomwireError('forbidden', "this name is the server's own");
    return { user, expiresAt: expiryOf(claims), guest: false };
  }

  async #keyOf(token: string): Promise<Uint8Array | KeyObject | CryptoKey> {
    const keys = this.#key;
    if (keys === undefined) throw new RoomwireError('unauthenticated', 'this server takes no tokens');
    if (!(keys instanceof RemoteKeys)) return keys;
    try {
      const header = decodeProtectedHeader(token);
      if (header.alg === undefined || !this.#algorithms.includes(header.alg)) {
        throw new joseErrors.JOSEAlgNotAllowed('"alg" (Algorithm) Header Parameter value not allowed');
      }
      return await keys.get(header);
    } catch (error) {
      // Not the token's fault: its owner may come again.
      if (error instanceof KeysUnavailable) {
        throw tooMany(KEYS_RETRY_MS, 'the keys that tokens are checked with cannot be had', error);
      }
      throw new RoomwireError('unauthenticated', undefined, { cause: error });
    }
  }

  async #turn(): Promise<void> {
    if (this.#checking >= this.#atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#checking++;
  }

  #userOf(claims: Claims): User {
    let user: User;
    try {
      user = (this.#options.user ?? defaultUser)(claims);
    } catch (error) {
      if (error instanceof RoomwireError) throw error;
      throw new RoomwireError('unauthenticated', 'the token names no user', { cause: error });
    }
    if (typeof user.id !== 'string' || user.id === '' || user.id.length > 200 || typeof user.name !== 'string') {
      throw new RoomwireError('unauthenticated', 'the token names no user');
    }
    return sendable(user);
  }
}

/** A user as WELCOME and the store can hold it. Throws unauthenticated, naming what they cannot. */
function sendable(user: User): User {
  // A name is for people: half a character in it must not keep its owner out.
  const named = { ...user, name: shortened(user.name, user.name.length) };
  // In a URL it would be a step: `/api/rooms/demo/members/..` is the room.
  const problem = /^\.\.?$/.test(user.id) ? `user.id is '${user.id}', which no URL can name` : problemOfUser(named);
  if (problem !== undefined) throw new RoomwireError('unauthenticated', `the token makes no user: ${problem}`);
  return named;
}

/** Why a user cannot be sent in WELCOME, `[WELCOME, id, { user }]`, and kept; undefined: it can. */
export function problemOfUser(user: User): string | undefined {
  try {
    encode(user, { name: 'user', level: 2 });
    return undefined;
  } catch (error) {
    if (error instanceof EncodeError) return error.message;
    throw error;
  }
}

/** Whole ms: a claim may have a fraction, or be beyond all time. */
function expiryOf({ exp }: Claims): number | null {
  return typeof exp === 'number' ? Math.min(Math.floor(exp * 1_000), LAST_MS) : null;
}

function defaultUser(claims: Claims): User {
  const { sub, name } = claims;
  if (typeof sub !== 'string') throw new TypeError('no sub');
  const lists: Record<string, string[]> = {};
  for (const claim of ['groups', 'roles', 'rooms']) {
    const list: unknown = claims[claim];
    if (Array.isArray(list)) lists[claim] = list.filter(isName);
  }
  return { id: sub, name: typeof name === 'string' ? shortened(name, NAME_LENGTH) : sub, ...lists };
}

/** With half a character it could name nothing. */
function isName(item: unknown): item is string {
  return typeof item === 'string' && !/\p{Surrogate}/u.test(item);
}

const animals = ['otter', 'heron', 'lynx', 'wren', 'newt', 'ibex', 'crane', 'vole', 'finch', 'marten', 'tern', 'hare'];

/** A guest with a made-up name. */
export function guest(): Identity {
  const random = randomText(6);
  const bytes = Buffer.from(random, 'base64url');
  const animal = animals[(bytes[0] as number) % animals.length] as string;
  return {
    user: { id: `guest:${random}`, name: `${animal}-${(bytes.readUInt16BE(1) % 900) + 100}` },
    expiresAt: null,
    guest: true,
  };
}

/** The token of an Authorization header. */
export function bearerOf(authorization = ''): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization)?.[1];
}
