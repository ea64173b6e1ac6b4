/**
 * From a scanned frame to its effect: one table, opcode → rate, id, handler. Errors of meaning are answered to the frame
 * that has them; the rest of the message goes on (RW-FRM-7).
 */
import type { RoomwireError } from '../../protocol/errors.js';
import { Op, type Value } from '../../protocol/frames.js';
import type { ServerSession } from '../sessions/session.js';
import { readAck, readAuth, readCall, readId, readNack, readPing, readPositions, writePong } from '../wire/frames.js';
import { refusal } from '../wire/refusal.js';
import type { Connection } from './connection.js';
import {
  answerLater,
  errorOf,
  Inbound,
  spend,
  type Counted,
  type Done,
  type Failed,
  type HandlerParts,
} from './inbound.js';
import { publish, volatile } from './publish.js';
import { subscribe, unsubscribe } from './subscribe.js';

/** Checking a token costs as much as so many strays. */
const AUTH_WEIGHT = 20;

interface Entry {
  readonly counted: Counted;
  /** Element 1 must be an id of at least this; undefined: the frame has none. */
  readonly leastId?: number;
  readonly handle: (frame: Inbound, parts: HandlerParts) => void;
}

/** What a client may send after HELLO. */
const entries: Readonly<Record<number, Entry>> = {
  [Op.HELLO]: { counted: 'strays', handle: ({ connection }) => connection.close('hello_expected', 'HELLO came twice') },
  [Op.PING]: { counted: 'strays', handle: ping },
  [Op.PONG]: { counted: 'strays', handle: () => undefined },
  [Op.AUTH]: { counted: 'strays', leastId: 1, handle: auth },
  [Op.BYE]: { counted: 'strays', handle: ({ connection }, { sessions }) => sessions.bye(connection) },
  [Op.CALL]: { counted: 'calls', leastId: 1, handle: call },
  [Op.ACK]: { counted: 'answers', leastId: 1, handle: (frame) => answered(frame, readAck) },
  [Op.NACK]: { counted: 'answers', leastId: 1, handle: (frame) => answered(frame, readNack) },
  [Op.CANCEL]: { counted: 'strays', leastId: 1, handle: ({ connection, id }) => connection.requests.cancel(id) },
  [Op.SUBSCRIBE]: { counted: 'joins', leastId: 1, handle: subscribe },
  [Op.UNSUBSCRIBE]: { counted: 'joins', leastId: 1, handle: unsubscribe },
  // Id 0: no answer is wanted (RW-PUB-4).
  [Op.PUBLISH]: { counted: 'publishes', leastId: 0, handle: publish },
  [Op.VOLATILE]: { counted: 'publishes', handle: volatile },
  [Op.POSITION]: { counted: 'strays', handle: position },
};

const UNKNOWN: Entry = { counted: 'strays', handle: unknown };

/** The same by index, without gaps. */
const table: readonly Entry[] = Array.from(
  { length: 1 + Math.max(...Object.keys(entries).map(Number)) },
  (_, opcode) => entries[opcode] ?? UNKNOWN,
);

export class Dispatcher {
  readonly #parts: HandlerParts;
  readonly #frame: Inbound;

  constructor(parts: HandlerParts) {
    this.#parts = parts;
    this.#frame = new Inbound(parts.limits);
  }

  /** `start`–`end` is a scanned frame of a connection that is live; the bytes die with the call. */
  frame(connection: Connection, bytes: Uint8Array, start: number, end: number): void {
    const frame = this.#frame;
    frame.take(bytes, start, end);
    const { opcode } = frame;
    const { counted, leastId, handle } = opcode < table.length ? (table[opcode] as Entry) : UNKNOWN;
    if (counted === 'strays' && !connection.stray(frame.size)) return;
    frame.connection = connection;
    frame.session = connection.session as ServerSession;
    frame.counted = counted;
    frame.id = 0;
    try {
      if (leastId !== undefined) requireId(frame, leastId);
      handle(frame, this.#parts);
    } catch (error) {
      connection.nack(frame.id, errorOf(error, this.#parts));
    }
    frame.drop();
  }
}

/** Throws bad_request. */
function requireId(frame: Inbound, least: number): void {
  const id = readId(frame, least);
  if (id === undefined) throw refusal('bad_request', `element 1 must be an id from ${least} to 2^31 - 1`);
  frame.id = id;
}

/** Element 1 may be an id or not: nobody knows its layout (RW-FRM-6). */
function unknown(frame: Inbound): void {
  frame.id = readId(frame) ?? 0;
  throw refusal('unknown_op', `unknown opcode ${frame.opcode}`);
}

function ping(frame: Inbound, { clock }: HandlerParts): void {
  frame.connection.outbox.push(writePong(readPing(frame), clock.now()));
}

function auth(frame: Inbound, parts: HandlerParts): void {
  const { connection, session } = frame;
  const token = readAuth(frame);
  if (!connection.stray(0, AUTH_WEIGHT)) return;
  const start = (done: Done, failed: Failed): void => parts.sessions.renew(connection, session, token, done, failed);
  answerLater(frame, { start }, parts);
}

function call(frame: Inbound, parts: HandlerParts): void {
  const { connection, session, id } = frame;
  const name = readCall.name(frame);
  try {
    const data = readCall.data(frame);
    const options = readCall.options(frame);
    connection.requests.accepts();
    spend(frame, name, parts);
    parts.calls.run({ connection, session, id, name, options }, data);
  } catch (error) {
    const refused = errorOf(error, parts);
    parts.counters.call(name).refused(refused);
    connection.nack(id, refused, name);
  }
}

function answered(frame: Inbound, read: (frame: Inbound) => Value | RoomwireError): void {
  const { connection, id, size } = frame;
  if (connection.requests.awaits(id)) return connection.requests.answered(id, read(frame));
  // To nobody's call: a late answer, and not decoded.
  connection.stray(size);
}

/** What the client has handled, for diagnosis (RW-POS-6): of topics it is in, and never more than it was sent. */
function position(frame: Inbound, { hub }: HandlerParts): void {
  const { cursors } = frame.connection.outbox;
  const now = hub.now();
  for (const [topic, [epoch, offset]] of readPositions(frame)) {
    const cursor = cursors.get(topic);
    if (cursor === undefined || epoch !== cursor.topic.epoch) continue;
    if (!(offset > cursor.handled && offset < cursor.next)) continue;
    cursor.handled = offset;
    cursor.handledAt = now;
  }
}
