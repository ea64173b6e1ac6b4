/**
 * Checking a token costs more than sending one, so all checks come through here: HELLO and HTTP by
 * their address, AUTH by its session. Why one was refused is for the log: its owner is told no more than
 * that it was.
 */
import { errors } from '../../protocol/codes.js';
import { messageOf } from '../../protocol/code-texts.js';
import { RoomwireError } from '../../protocol/errors.js';
import { shortened } from '../../protocol/text.js';
import type { Log } from '../api.js';
import type { Authenticator, Identity } from './auth.js';
import type { Doorkeeper } from './doorkeeper.js';
import { tooMany } from './rates.js';
import { Sampler } from '../watch/log.js';
import type { Timer } from '../time/wheel.js';

/** Lines a second; more is counted. */
const LINES_A_SECOND = 20;
/** Characters of a reason, which a program's own `auth.user` may have given. */
const REASON_LENGTH = 300;

export class TokenCheck {
  readonly #auth: Authenticator;
  readonly #door: Doorkeeper;
  readonly #log: Log;
  readonly #lines: Sampler<'refused'>;

  constructor({
    auth,
    door,
    log,
    after,
  }: {
    readonly auth: Authenticator;
    readonly door: Doorkeeper;
    readonly log: Log;
    readonly after: (ms: number, fn: () => void) => Timer;
  }) {
    this.#auth = auth;
    this.#door = door;
    this.#log = log;
    const leftOut = (_: 'refused', count: number): void => log.info({ count }, 'refused more tokens than are logged');
    this.#lines = new Sampler({ most: LINES_A_SECOND, after, leftOut });
  }

  /** Of somebody unknown. Rejects with unauthenticated, token_expired and too_many. `wanted`: whether the peer is still there when its turn comes. */
  async stranger(token: string, address: string, wanted?: () => boolean): Promise<Identity> {
    this.#takeTurn(this.#door.waitsForBadTokens(address));
    try {
      return await this.#auth.verify(token, wanted);
    } catch (error) {
      if (error instanceof RoomwireError && error.code === errors.unauthenticated) this.#door.badToken(address);
      throw this.#noted(error, { address });
    }
  }

  /** Of somebody who is in: what others at the same address did is not held against them. */
  async renewal(token: string, user: string): Promise<Identity> {
    this.#takeTurn(0);
    try {
      return await this.#auth.verify(token);
    } catch (error) {
      throw this.#noted(error, { user });
    }
  }

  #takeTurn(waitMs: number): void {
    const wait = Math.max(waitMs, this.#door.checksToken());
    if (wait > 0) throw tooMany(wait, 'too many tokens to check');
  }

  /** The error itself. Its cause says what was wrong; no library of ours writes the token into one. */
  #noted(error: unknown, who: { readonly address: string } | { readonly user: string }): unknown {
    if (!(error instanceof RoomwireError) || error.code === errors.disconnected) return error;
    const { cause } = error;
    const text = cause instanceof Error && cause.message !== '' ? cause.message : messageOf(error);
    const reason = shortened(text, REASON_LENGTH);
    if (this.#lines.takes('refused')) this.#log.info({ ...who, code: error.name, reason }, 'token refused');
    return error;
  }
}
