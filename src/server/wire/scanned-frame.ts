/**
 * The elements of one frame that has passed the scanner: found once, read on demand, decoded only where their value is
 * needed. One object serves frame after frame, and its bytes are the engine's (rule 8): nothing may keep it, or what
 * `data` returns, past the frame.
 */
import { decodeScanned } from '../../protocol/decode.js';
import type { Value } from '../../protocol/frames.js';
import type { Limits } from '../../protocol/limits.js';
import { elements, isNil, readInt, readString } from '../../protocol/scan.js';
import { requireName } from './names.js';
import { refusal } from './refusal.js';

/** Elements any opcode reads; a frame with more is taken, the rest ignored (RW-FRM-4). */
const ELEMENTS = 8;
const NO_BYTES = new Uint8Array(0);

export class ScannedFrame {
  readonly limits: Limits;
  /** Where each element starts, and the last one ends. */
  readonly #at = new Int32Array(ELEMENTS + 1);
  #bytes: Uint8Array = NO_BYTES;
  /** How many elements it has. */
  length = 0;
  /** In bytes. */
  size = 0;
  opcode = 0;

  constructor(limits: Limits) {
    this.limits = limits;
  }

  /** `start`–`end` is a frame that has passed the scanner. */
  take(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes;
    this.size = end - start;
    this.length = elements(bytes, start, end, this.#at);
    this.opcode = readInt(bytes, this.#at[0] as number) as number;
  }

  /** The bytes are the engine's again. */
  drop(): void {
    this.#bytes = NO_BYTES;
  }

  /** An integer of any encoding; undefined: it is none, or not there. */
  int(index: number): number | undefined {
    return index < this.length ? readInt(this.#bytes, this.#at[index] as number) : undefined;
  }

  /** Throws bad_request. */
  string(index: number, what: string): string {
    const text = index < this.length ? readString(this.#bytes, this.#at[index] as number) : undefined;
    if (text === undefined) throw refusal('bad_request', `${what} must be a string`);
    return text;
  }

  /** Throws bad_request and too_large. */
  name(index: number, what: string): string {
    const name = this.string(index, what);
    requireName(name, what, this.limits.nameBytes);
    return name;
  }

  /** The element is there. */
  isNil(index: number): boolean {
    return isNil(this.#bytes, this.#at[index] as number);
  }

  /** What is not there is nil. The value shares no memory with the frame. */
  value(index: number): Value {
    return index < this.length ? decodeScanned(this.#bytes, this.#at[index] as number) : null;
  }

  /** The bytes of an element that is there, as they came. Throws too_large. */
  data(index: number): Uint8Array {
    this.requireDataSize(index);
    return this.#bytes.subarray(this.#at[index], this.#at[index + 1]);
  }

  /** Throws too_large when an element is larger than data may be. */
  requireDataSize(index: number): void {
    if (index >= this.length) return;
    const size = (this.#at[index + 1] as number) - (this.#at[index] as number);
    if (size > this.limits.dataBytes) throw refusal('too_large', `data is over ${this.limits.dataBytes} bytes`);
  }
}
