/**
 * The issuer's public keys from its JSON Web Key Set (RFC 7517). Keys that were fetched once serve on
 * while the issuer cannot be reached, and a flood of tokens with unknown key ids does not become a
 * flood of fetches. Used by auth.ts.
 */
import { createLocalJWKSet, errors as joseErrors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { isLoopback } from './admission.js';

const TIMEOUT_MS = 5_000;
/** Between two fetches for the sake of an unknown key. */
const COOLDOWN_MS = 30_000;
/** Between two tries while there is no key at all. */
const RETRY_MS = 1_000;
/** After which the set is fetched anew, in the background. */
const MAX_AGE_MS = 600_000;
/** A set is some kilobytes. */
const MAX_BYTES = 1024 * 1024;

/** The set could not be had: the issuer's trouble, not the token's. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
}

export class RemoteKeys {
  readonly #url: URL;
  readonly #monotonic: () => number;
  #keys: JWTVerifyGetKey | undefined;
  #fetchedAt = 0;
  #triedAt = -Infinity;
  #fetching: Promise<void> | undefined;

  /** Throws a TypeError for an address that others could answer. */
  constructor(url: string, monotonic: () => number) {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    const isSafe = parsed?.protocol === 'https:' || (parsed?.protocol === 'http:' && isLoopback(parsed.hostname));
    if (parsed === undefined || !isSafe) {
      throw new TypeError('auth.jwksUrl: use an https address (http for this machine only)');
    }
    this.#url = parsed;
    this.#monotonic = monotonic;
  }

  /** Rejects with KeysUnavailable, or a JOSEError when no key fits. */
  readonly get: JWTVerifyGetKey = async (header, token) => {
    if (this.#keys === undefined) await this.#refresh(RETRY_MS);
    if (this.#keys === undefined) throw new KeysUnavailable('the key set was never fetched');
    if (this.#monotonic() - this.#fetchedAt > MAX_AGE_MS) void this.#refresh(COOLDOWN_MS).catch(() => undefined);
    try {
      return await this.#keys(header, token);
    } catch (error) {
      if (!(error instanceof joseErrors.JWKSNoMatchingKey)) throw error;
      await this.#refresh(COOLDOWN_MS).catch(() => undefined);
      return this.#keys(header, token);
    }
  };

  /** Fetches unless that was tried within `notWithin` ms; joins a fetch under way. */
  #refresh(notWithin: number): Promise<void> {
    if (this.#fetching !== undefined) return this.#fetching;
    if (this.#monotonic() - this.#triedAt < notWithin) return Promise.resolve();
    this.#triedAt = this.#monotonic();
    this.#fetching = this.#fetch().finally(() => (this.#fetching = undefined));
    return this.#fetching;
  }

  async #fetch(): Promise<void> {
    try {
      const response = await fetch(this.#url, {
        redirect: 'error',
        headers: { accept: 'application/jwk-set+json, application/json' },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (!response.ok) throw new Error(`answered ${response.status}`);
      const text = await response.text();
      if (text.length > MAX_BYTES) throw new Error('answered too much');
      this.#keys = createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
      this.#fetchedAt = this.#monotonic();
    } catch (error) {
      throw new KeysUnavailable(`${this.#url.origin}: ${(error as Error).message}`, { cause: error });
    }
  }
}
