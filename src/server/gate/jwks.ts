/**
 * The issuer's public keys from its JSON Web Key Set (RFC 7517). Keys that were fetched once serve on
 * while the issuer cannot be reached, stalls or publishes a set without keys: a token whose key is known
 * never waits. A token whose key is not waits for a fetch, a while, and is told to come again when
 * there was no word from the issuer; a flood of those does not become a flood of fetches.
 */
import {
  createLocalJWKSet,
  errors as joseErrors,
  importJWK,
  type CryptoKey,
  type JSONWebKeySet,
  type JWK,
  type JWSHeaderParameters,
} from 'jose';
import { shortened } from '../../protocol/text.js';
import type { Log } from '../api.js';
import { isLoopback } from './doorkeeper.js';
import { exchange } from '../transport/exchange.js';
import type { Timer } from '../time/wheel.js';

/** For one fetch, as a whole. */
const TIMEOUT_MS = 5_000;
/** For one token that waits for it. */
const WAIT_MS = 2_500;
/** Tokens that wait at once; others are told to come again (rule 4). */
const MOST_WAITING = 1_000;
/** Between two fetches for the sake of an unknown key. */
const COOLDOWN_MS = 30_000;
/** Between two tries while the last one failed, or none was made. */
const RETRY_MS = 1_000;
/** After which the set is fetched anew, in the background. */
const MAX_AGE_MS = 600_000;
/** A set is some kilobytes. */
const MAX_BYTES = 1024 * 1024;
/** Between two lines of the log that say the same. */
const LOG_MS = 60_000;

/** The key could not be had: the issuer's trouble, not the token's. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
}

export interface KeysOptions {
  readonly monotonic: () => number;
  readonly after: (ms: number, fn: () => void) => Timer;
  readonly log: Log;
}

type Pick = ReturnType<typeof createLocalJWKSet>;

export class RemoteKeys {
  readonly #url: URL;
  readonly #options: KeysOptions;
  readonly #closing = new AbortController();
  #pick: Pick | undefined;
  #fetchedAt = 0;
  #triedAt = -Infinity;
  /** Of the last try; undefined: it succeeded. */
  #failure: string | undefined = 'never fetched';
  #fetching: Promise<void> | undefined;
  #waiting = 0;
  #loggedAt = -Infinity;
  #logged: string | undefined;

  /** Throws a TypeError for an address that others could answer. */
  constructor(url: string, options: KeysOptions) {
    this.#url = checkedUrl(url);
    this.#options = options;
  }

  /** The key a token's header names. Rejects with KeysUnavailable, or a JOSEError when the issuer has none that fits. */
  async get(header: JWSHeaderParameters): Promise<CryptoKey> {
    if (this.#pick !== undefined) {
      const isOld = this.#options.monotonic() - this.#fetchedAt > MAX_AGE_MS;
      if (isOld) void this.#refresh();
      const known = await this.#known(this.#pick, header);
      if (known !== undefined) return known;
    }
    await this.#wait(this.#refresh());
    const found = this.#pick === undefined ? undefined : await this.#known(this.#pick, header);
    if (found !== undefined) return found;
    // It may have been published since there was word of the issuer.
    if (this.#failure !== undefined) throw new KeysUnavailable(`the key set cannot be had: ${this.#failure}`);
    throw new joseErrors.JWKSNoMatchingKey(`no key of the set fits the token's ${nameOf(header)}`);
  }

  /** Ends a fetch under way: nothing of it keeps the process. */
  close(): void {
    this.#closing.abort();
  }

  /** Undefined: none fits. */
  async #known(pick: Pick, header: JWSHeaderParameters): Promise<CryptoKey | undefined> {
    try {
      return await pick(header);
    } catch (error) {
      if (error instanceof joseErrors.JWKSNoMatchingKey) return undefined;
      if (error instanceof joseErrors.JWKSMultipleMatchingKeys) throw error;
      // The token names it, the issuer has it, and it cannot be used for this algorithm.
      throw new KeysUnavailable(`the set's ${nameOf(header)} cannot be used: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /** Rejects with KeysUnavailable when it takes too long, or too many wait. */
  async #wait(fetched: Promise<void>): Promise<void> {
    if (this.#waiting >= MOST_WAITING) throw new KeysUnavailable('too many tokens wait for the key set');
    this.#waiting++;
    let timer: Timer | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const late = (): void => reject(new KeysUnavailable(`the key set was not there within ${WAIT_MS} ms`));
        timer = this.#options.after(WAIT_MS, late);
        void fetched.then(resolve);
      });
    } finally {
      timer?.cancel();
      this.#waiting--;
    }
  }

  /** Fetches unless that was tried lately; joins a fetch under way. Never rejects. */
  #refresh(): Promise<void> {
    if (this.#fetching !== undefined) return this.#fetching;
    const now = this.#options.monotonic();
    if (now - this.#triedAt < (this.#failure === undefined ? COOLDOWN_MS : RETRY_MS)) return Promise.resolve();
    this.#triedAt = now;
    this.#fetching = this.#fetch().finally(() => (this.#fetching = undefined));
    return this.#fetching;
  }

  async #fetch(): Promise<void> {
    try {
      const { status, body } = await exchange({
        url: this.#url,
        method: 'GET',
        headers: { accept: 'application/jwk-set+json, application/json', 'user-agent': 'roomwire' },
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_BYTES,
        after: this.#options.after,
        signal: this.#closing.signal,
      });
      // Also a redirect: where it leads nobody has checked.
      if (status !== 200) throw new Error(`answered ${status}`);
      this.#pick = await setOf(body);
      this.#fetchedAt = this.#options.monotonic();
      if (this.#logged !== undefined)
        this.#options.log.info({ origin: this.#url.origin }, 'the key set is there again');
      this.#failure = this.#logged = undefined;
    } catch (error) {
      this.#failure = (error as Error).message;
      this.#note(this.#failure);
    }
  }

  /** What goes on failing is said once a minute, what is new at once. */
  #note(reason: string): void {
    const now = this.#options.monotonic();
    if (this.#closing.signal.aborted || (reason === this.#logged && now - this.#loggedAt < LOG_MS)) return;
    this.#logged = reason;
    this.#loggedAt = now;
    const fields = { origin: this.#url.origin, reason, hasKeys: this.#pick !== undefined };
    this.#options.log.warn(fields, 'the key set cannot be had');
  }
}

function checkedUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const host = url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '';
  if (url === undefined || !(url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(host)))) {
    throw new TypeError('auth.jwksUrl: use an https address (http for this machine only)');
  }
  return url;
}

/** Rejects for what is no set, and for one in which nothing can check a signature: it would turn everybody away. */
async function setOf(body: Buffer): Promise<Pick> {
  let set: JSONWebKeySet;
  try {
    set = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as JSONWebKeySet;
  } catch {
    throw new Error('answered what is not JSON');
  }
  // Throws for what has another form.
  createLocalJWKSet(set);
  const usable = await Promise.all(set.keys.map(isUsable));
  const keys = set.keys.filter((_, i) => usable[i]);
  if (keys.length === 0) throw new Error('answered a set without a key that could check a signature');
  return createLocalJWKSet({ keys });
}

async function isUsable(jwk: JWK): Promise<boolean> {
  const { kty, use, key_ops: operations } = jwk;
  if (kty === 'oct' || (use !== undefined && use !== 'sig')) return false;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return false;
  try {
    const key = (await importJWK(jwk, jwk.alg ?? (kty === 'RSA' ? 'RS256' : undefined))) as CryptoKey;
    const { modulusLength = 2_048 } = key.algorithm as { readonly modulusLength?: number };
    return key.type === 'public' && modulusLength >= 2_048;
  } catch {
    return false;
  }
}

/** For the log: what an outsider wrote, kept short. */
function nameOf({ kid, alg }: JWSHeaderParameters): string {
  const text = (part: unknown): string => (typeof part === 'string' ? shortened(part, 64) : '-');
  return `kid ${JSON.stringify(text(kid))}, alg ${text(alg)}`;
}
