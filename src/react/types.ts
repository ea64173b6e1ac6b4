/** What the hooks give and take. */
import type {
  Client,
  Handler,
  Lock,
  LockOptions,
  MetadataOf,
  RemovedInfo,
  ResetInfo,
  Room,
  RoomState,
  RoomTopics,
} from '../client/types.js';
import type { EventData, EventNames, Shape, Shaped } from '../protocol/shape.js';
import type { RoomwireError } from '../protocol/errors.js';
import type { LockInfo, RoomFields } from '../protocol/rooms-model.js';

/**
 * Where an application names its contract once, for all hooks:
 *
 * @example
 * declare module '@roomwire/client/react' {
 *   interface Register { contract: Contract }
 * }
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- for the application to fill
export interface Register {}

export type Registered = Register extends { contract: infer C extends Shaped } ? C : Shaped;

/** A client, or how to make one: called once, in the browser, and closed with the provider. */
export type ClientSource<S extends Shape = Shape> = Client<S> | (() => Client<S>);

export interface UseRoomOptions {
  /** Creates the room when there is none, with these fields. What is given first counts. */
  readonly create?: boolean | RoomFields | undefined;
}

export interface RoomView<S extends Shape = Shape> extends Omit<RoomState<MetadataOf<S>>, 'status'> {
  /**
   * `joined` also while it is read again, after missed events. `refused`: the join was, see `error`. `left`: by a call of `room.leave()`. `removed`: the server
   * ended it, see `error`. `joining` with an `error`: it is tried again by itself.
   */
  readonly status: 'joining' | 'joined' | 'refused' | 'left' | 'removed' | 'deleted';
  /** It is read: for the first time, or again. */
  readonly loading: boolean;
  readonly error: RoomwireError | undefined;
  /** For what is done and not shown: publish, presenter, events. Null until there is a client. */
  readonly room: Room<S> | null;
  /** Joins again what was `refused`, `left`, `removed` or `deleted`. */
  readonly retry: () => void;
}

/** Of a room's topic, and what the client tells of it. */
export type RoomEventNames<S extends Shape> = EventNames<S, RoomTopics<S>> | 'reset' | 'removed' | '*';
export type RoomEventHandler<S extends Shape, E extends string> = E extends '*'
  ? Handler<unknown>
  : E extends 'reset'
    ? (reset: ResetInfo) => void
    : E extends 'removed'
      ? (removed: RemovedInfo) => void
      : Handler<EventData<S, RoomTopics<S>, E>>;

export interface RoomsView<M> {
  /** The same array until something changes. */
  readonly rooms: readonly M[];
  /** The server keeps the list current. */
  readonly watching: boolean;
  readonly loading: boolean;
  readonly error: RoomwireError | undefined;
}

export type AcquireOptions = Omit<LockOptions, 'signal'>;

export interface LockView {
  /** `waiting`: asked for and not answered yet. `mine`: held, with `lock`. `other`: by whomever else, this session without `lock` included. */
  readonly status: 'free' | 'waiting' | 'mine' | 'other';
  /** Who has it, as the server told, also while this session waits. */
  readonly holder: LockInfo | null;
  /**
   * Wall-clock ms of this device, as `Date.now()` counts: when the lease ends unless it is renewed;
   * while waiting, when the wait ends. Null when free, or when there is nothing to wait for but the answer.
   * Of another's renewals nothing is told, so theirs may have passed.
   */
  readonly deadline: number | null;
  /** While `mine`: the fencing token, and the signal that aborts when the lease is lost. */
  readonly lock: Lock | null;
  /** Why the last `acquire` came to nothing, or why the lease was lost; undefined after the next `acquire`. */
  readonly error: RoomwireError | undefined;
  /** Null when it was refused, or given up by `release`: see `error`. Asked again meanwhile, the answer is the same. */
  readonly acquire: (options?: AcquireOptions) => Promise<Lock | null>;
  /** Gives it back, or ends the wait. False when there was nothing to give back. */
  readonly release: () => Promise<boolean>;
}
