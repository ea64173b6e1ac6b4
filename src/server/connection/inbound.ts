/**
 * What a handler of dispatch.ts is given: a frame with its connection, and the parts of the server that handle it. And
 * what handlers share: counting by rate, answering later, telling an error.
 */
import { EncodeError } from '../../protocol/codec.js';
import { RoomwireError } from '../../protocol/errors.js';
import type { Limits } from '../../protocol/limits.js';
import type { Log } from '../api.js';
import type { CallTable } from '../calls/table.js';
import type { Rated, Rates } from '../gate/rates.js';
import type { Hub } from '../hub/hub.js';
import type { Policy } from '../policy.js';
import type { Sessions } from '../sessions/life.js';
import type { Account, ServerSession } from '../sessions/session.js';
import type { Clock } from '../time/clock.js';
import type { Counters } from '../watch/counters.js';
import { refusal } from '../wire/refusal.js';
import { ScannedFrame } from '../wire/scanned-frame.js';
import type { Connection } from './connection.js';

/**
 * How a frame is counted. A rate: by its handler, which knows the name that narrower rates go by. `answers`: not at all,
 * because there are as many as calls of ours. `strays`: by its size, before its handler runs.
 */
export type Counted = Rated | 'answers' | 'strays';

/**
 * The frame that is being handled. One object serves all frames of a server, so it is valid only until its
 * handler returns: whatever runs later, after an await or in a transaction, must not hold it.
 */
export class Inbound extends ScannedFrame {
  connection!: Connection;
  session!: ServerSession;
  counted: Counted = 'strays';
  /** Of the request; 0: the frame has none, or wants no answer. */
  id = 0;
}

export interface HandlerParts {
  readonly hub: Hub;
  readonly policy: Policy;
  readonly calls: CallTable;
  readonly sessions: Sessions;
  readonly limits: Limits;
  readonly rates: Rates;
  readonly log: Log;
  readonly counters: Counters;
  readonly clock: Clock;
}

export type Done = (data: unknown) => void;
export type Failed = (error: unknown) => void;

/** Counts the frame by its rate. Throws too_many: the session or its user does this too often. */
export function spend({ counted, connection, session }: Inbound, name: string, { rates }: HandlerParts): void {
  if (counted === 'strays' || counted === 'answers') return;
  rates.take(counted, name, session, accountOf(session), connection.lastSeen);
}

/** Of a session that is connected: it has one. */
export function accountOf({ account }: ServerSession): Account {
  return account as Account;
}

export interface Answer {
  /** Calls one of the two, now or later; what it throws is as good as `failed`. */
  readonly start: (done: Done, failed: Failed) => void;
  /** What a refusal names. */
  readonly target?: string;
}

/** Answers a request later; until then it counts as waiting. Throws draining and too_many. */
export function answerLater({ connection, id }: Inbound, { start, target }: Answer, parts: HandlerParts): void {
  const { requests } = connection;
  requests.waits();
  const failed = (error: unknown): void => {
    requests.settled();
    if (connection.open) connection.nack(id, errorOf(error, parts), target);
  };
  const done = (data: unknown): void => {
    requests.settled();
    if (connection.open) connection.ack(id, data);
  };
  try {
    start(done, failed);
  } catch (error) {
    failed(error);
  }
}

/** What the client is told. An error that is not meant for it is logged, and told as handler_failed. */
export function errorOf(error: unknown, { log }: Pick<HandlerParts, 'log'>): RoomwireError {
  if (error instanceof RoomwireError) return error;
  if (error instanceof EncodeError) return refusal('bad_request', error.message, { cause: error });
  log.error({ err: error }, 'a frame could not be handled');
  return new RoomwireError('handler_failed', undefined, { cause: error });
}
