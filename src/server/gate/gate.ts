/**
 * Who comes in: from HELLO's token, or the ticket of a session, to an identity with its rights, and how many may be
 * there at once. What becomes of the session is sessions/welcome.ts.
 */
import { RoomwireError } from '../../protocol/errors.js';
import { TOKEN_ITEM_PREFIX, type Hello } from '../../protocol/frames.js';
import type { User } from '../api.js';
import type { UpgradeInfo } from '../transport/transport.js';
import type { Arrivals } from './arrivals.js';
import { bearerOf, guest, type Authenticator, type Identity } from './auth.js';
import type { Doorkeeper } from './doorkeeper.js';
import { PROBE, type OwnKey } from './own-key.js';
import { tooMany } from './rates.js';
import type { TokenCheck } from './token-check.js';

/** For one who has too many connections: others of theirs have to end first. */
const CONNECTION_RETRY_MS = 5_000;

export interface GateOptions {
  readonly auth: Authenticator;
  readonly tokens: TokenCheck;
  readonly arrivals: Arrivals;
  readonly door: Doorkeeper;
  readonly ownKey: OwnKey;
  /** The sessions that are there. */
  readonly present: { readonly size: number; connectedOf(userId: string): number };
}

/** The connection that asks. */
export interface Comer {
  readonly info: UpgradeInfo;
  readonly address: string;
  readonly open: boolean;
}

/** A session that HELLO's secret proves. */
export interface KnownSession {
  readonly sid: string;
  readonly user: User;
  readonly connected: boolean;
  readonly record: { readonly guest: boolean };
}

export class Gate {
  readonly #options: GateOptions;
  /** Whose HELLO is being answered: they are in no registry yet. */
  readonly #arriving = new Map<string, number>();
  #arrivingInAll = 0;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Throws unauthenticated, token_expired and too_many. */
  async identify(hello: Hello, comer: Comer, known: KnownSession | undefined): Promise<Identity> {
    const { auth, ownKey, tokens } = this.#options;
    const token = hello.token ?? tokenOf(comer.info);
    if (token !== undefined && ownKey.opens(token)) return PROBE;
    if (token !== undefined && auth.tokens) return tokens.stranger(token, comer.address, () => comer.open);
    if (!auth.guests) throw new RoomwireError('unauthenticated', 'a token is needed');
    if (known?.record.guest === true) return { user: known.user, expiresAt: null, guest: true };
    return guest();
  }

  /** The identity with what the program made of it. Throws too_many, and what the program refused with. */
  async admit(identity: Identity, known: KnownSession | undefined, { address }: Comer): Promise<Identity> {
    if (identity === PROBE) return identity;
    this.requireRoom(identity, known);
    const via = known === undefined ? 'connect' : 'resume';
    return this.#options.arrivals.admit(identity, { via, sid: known?.sid, address });
  }

  /** Throws too_many when there are as many sessions, or the user has as many connections, as may be. */
  requireRoom(identity: Identity, known: KnownSession | undefined): void {
    if (identity === PROBE) return;
    const { present, door } = this.#options;
    const { id } = identity.user;
    const { sessions, connectionsPerUser: most } = door.limits;
    if (sessions > 0 && known === undefined && present.size + this.#arrivingInAll >= sessions) {
      throw tooMany(CONNECTION_RETRY_MS, 'too many sessions');
    }
    const arriving = this.#arriving.get(id) ?? 0;
    const connected = present.connectedOf(id) - (known?.connected === true ? 1 : 0);
    if (most > 0 && connected + arriving >= most) {
      throw tooMany(CONNECTION_RETRY_MS, `you have ${most} connections: close one`);
    }
  }

  /** Counts one whose WELCOME is being committed. Answers what takes it back. */
  arrives(userId: string): () => void {
    this.#arriving.set(userId, (this.#arriving.get(userId) ?? 0) + 1);
    this.#arrivingInAll++;
    return () => {
      this.#arrivingInAll--;
      const others = (this.#arriving.get(userId) as number) - 1;
      if (others > 0) this.#arriving.set(userId, others);
      else this.#arriving.delete(userId);
    };
  }
}

function tokenOf(info: UpgradeInfo): string | undefined {
  const bearer = bearerOf(info.authorization);
  if (bearer !== undefined) return bearer;
  const item = info.subprotocols.find((offered) => offered.startsWith(TOKEN_ITEM_PREFIX));
  if (item !== undefined) return item.slice(TOKEN_ITEM_PREFIX.length);
  return info.query === '' ? undefined : (new URLSearchParams(info.query).get('token') ?? undefined);
}
