/**
 * Numbers, text and bytes one after another, for what is kept in files and logs: snapshots (snapshot.ts) and the records of
 * a journal. Little-endian; numbers are doubles, as in the store's own records.
 */
import { StoreError, type Operation } from './store.js';

const ROOM = 1_024;

export class ByteWriter {
  #bytes = Buffer.allocUnsafe(ROOM);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  byte(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  number(value: number): this {
    this.#reserve(8);
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
    return this;
  }

  text(value: string): this {
    const length = Buffer.byteLength(value);
    this.#length32(length);
    this.#reserve(length);
    this.#length += this.#bytes.write(value, this.#length);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#length32(value.length);
    return this.raw(value);
  }

  /** Without its length: whoever reads it knows. */
  raw(value: Uint8Array): this {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** What was written, the caller's to keep; the writer begins anew. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.allocUnsafe(ROOM);
    this.#length = 0;
    return taken;
  }

  #length32(length: number): void {
    this.#reserve(4);
    this.#length = this.#bytes.writeUInt32LE(length, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** Reads what a ByteWriter wrote. Throws a RangeError where the bytes end too early. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#skip(1));
  }

  number(): number {
    return this.#bytes.readDoubleLE(this.#skip(8));
  }

  text(): string {
    return this.bytes().toString('utf8');
  }

  /** A part of what is read, not a copy. */
  bytes(): Buffer {
    return this.raw(this.#bytes.readUInt32LE(this.#skip(4)));
  }

  raw(length: number): Buffer {
    const at = this.#skip(length);
    return this.#bytes.subarray(at, at + length);
  }

  rest(): Buffer {
    return this.raw(this.#bytes.length - this.#at);
  }

  #skip(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) throw new RangeError('it ends too early');
    this.#at += length;
    return at;
  }
}

const APPEND = 1;
const TRIM = 2;
const DROP = 3;
const PUT = 4;
const DELETE = 5;

export function writeOperation(to: ByteWriter, operation: Operation): void {
  switch (operation.type) {
    case 'append': {
      const { first, count, frame } = operation.chunk;
      to.byte(APPEND).text(operation.topic).text(operation.epoch).number(first).number(count).bytes(frame);
      break;
    }
    case 'trim':
      to.byte(TRIM).text(operation.topic).number(operation.before);
      break;
    case 'drop':
      to.byte(DROP).text(operation.topic);
      break;
    case 'put':
      to.byte(PUT).text(operation.table).text(operation.key).bytes(operation.value);
      break;
    case 'delete':
      to.byte(DELETE).text(operation.table).text(operation.key);
      break;
  }
}

/** Throws `unusable` for one that this version does not know. */
export function readOperation(from: ByteReader): Operation {
  const type = from.byte();
  switch (type) {
    case APPEND: {
      const [topic, epoch, first, count] = [from.text(), from.text(), from.number(), from.number()];
      return { type: 'append', topic, epoch, chunk: { first, count, frame: from.bytes() } };
    }
    case TRIM:
      return { type: 'trim', topic: from.text(), before: from.number() };
    case DROP:
      return { type: 'drop', topic: from.text() };
    case PUT:
      return { type: 'put', table: from.text(), key: from.text(), value: from.bytes() };
    case DELETE:
      return { type: 'delete', table: from.text(), key: from.text() };
    default:
      throw new StoreError('unusable', `an operation of kind ${type} is of a newer version: upgrade this server`);
  }
}
