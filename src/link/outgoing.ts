/**
 * What leaves one end of a link in a turn: frames, one after the other, written into one block of memory that is used again
 * when the system has taken it. A buffer for each frame, and one more for all of a turn, cost more than what they held.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { HEADER, Op, writeHeader } from './frames.js';

const BLOCK = 64 * 1024;
/** Larger frames have memory of their own. */
const LARGE = BLOCK / 4;

export class Outgoing {
  readonly #stream: Duplex;
  /** Only of a socket is it known that what was written is in no buffer of ours any more. */
  readonly #isReused: boolean;
  #block: Buffer = Buffer.allocUnsafeSlow(BLOCK);
  /** What is to leave of it: from here … */
  #start = 0;
  /** … to here. */
  #end = 0;
  /** What leaves before that. */
  #parts: Buffer[] = [];
  /** Writes that the system has not taken. */
  #writing = 0;

  constructor(stream: Duplex) {
    this.#stream = stream;
    this.#isReused = stream instanceof Socket;
  }

  /** Copies the payload. Returns the frame's length. */
  frame(op: number, a: number, payload: Uint8Array | undefined): number {
    const length = payload?.length ?? 0;
    const to = this.#reserve(HEADER + length);
    const at = this.#at(to, HEADER + length);
    writeHeader(to, at, { op, a, length });
    if (payload !== undefined) to.set(payload, at + HEADER);
    return HEADER + length;
  }

  /** The same bytes to each of these: SEND for one, MULTI for more. Copies them. */
  delivery(connections: readonly number[], bytes: Uint8Array): void {
    const { length: count } = connections;
    if (count === 1) return void this.frame(Op.SEND, connections[0] as number, bytes);
    const length = 4 * count + bytes.length;
    const to = this.#reserve(HEADER + length);
    let at = this.#at(to, HEADER + length);
    writeHeader(to, at, { op: Op.MULTI, a: count, length });
    at += HEADER;
    for (const connection of connections) at = to.writeUInt32LE(connection, at);
    to.set(bytes, at);
  }

  /** Where that many bytes are to be put. */
  #reserve(length: number): Buffer {
    if (length > LARGE) {
      this.#cut();
      const own = Buffer.allocUnsafeSlow(length);
      this.#parts.push(own);
      return own;
    }
    if (this.#end + length > BLOCK) {
      this.#cut();
      this.#block = Buffer.allocUnsafeSlow(BLOCK);
      this.#start = this.#end = 0;
    }
    this.#end += length;
    return this.#block;
  }

  #at(to: Buffer, length: number): number {
    return to === this.#block ? this.#end - length : 0;
  }

  #cut(): void {
    if (this.#end > this.#start) this.#parts.push(this.#block.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  /** To the stream, with as few writes as it can. */
  write(): void {
    this.#cut();
    const parts = this.#parts;
    if (parts.length === 0) return;
    this.#parts = [];
    this.#writing += parts.length;
    if (parts.length === 1) return void this.#stream.write(parts[0], this.#taken);
    this.#stream.cork();
    for (const part of parts) this.#stream.write(part, this.#taken);
    this.#stream.uncork();
  }

  readonly #taken = (): void => {
    if (--this.#writing === 0 && this.#isReused && this.#start === this.#end && this.#parts.length === 0) {
      this.#start = this.#end = 0;
    }
  };
}
