/**
 * By what the server knows its own probe (probe.ts): a secret that it makes at its start and shows only to
 * itself, as the bearer token of the one connection from its own port to its own port. It opens nothing
 * but that: a session of a user that no token can name, which is in no number and under no limit.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Session } from '../api.js';
import { OWN_PREFIX } from '../wire/names.js';
import { bearerOf, type Identity } from './auth.js';
import { sha256 } from './sha256.js';

export const PROBE: Identity = { user: { id: OWN_PREFIX, name: 'probe' }, expiresAt: null, guest: false };

/** A token whose user has this id is refused: see auth.ts. */
export function isProbe(session: Session | undefined): boolean {
  return session?.user.id === OWN_PREFIX;
}

export class OwnKey {
  readonly token = randomBytes(32).toString('base64url');
  readonly digest = sha256(this.token);

  /** In constant time. */
  opens(token: string): boolean {
    return timingSafeEqual(this.digest, sha256(token));
  }

  /** Whether this Authorization header is the probe's. */
  isIn(authorization: string): boolean {
    const token = bearerOf(authorization);
    return token !== undefined && this.opens(token);
  }
}
