/**
 * The frames of the link between a hub and an edge: `[u8 op][u32 a][u32 length][payload]`, little endian. `a` is mostly a
 * connection or an exchange. The reader takes the stream in whatever pieces it comes, and bounds what it gathers.
 */
import { Packr } from 'msgpackr';

export const HEADER = 9;
/** Both sides say which versions they speak, and take the highest that both do. 2: answers in parts. */
export const VERSIONS = [1, 2] as const;

/** An op that a side does not know is skipped: a newer peer may send it. */
export const Op = {
  /** Edge → hub, first of all: a Join. */
  JOIN: 1,
  /** Hub → edge: the answer to JOIN, and again when they change. */
  SETTINGS: 2,
  /** Hub → edge: why an edge is not taken, as text. The link ends with it. */
  REFUSE: 3,
  /** a: bytes taken since the last. */
  TAKEN: 4,
  PING: 5,

  // ---- edge → hub, a: the connection ----
  /** UpgradeInfo. */
  OPEN: 6,
  MESSAGE: 7,
  /** A message of text, which the protocol does not have: without its bytes. */
  TEXT: 8,
  /** code, reason */
  CLOSED: 9,
  /** The engine holds so many bytes back (u32): stop. */
  STALL: 10,
  DRAIN: 11,

  // ---- hub → edge, a: the connection ----
  SEND: 12,
  /** a: how many; their numbers, then bytes that all of them get. */
  MULTI: 13,
  /** code, reason */
  END: 14,
  CUT: 15,

  // ---- HTTP, a: the exchange ----
  /** Edge → hub: an Ask; the body follows in PARTs. */
  ASK: 16,
  /** Hub → edge: an AnswerHead; the body follows in PARTs. */
  ANSWER: 17,
  PART: 18,
  /** So many bytes (u32) of PARTs were taken. */
  CREDIT: 19,
  /** Edge → hub: nobody waits for the answer any more. */
  ABORT: 20,

  // ---- the edge itself ----
  /** Hub → edge: an address (text) may not come in for `a` ms. */
  SHUN: 21,
  /** Edge → hub: a Refused. */
  REFUSED: 22,
  /** Edge → hub: Gauges. */
  GAUGES: 23,
  /** Edge → hub: listens on port `a`; with text: it cannot, and why. */
  LISTENING: 24,
  /** Edge → hub: it goes away; its clients are to be told, spread over `a` ms. */
  LEAVING: 25,
  /** Hub → edge: take no connection any more. a: a Stop. */
  STOP: 26,
  /** Hub → edge: what clients are told when the hub is gone. a: the close code. */
  FAREWELL: 27,

  /** Edge → hub: the answer of exchange (u32), which comes in parts, is written to as connection `a`. */
  STREAM: 28,
} as const;

/** How an edge stops. */
export const Stop = {
  /** For as long as this link lasts. */
  REFUSE: 0,
  CLOSE_PORT: 1,
  /** Close the port; one that the hub has started ends when nobody is left. */
  DRAIN: 2,
} as const;

const packr = new Packr({ useRecords: false, mapsAsObjects: true });

/** What is wrong with a peer: the link ends, with this line in the log. */
export class LinkError extends Error {
  override readonly name = 'LinkError';
}

/** For structures of ours: both ends are the same package. */
export function pack(value: unknown): Buffer {
  return packr.pack(value);
}

/** Throws a LinkError for what is no structure. */
export function unpack<T>(bytes: Uint8Array): T {
  let value: unknown;
  try {
    value = packr.unpack(bytes);
  } catch {
    throw new LinkError('sent a structure that cannot be read');
  }
  if (typeof value !== 'object' || value === null) throw new LinkError('sent a structure that is none');
  return value as T;
}

/** The head of a frame, at that place: HEADER bytes. */
export function writeHeader(
  bytes: Buffer,
  at: number,
  { op, a, length }: { readonly op: number; readonly a: number; readonly length: number },
): void {
  bytes[at] = op;
  bytes.writeUInt32LE(a, at + 1);
  bytes.writeUInt32LE(length, at + 5);
}

/** The payload of CLOSED and END. */
export function ending(code: number, reason: string): Buffer {
  const text = Buffer.from(reason);
  const bytes = Buffer.allocUnsafe(2 + text.length);
  bytes.writeUInt16LE(code, 0);
  bytes.set(text, 2);
  return bytes;
}

export function readEnding(payload: Buffer): { code: number; reason: string } {
  if (payload.length < 2) throw new LinkError('sent an end without a code');
  return { code: payload.readUInt16LE(0), reason: payload.toString('utf8', 2) };
}

export function number(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}

export function readNumber(payload: Buffer): number {
  if (payload.length !== 4) throw new LinkError('sent a number that is none');
  return payload.readUInt32LE(0);
}

export class FrameReader {
  /** Of one payload. */
  maxBytes: number;
  readonly #frame: (op: number, a: number, payload: Buffer) => void;
  /** The beginning of a frame, in the pieces in which it came. */
  #kept: Buffer[] = [];
  #have = 0;
  #need = HEADER;

  /** `frame`: the payload is a view that nothing else writes to; it keeps its whole piece alive. */
  constructor(maxBytes: number, frame: (op: number, a: number, payload: Buffer) => void) {
    this.maxBytes = maxBytes;
    this.#frame = frame;
  }

  /** Throws a LinkError for a frame that is too long, and what the handler throws: then the reader is done. */
  push(piece: Buffer): void {
    let bytes = piece;
    if (this.#have > 0) {
      this.#kept.push(piece);
      this.#have += piece.length;
      if (this.#have < this.#need) return;
      bytes = Buffer.concat(this.#kept, this.#have);
    }
    let at = 0;
    this.#need = HEADER;
    while (bytes.length - at >= HEADER) {
      const length = bytes.readUInt32LE(at + 5);
      if (length > this.maxBytes) throw new LinkError(`sent a frame of ${length} bytes, more than ${this.maxBytes}`);
      const end = at + HEADER + length;
      if (end > bytes.length) {
        this.#need = HEADER + length;
        break;
      }
      this.#frame(bytes[at] as number, bytes.readUInt32LE(at + 1), bytes.subarray(at + HEADER, end));
      at = end;
    }
    this.#have = bytes.length - at;
    this.#kept = this.#have > 0 ? [bytes.subarray(at)] : [];
  }
}
