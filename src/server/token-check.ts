/**
 * Checking a token costs more than sending one, so all checks come through here: HELLO and HTTP by
 * their address, AUTH by its session. Used by welcome.ts, sessions.ts and server.ts.
 */
import { errors } from '../protocol/codes.js';
import { RoomwireError } from '../protocol/errors.js';
import type { Authenticator, Identity } from './auth.js';
import type { Doorkeeper } from './doorkeeper.js';
import { tooMany } from './rates.js';

export class TokenCheck {
  readonly #auth: Authenticator;
  readonly #door: Doorkeeper;

  constructor(auth: Authenticator, door: Doorkeeper) {
    this.#auth = auth;
    this.#door = door;
  }

  /** Of somebody unknown. Rejects with unauthenticated, token_expired and too_many. `wanted`: whether the peer is still there when its turn comes. */
  async stranger(token: string, address: string, wanted?: () => boolean): Promise<Identity> {
    this.#takeTurn(this.#door.waitsForBadTokens(address));
    try {
      return await this.#auth.verify(token, wanted);
    } catch (error) {
      if (error instanceof RoomwireError && error.code === errors.unauthenticated) this.#door.badToken(address);
      throw error;
    }
  }

  /** Of somebody who is in: what others at the same address did is not held against them. */
  async renewal(token: string): Promise<Identity> {
    this.#takeTurn(0);
    return this.#auth.verify(token);
  }

  #takeTurn(waitMs: number): void {
    const wait = Math.max(waitMs, this.#door.checksToken());
    if (wait > 0) throw tooMany(wait, 'too many tokens to check');
  }
}
