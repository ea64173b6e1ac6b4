/**
 * Who a client is: JSON Web Tokens checked by `jose` for sockets and HTTP, API keys for backends,
 * and guests, who are let in only on loopback when no keys are configured.
 */
import { createPublicKey, randomBytes, timingSafeEqual, createHash, type KeyObject } from 'node:crypto';
import { errors as joseErrors, jwtVerify, type JWTPayload } from 'jose';
import { RoomwireError } from '../protocol/errors.js';
import type { User } from './api.js';

export type Claims = JWTPayload & Readonly<Record<string, unknown>>;

export interface AuthOptions<U extends User = User> {
  /** Shared secret for HS256/384/512: at least 32 bytes. */
  readonly secret?: string;
  /** Public key in PEM (SPKI) for RS256, PS256, ES256, EdDSA and their kin. */
  readonly publicKey?: string;
  /** Algorithms taken. Default: HS256 with `secret`; what fits the key's type with `publicKey`. */
  readonly algorithms?: readonly string[];
  readonly issuer?: string;
  readonly audience?: string;
  /** Seconds of clock difference that are forgiven. Default 5. */
  readonly clockTolerance?: number;
  /** Makes the user of a token's claims; throw to refuse. Default: `sub` as id, `name` (or the id) as name. */
  readonly user?: (claims: Claims) => U;
  /** Secrets of backends, for HTTP: at least 16 characters each. They may do everything. */
  readonly apiKeys?: readonly string[];
}

export interface Identity {
  readonly user: User;
  /** Ms since the Unix epoch; null: never. */
  readonly expiresAt: number | null;
  readonly guest: boolean;
}

/** Bytes of a token; more is not looked at. */
const TOKEN_BYTES = 8 * 1024;

export class Authenticator {
  readonly #options: AuthOptions;
  readonly #key: Uint8Array | KeyObject | undefined;
  readonly #algorithms: string[];
  readonly #apiKeys: readonly Buffer[];
  readonly #wall: () => number;

  /** `wall`: the wall clock. Throws a TypeError that says what to set when the options cannot work. */
  constructor(options: AuthOptions, wall: () => number = Date.now) {
    this.#options = options;
    this.#wall = wall;
    if (options.secret !== undefined && options.publicKey !== undefined) {
      throw new TypeError('auth: set secret or publicKey, not both: one key must not serve two kinds of algorithm');
    }
    if (options.secret !== undefined) {
      this.#key = new TextEncoder().encode(options.secret);
      if (this.#key.length < 32)
        throw new TypeError('auth.secret: use at least 32 bytes, such as `openssl rand -hex 32`');
      this.#algorithms = [...(options.algorithms ?? ['HS256'])];
      if (this.#algorithms.some((name) => !/^HS(256|384|512)$/.test(name))) {
        throw new TypeError('auth.algorithms: a secret takes HS256, HS384 or HS512');
      }
    } else if (options.publicKey !== undefined) {
      const key = readPublicKey(options.publicKey);
      this.#key = key;
      this.#algorithms = [...(options.algorithms ?? algorithmsOf(key))];
      // A public key taken as an HMAC secret would let everyone sign: the classic confusion.
      if (this.#algorithms.some((name) => /^(HS|none)/i.test(name))) {
        throw new TypeError('auth.algorithms: a public key takes no HS algorithm and never none');
      }
    } else this.#algorithms = [];
    for (const key of options.apiKeys ?? []) {
      if (key.length < 16)
        throw new TypeError('auth.apiKeys: use at least 16 characters, such as `openssl rand -hex 16`');
    }
    this.#apiKeys = (options.apiKeys ?? []).map(digest);
  }

  /** Whether sockets need a token. Without, everyone is a guest. */
  get tokens(): boolean {
    return this.#key !== undefined;
  }

  get configured(): boolean {
    return this.tokens || this.#apiKeys.length > 0;
  }

  /** Constant time in the key's content. */
  isApiKey(key: string): boolean {
    const given = digest(key);
    let found = false;
    for (const known of this.#apiKeys) if (timingSafeEqual(known, given)) found = true;
    return found;
  }

  /** Rejects with unauthenticated or token_expired; says nothing about why beyond that. */
  async verify(token: string): Promise<Identity> {
    if (this.#key === undefined) throw new RoomwireError('unauthenticated', 'this server takes no tokens');
    if (token.length > TOKEN_BYTES) throw new RoomwireError('unauthenticated');
    let claims: Claims;
    try {
      ({ payload: claims } = await jwtVerify(token, this.#key, {
        algorithms: this.#algorithms,
        currentDate: new Date(this.#wall()),
        clockTolerance: this.#options.clockTolerance ?? 5,
        ...(this.#options.issuer === undefined ? {} : { issuer: this.#options.issuer }),
        ...(this.#options.audience === undefined ? {} : { audience: this.#options.audience }),
      }));
    } catch (error) {
      throw new RoomwireError(error instanceof joseErrors.JWTExpired ? 'token_expired' : 'unauthenticated', undefined, {
        cause: error,
      });
    }
    const user = this.#userOf(claims);
    const expiresAt = typeof claims.exp === 'number' ? claims.exp * 1000 : null;
    return { user, expiresAt, guest: false };
  }

  #userOf(claims: Claims): User {
    let user: User;
    try {
      user = (this.#options.user ?? defaultUser)(claims);
    } catch (error) {
      throw new RoomwireError('unauthenticated', 'the token names no user', { cause: error });
    }
    if (typeof user.id !== 'string' || user.id === '' || user.id.length > 200 || typeof user.name !== 'string') {
      throw new RoomwireError('unauthenticated', 'the token names no user');
    }
    return user;
  }
}

function defaultUser(claims: Claims): User {
  const { sub, name } = claims;
  if (typeof sub !== 'string') throw new TypeError('no sub');
  const groups = Array.isArray(claims['groups']) ? claims['groups'].filter((group) => typeof group === 'string') : [];
  return {
    id: sub,
    name: typeof name === 'string' ? name.slice(0, 200) : sub,
    ...(groups.length > 0 ? { groups } : {}),
  };
}

const animals = ['otter', 'heron', 'lynx', 'wren', 'newt', 'ibex', 'crane', 'vole', 'finch', 'marten', 'tern', 'hare'];

/** A guest with a made-up name. */
export function guest(): Identity {
  const bytes = randomBytes(6);
  const animal = animals[(bytes[0] as number) % animals.length] as string;
  return {
    user: { id: `guest:${bytes.toString('base64url')}`, name: `${animal}-${(bytes.readUInt16BE(1) % 900) + 100}` },
    expiresAt: null,
    guest: true,
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function readPublicKey(pem: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch (error) {
    throw new TypeError('auth.publicKey: not a public key in PEM', { cause: error });
  }
}

function algorithmsOf(key: KeyObject): string[] {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return ['RS256', 'PS256'];
    case 'ed25519':
      return ['EdDSA'];
    case 'ec': {
      const curve = key.asymmetricKeyDetails?.namedCurve;
      const name = curve === 'secp384r1' ? 'ES384' : curve === 'secp521r1' ? 'ES512' : 'ES256';
      return [name];
    }
    default:
      throw new TypeError(`auth.publicKey: keys of type ${key.asymmetricKeyType} are not supported`);
  }
}
