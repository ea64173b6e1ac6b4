/** Following topics over HTTP, without a session. Public, as all of api.ts. */
import type { RoomwireError } from '../protocol/errors.js';
import type { Position } from '../protocol/frames.js';
import type { LoggedEvent, TopicHistory } from '../protocol/http-answers.js';
import type { Gone } from './transport/transport.js';
import type { HttpCaller } from './who.js';

/** How many may follow at once; 0: any number. */
export interface LiveOptions {
  /** In all. Default 10,000. */
  readonly readers?: number;
  /** Of one user, or as guests of one address; API keys have no such bound. Default 100. */
  readonly readersPerUser?: number;
  /** From one address, API keys' aside. Default 0: many may sit behind one. */
  readonly readersPerAddress?: number;
  /** Ms until an answer that goes on ends, so that whoever reads it is asked for their rights again. Default 600,000. */
  readonly maxMs?: number;
}

interface Asked {
  readonly caller: HttpCaller;
  readonly address: string;
  /** Where the reader stands: a position, an offset of the epoch that is, or here. */
  readonly from: Position | number | undefined;
  readonly gone: Gone;
}

export interface FollowOptions extends Asked {
  readonly format: LiveFormat;
}

export interface PollOptions extends Asked {
  /** Most events. Default 50, at most 500. */
  readonly limit?: number | undefined;
}

/** What is sent to one who follows. Made once: the same bytes go to all followers who have the same format. */
export interface LiveFormat {
  /** First of all: where the reader is; undefined where a reset follows. */
  begin(position: Position | undefined): Uint8Array;
  events(epoch: string, events: readonly LoggedEvent[]): Uint8Array;
  /** The history does not reach back to where the reader was: refetch, and go on from here. */
  reset(position: Position): Uint8Array;
  /** Last of all: why. `retryMs`: when to come again. */
  end(why: RoomwireError, retryMs: number): Uint8Array;
  /** Means nothing. */
  readonly idle: Uint8Array;
}

export interface FollowedEvents extends TopicHistory {
  /** After what is here: where to go on. */
  readonly position: Position;
  /** The history does not reach back to where the reader was: refetch, and go on from `position`. There are no events. */
  readonly reset: boolean;
}
