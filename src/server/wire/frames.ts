/**
 * Every frame that the server writes, and beside it the reader of its counterpart; in the order of opcodes, laid out as
 * PROTOCOL.md says ("Frames", RW-FRM-1 to RW-FRM-9). A frame of several parts is read part by part: which error comes
 * first depends on what the caller checks in between. Readers throw bad_request, and too_large for names and data.
 * Splitting a tick's events into frames, and cutting stored frames, is in hub/events-frame.ts.
 */
import { messageOf } from '../../protocol/code-texts.js';
import { decodeScanned, encode, Writer } from '../../protocol/codec.js';
import { errorName } from '../../protocol/codes.js';
import { type RoomwireError } from '../../protocol/errors.js';
import { Op, type CallOptions, type Hello, type Position, type Value, type Welcome } from '../../protocol/frames.js';
import type { Limits } from '../../protocol/limits.js';
import { arrayLength, arrayStart } from '../../protocol/scan.js';
import { shortened } from '../../protocol/text.js';
import { requireEventData } from './event-data.js';
import { requireName } from './names.js';
import { helloOf } from './hello.js';
import { isMap, isPosition } from './shapes.js';
import { borrowWriter, encodePooled, pooled } from './pooled.js';
import { refusal } from './refusal.js';
import type { ScannedFrame } from './scanned-frame.js';

const MAX_ID = 0x7fff_ffff;
/** Of an error's text, in UTF-16 units: a schema's message may quote the data. */
const MESSAGE_LENGTH = 500;
const NACK_BYTES = 8 * 1024;

/** Element 1 as the id of a request (RW-FRM-2); undefined: it is none. */
export function readId(frame: ScannedFrame, least = 1): number | undefined {
  const id = frame.int(1);
  return id !== undefined && id >= least && id <= MAX_ID ? id : undefined;
}

/** After the last id comes the first. */
export function nextId(id: number): number {
  return id === MAX_ID ? 1 : id + 1;
}

// ---- 1 HELLO, 2 WELCOME ----------------------------------------------------------------------------

export const readHello = {
  /** Undefined: the frame is another one. Without an id: it is none, or not there. */
  parts(bytes: Uint8Array, start: number): { readonly id: number | undefined; readonly data: Value } | undefined {
    const [op, id, data = null] = decodeScanned(bytes, start) as readonly Value[];
    if (op !== Op.HELLO) return undefined;
    const isId = typeof id === 'number' && Number.isInteger(id) && id > 0 && id <= MAX_ID;
    return { id: isId ? id : undefined, data };
  },

  data: helloOf,
};

/** For the probe, which is a client of its own server. */
export function writeHello(id: number, hello: Hello): Uint8Array {
  return encode([Op.HELLO, id, hello]);
}

export function writeWelcome(
  id: number,
  welcome: Omit<Welcome, 'user' | 'limits'> & { readonly user: { readonly id: string }; readonly limits: Limits },
): Uint8Array {
  const writer = borrowWriter();
  writer.writeArrayHeader(3);
  writer.writeInt(Op.WELCOME);
  writer.writeInt(id);
  const members = Object.entries(welcome);
  writer.writeMapHeader(members.length);
  for (const [name, value] of members) {
    writer.writeString(name);
    if (name === 'limits') writer.writeRaw(encodedLimits(welcome.limits));
    else writer.writeValue(value, { name, level: 2 });
  }
  return pooled(writer);
}

/** The same for all: half of what a WELCOME says. */
let limitsWritten: { readonly limits: Limits; readonly bytes: Uint8Array } | undefined;

function encodedLimits(limits: Limits): Uint8Array {
  if (limitsWritten?.limits !== limits) limitsWritten = { limits, bytes: encode(limits) };
  return limitsWritten.bytes;
}

// ---- 3 PING, 4 PONG --------------------------------------------------------------------------------

export function writePing(): Uint8Array {
  return encodePooled([Op.PING, null]);
}

/** Its stamp. */
export function readPing(frame: ScannedFrame): Value {
  return frame.value(1);
}

/** `time`: store time; a client sends none (RW-CON-10). */
export function writePong(stamp: Value, time?: number): Uint8Array {
  return encodePooled(time === undefined ? [Op.PONG, stamp] : [Op.PONG, stamp, time]);
}

// ---- 5 GOAWAY --------------------------------------------------------------------------------------

export function writeGoaway(code: number, reason: string, retryAfterMs: number): Uint8Array {
  return encodePooled([Op.GOAWAY, code, reason, retryAfterMs]);
}

// ---- 6 AUTH, answered by ACK or NACK; 7 BYE is its opcode alone ------------------------------------

/** Its token. */
export function readAuth(frame: ScannedFrame): string {
  return frame.string(2, 'token');
}

// ---- 16 CALL ---------------------------------------------------------------------------------------

/** Throws EncodeError, naming the path, for data that cannot be sent. */
export function writeCall(
  id: number,
  { name, data, timeoutMs }: { readonly name: string; readonly data: unknown; readonly timeoutMs: number },
): Uint8Array {
  return encodePooled([Op.CALL, id, name, data ?? null, { timeoutMs }]);
}

export const readCall = {
  name: (frame: ScannedFrame): string => frame.name(2, 'name'),
  data(frame: ScannedFrame): Value {
    frame.requireDataSize(3);
    return frame.value(3);
  },
  options: (frame: ScannedFrame): CallOptions => callOptions(frame.value(4), frame.limits),
};

function callOptions(value: Value, limits: Limits): CallOptions {
  if (value === null) return {};
  if (!isMap(value)) throw refusal('bad_request', 'call options are a map');
  const { key, timeoutMs } = value as { key?: Value; timeoutMs?: Value };
  if (typeof key === 'string') requireName(key, 'key', limits.nameBytes);
  else if (key !== undefined && key !== null) throw refusal('bad_request', 'key must be a string');
  if (timeoutMs !== undefined && timeoutMs !== null && !(typeof timeoutMs === 'number' && timeoutMs > 0)) {
    throw refusal('bad_request', 'timeoutMs must be a positive number');
  }
  return {
    key: typeof key === 'string' ? key : undefined,
    timeoutMs: typeof timeoutMs === 'number' ? Math.min(timeoutMs, limits.callMaxMs) : undefined,
  };
}

// ---- 17 ACK, 18 NACK: the two answers to a request; 19 CANCEL has an id alone ----------------------

/** Throws EncodeError, naming the path in `name`, for what cannot be sent. */
export function writeAck(id: number, data: unknown, name = 'data'): Uint8Array {
  const writer = borrowWriter();
  writer.writeArrayHeader(3);
  writer.writeInt(Op.ACK);
  writer.writeInt(id);
  writer.writeValue(data, { name, level: 1 });
  return pooled(writer);
}

/** What a client answered one of our calls with. */
export function readAck(frame: ScannedFrame): Value {
  return frame.value(2);
}

/**
 * Whatever an error carries, its answer can be sent and is small: details that are too large or cannot be encoded are
 * left out. A handler chose them, and a throw here would reach nobody.
 */
export function writeNack(id: number, error: RoomwireError): Uint8Array {
  const { code, details } = error;
  const text = shortened(messageOf(error), MESSAGE_LENGTH);
  if (details !== undefined) {
    try {
      const frame = encodePooled([Op.NACK, id, code, text, details]);
      if (frame.length <= NACK_BYTES) return frame;
    } catch {
      // The message alone, then.
    }
  }
  return encodePooled([Op.NACK, id, code, text]);
}

/** The same, where it is an error. */
export function readNack(frame: ScannedFrame): RoomwireError {
  const code = frame.value(2);
  const message = frame.value(3);
  const name = typeof code === 'number' ? errorName(code) : undefined;
  return refusal(name ?? 'handler_failed', typeof message === 'string' ? message : undefined, {
    details: frame.length > 4 ? frame.value(4) : undefined,
  });
}

// ---- 32 SUBSCRIBE, 33 UNSUBSCRIBE, answered by ACK or NACK -----------------------------------------

export const readSubscribe = {
  topic: (frame: ScannedFrame): string => frame.name(2, 'topic'),
  /** Null: from here on. */
  from(frame: ScannedFrame): Position | null {
    const from = frame.value(3);
    if (from === null) return null;
    if (isPosition(from)) return [from[0], from[1]];
    throw refusal('bad_request', 'a position is [epoch, offset] or nil');
  },
};

/** Its topic. */
export function readUnsubscribe(frame: ScannedFrame): string {
  return frame.name(2, 'topic');
}

// ---- 34 PUBLISH, which comes out again as an item of EVENTS ----------------------------------------

export const readPublish = {
  topic: (frame: ScannedFrame): string => frame.name(2, 'topic'),
  /** To be read first after the topic: it checks that the rest is there. */
  event(frame: ScannedFrame): string {
    if (frame.length < 6) throw refusal('bad_request', 'PUBLISH is [34, id, topic, event, key, data]');
    return frame.name(3, 'event');
  },
  key: (frame: ScannedFrame): string | null => (frame.isNil(4) ? null : frame.name(4, 'key')),
  /** Not decoded: it goes out byte for byte (RW-PUB-6). The bytes die with the frame. */
  data: (frame: ScannedFrame): Uint8Array => frame.data(5),
};

// ---- 35 VOLATILE, which comes out again as LATEST --------------------------------------------------

export const readVolatile = {
  topic(frame: ScannedFrame): string {
    if (frame.length < 5) throw refusal('bad_request', 'VOLATILE is [35, topic, event, slot, data]');
    return frame.name(1, 'topic');
  },
  event: (frame: ScannedFrame): string => frame.name(2, 'event'),
  slot: (frame: ScannedFrame): string => frame.name(3, 'slot'),
  /** As `readPublish.data`. */
  bytes: (frame: ScannedFrame): Uint8Array => frame.data(4),
  data(frame: ScannedFrame): Value {
    frame.requireDataSize(4);
    return frame.value(4);
  },
};

// ---- 36 POSITION, which has no answer --------------------------------------------------------------

/** Entries that are no positions are left out. Throws too_large. */
export function readPositions(frame: ScannedFrame): [topic: string, Position][] {
  const { helloBytes } = frame.limits;
  if (frame.size > helloBytes) throw refusal('too_large', `positions are over ${helloBytes} bytes`);
  const positions = frame.value(1);
  if (!isMap(positions)) return [];
  return Object.entries(positions).filter((entry): entry is [string, Position] => isPosition(entry[1]));
}

// ---- 48 EVENTS: an item is written once, whatever its offset and its receivers ---------------------

/** Elements before the items: opcode, topic, first offset. */
export const EVENTS_HEAD = 3;

/** For headers alone, which hold nothing of a caller's. */
const header = new Writer();

/** What stands before `count` items. Good until the next one is written. */
export function writeEventsHead(topic: string, first: number, count: number): Uint8Array {
  header.reset();
  header.writeArrayHeader(EVENTS_HEAD + count);
  header.writeInt(Op.EVENTS);
  header.writeString(topic);
  header.writeInt(first);
  return header.written;
}

/** How many items a frame holds that the scanner has passed; −1: it is no EVENTS. */
export function readEventCount(frame: Uint8Array): number {
  return frame[arrayStart(frame, 0)] === Op.EVENTS ? arrayLength(frame, 0) - EVENTS_HEAD : -1;
}

/** The item `[event, data, from]` around bytes that are MessagePack already; one allocation, no decoding. */
export function writeItem(event: Uint8Array, data: Uint8Array, from: Uint8Array): Uint8Array {
  const writer = borrowWriter();
  writer.writeArrayHeader(3);
  writer.writeRaw(event);
  writer.writeRaw(data);
  writer.writeRaw(from);
  return pooled(writer);
}

/** The server's own item: `from` is nil. Throws as `writeItemData`. */
export function writeServerItem(event: string, data: unknown): Uint8Array {
  const writer = borrowWriter();
  writer.writeArrayHeader(3);
  writer.writeString(event);
  writeChecked(writer, data);
  writer.writeNil();
  return pooled(writer);
}

/** Data of an item. Throws EncodeError naming the path of what cannot be sent, and invalid_data. */
export function writeItemData(data: unknown): Uint8Array {
  const writer = borrowWriter();
  writeChecked(writer, data);
  return pooled(writer);
}

function writeChecked(writer: Writer, data: unknown): void {
  writer.writeValue(data, { level: 2 });
  if (writer.sawProtoKey) requireEventData(data);
}

// ---- 49 RESET, 50 REMOVED, 51 SUBSCRIBED -----------------------------------------------------------

/** The client was too slow for the history that is kept, and goes on after `offset`. */
export function writeReset(topic: string, epoch: string, offset: number): Uint8Array {
  return encodePooled([Op.RESET, topic, epoch, offset, 'overrun']);
}

/** `code` 0: by the client's own request or call. */
export function writeRemoved(topic: string, code: number, reason: string): Uint8Array {
  return encodePooled([Op.REMOVED, topic, code, reason]);
}

/** The events after `offset` follow: nothing was missed. */
export function writeSubscribed(topic: string, epoch: string, offset: number): Uint8Array {
  return encodePooled([Op.SUBSCRIBED, topic, epoch, offset, true]);
}

// ---- 52 LATEST -------------------------------------------------------------------------------------

export interface Latest {
  readonly topic: string;
  readonly event: string;
  readonly slot: string;
  readonly data: unknown;
  /** The sender's sid; null: the server. */
  readonly from: string | null;
}

/** Throws EncodeError for data that cannot be sent. */
export function writeLatest({ topic, event, slot, data, from }: Latest): Uint8Array {
  return encode([Op.LATEST, topic, event, slot, data, from]);
}
