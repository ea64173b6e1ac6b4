/**
 * API keys, the secrets of backends: `name=key`, or a bare key. What a backend holds and repeats (locks,
 * idempotency keys) goes by the name, so that a rotation, two keys of one name for a while, keeps it.
 */
import { timingSafeEqual } from 'node:crypto';
import type { HttpCaller } from '../api.js';
import { sha256, sha256Text } from './sha256.js';

interface Known {
  readonly digest: Buffer;
  readonly caller: HttpCaller;
}

/** The `=` at the end of base64 begins no key. */
const NAMED = /^([a-z0-9][\w.-]{0,63})=(?!=*$)(.*)$/is;
const SHORTEST = 16;
const CARRIED = /^[\x21-\x7e]+$/;

export class ApiKeys {
  readonly #known: readonly Known[];

  /** Throws a TypeError that says what to set. */
  constructor(keys: readonly string[]) {
    this.#known = keys.map((text) => {
      const [, name, named] = NAMED.exec(text) ?? [];
      const key = named ?? text;
      if (key.length < SHORTEST) {
        throw new TypeError(
          `auth.apiKeys: use at least ${SHORTEST} characters, such as \`openssl rand -hex 16\`${name === undefined ? '' : `, after ${name}=`}`,
        );
      }
      if (!CARRIED.test(key)) {
        throw new TypeError(
          'auth.apiKeys: no blanks, and nothing but ASCII: an Authorization header carries no others',
        );
      }
      return { digest: sha256(key), caller: callerOf(name, key) };
    });
    for (const { digest: one, caller } of this.#known) {
      const other = this.#known.find(({ digest: same }) => same.equals(one));
      if (other?.caller.holder !== caller.holder) throw new TypeError('auth.apiKeys: one key has two names');
    }
  }

  get size(): number {
    return this.#known.length;
  }

  /** Who sends this key. Constant time in the key's content. */
  find(key: string): HttpCaller | undefined {
    const given = sha256(key);
    let found: HttpCaller | undefined;
    for (const known of this.#known) if (timingSafeEqual(known.digest, given)) found = known.caller;
    return found;
  }
}

/** A bare key is told from others by its digest, which only the store sees. */
function callerOf(name: string | undefined, key: string): HttpCaller {
  return name === undefined
    ? {
        kind: 'key',
        user: { id: 'api-key', name: 'backend' },
        holder: `key#${sha256Text(`holder ${key}`)}`,
      }
    : { kind: 'key', user: { id: `api-key:${name}`, name }, holder: `key ${name}` };
}
