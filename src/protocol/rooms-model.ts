/**
 * What is told of a room, as plain types: a client reads them without the library of the schemas. rooms-contract.ts has
 * the schemas, which the compiler holds to these.
 */
import type { Positions } from './frames.js';

export type LockMetadata = {
  msg: string | null;
  userName: string;
  /** When the lock was taken, seconds since the Unix epoch. */
  timestamp: number;
};

export type RoomMetadata = {
  id: string;
  description: string | null;
  frameCount: number;
  /** Permanent: the room refuses writes. */
  locked: boolean;
  /** Not in the public overview. */
  hidden: boolean;
  isDefault: boolean;
  metadataLocked: LockMetadata | null;
  presenterSid: string | null;
  /** Listed in `overview:<group>` alone, for its members; null: public. */
  group: string | null;
  /** From one counter of the whole store: apply only what is newer. */
  version: number;
};

/** What a client may set at creation or change later. */
export type RoomFields = {
  description?: string | null | undefined;
  frameCount?: number | undefined;
  locked?: boolean | undefined;
  hidden?: boolean | undefined;
  group?: string | null | undefined;
};

export type Member = {
  userId: string;
  name: string;
  /** Joining order, which is the order in which the host moves on. */
  order: number;
  /** Live sessions of this user in the room. */
  online: number;
};

/** A lock as others see it: never with its token. */
export type LockInfo = {
  target: string;
  userId: string;
  userName: string;
  sid: string | null;
  msg: string | null;
  /** When it was taken, seconds since the Unix epoch. */
  timestamp: number;
  /** Store time in ms. */
  expiresAt: number;
};

export type Holders = {
  locks: LockInfo[];
  presenter: { userId: string; userName: string; sid: string | null } | null;
  host: { userId: string; userName: string } | null;
};

export type Lease = {
  target: string;
  token: number;
  expiresAt: number;
  /** Ms it was waited for in line. */
  waited?: number | undefined;
};

/** What join:room answers; `M`: the metadata, with the application's own fields. */
export interface JoinReply<M = RoomMetadata> {
  readonly status: 'joined';
  readonly room: string;
  readonly roomId: string;
  readonly created: boolean;
  readonly metadata: M;
  readonly members: readonly Member[];
  readonly memberCount: number;
  /** False: `members` is a first page. */
  readonly complete: boolean;
  readonly holders: Holders;
  readonly positions: Positions;
}
