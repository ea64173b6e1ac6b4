/** Who is there: users, their sessions, and those who come with a credential. Public, as all of api.ts. */

/** Who a client is. An application's `user` option may add fields (plain data). */
export interface User {
  /** Stable and unique: members and sessions are keyed by it. */
  readonly id: string;
  readonly name: string;
}

/** A client's stay; outlives its connection by the grace. */
export interface Session<U extends User = User> {
  readonly sid: string;
  readonly user: U;
  /** Whether a connection is open now; false during the grace. */
  readonly connected: boolean;
  /** True once it ended: it will never come back. */
  readonly ended: boolean;
  /** The topics it is in. */
  readonly topics: ReadonlySet<string>;
}

/** What the holder of an HTTP credential may do. */
export interface HttpCaller {
  /**
   * `key`: an API key of the backend, which may do everything. `nobody`: whoever asks an endpoint that takes no
   * credentials, and may do nothing that is asked for in their name.
   */
  readonly kind: 'key' | 'user' | 'guest' | 'nobody';
  readonly user: User;
  /** What a key's locks and idempotency keys go by, the same for all keys of one name. Not for others to see. */
  readonly holder?: string;
  /** A user's: ms since the Unix epoch when the rights end; null: never. */
  readonly expiresAt?: number | null;
  /** A guest's: PublishOptions.keyOwner. */
  readonly keyOwner?: string;
}

/** Somebody whose token is good, before they get their rights. */
export interface Arrival {
  /** `connect`: HELLO for a new session; `resume`: for the one they have; `renew`: AUTH with a new token; `http`: a request. */
  readonly via: 'connect' | 'resume' | 'renew' | 'http';
  readonly user: User;
  readonly guest: boolean;
  /** The session's, where there is one already. */
  readonly sid: string | undefined;
  readonly address: string;
  /**
   * Puts the session into these topics as it begins: SUBSCRIBED follows WELCOME. Means nothing to a session that is resumed or
   * renewed, nor to a request. Throws a TypeError for a topic that the contract lacks, and for more than a session takes.
   */
  subscribe(topics: readonly string[]): void;
}
/**
 * May they come in? Returns the user as whom they do, with the same id (nothing: unchanged), or throws a
 * RoomwireError: `forbidden` for good, one of 200–299 to come again later.
 */
export type ArrivalHook = (arrival: Arrival) => User | void | Promise<User | void>;
