/** One client on a bare TCP socket: upgrades, greets as its wire says, then counts events as the bytes pass by. */
import { connect, type Socket } from 'node:net';
import { headerBytes, HEADER_BYTES, messageBytes, upgradeRequest } from './websocket.js';
import type { Step, Wire } from './wires.js';

const READ_BYTES = 64 * 1024;
/** One for all: a read is over before the next begins. (Not so on Windows, where reads overlap.) */
const shared = Buffer.allocUnsafeSlow(READ_BYTES);
const none = Buffer.alloc(0);

export interface SubscriberOptions {
  readonly port: number;
  readonly wire: Wire;
  readonly received: (events: number) => void;
  /** The handshake goes on: 0 after the upgrade, then each of the wire's steps. */
  readonly stepped: (step: number) => void;
  /** It is over. */
  readonly ready: () => void;
  readonly failed: (error: Error) => void;
}

export class Subscriber {
  /** Events received in full. */
  events = 0;
  /** Bytes that came on the wire since the handshake. */
  wireBytes = 0;
  readonly #options: SubscriberOptions;
  readonly #socket: Socket;
  /** Bytes kept for the next read: the handshake so far, or a header that a read cut in two. */
  #kept: Buffer = none;
  /** Undefined: the upgrade's answer is awaited. Else the step of `hello` that is under way. */
  #step: number | undefined;
  #shaken = false;
  /** Bytes to come of the message, and of the events in it that `#coming` counts. */
  #left = 0;
  #skip = 0;
  #coming = 0;
  readonly #hello: readonly Step[];
  #closing = false;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    const { port, wire } = options;
    this.#hello = wire.hello();
    const buffer = process.platform === 'win32' ? Buffer.allocUnsafeSlow(READ_BYTES) : shared;
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      onread: {
        buffer,
        callback: (length) => {
          try {
            this.#read(buffer, length);
          } catch (error) {
            this.#fail(error as Error);
          }
          return true;
        },
      },
    });
    this.#socket.write(upgradeRequest(port, wire));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('the server closed a connection')));
  }

  /** A whole message, masked (clientMessage). */
  send(message: Uint8Array): void {
    this.#socket.write(message);
  }

  /** Stops reading: the kernel's buffers fill, then the server's. */
  stall(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#closing = true;
    // Without a TIME_WAIT: thousands of them would use up the ports.
    this.#socket.resetAndDestroy();
  }

  #fail(error: Error): void {
    if (this.#closing) return;
    this.close();
    this.#options.failed(error);
  }

  #read(bytes: Buffer, length: number): void {
    if (this.#shaken) this.wireBytes += length;
    if (this.#counting && this.#kept.length === 0) return this.#count(bytes, length);
    const joined = Buffer.concat([this.#kept, bytes.subarray(0, length)]);
    this.#kept = none;
    if (this.#counting) this.#count(joined, joined.length);
    else this.#takeWhole(joined);
  }

  get #counting(): boolean {
    return this.#shaken && this.#options.wire.message === undefined;
  }

  /** One message at a time: those of the handshake, and those that the wire wants in whole. */
  #takeWhole(bytes: Buffer): void {
    const { opcode, message } = this.#options.wire;
    const begun = this.#shaken;
    let events = 0;
    let pos = 0;
    while (pos < bytes.length && !this.#counting) {
      const rest = bytes.subarray(pos);
      const end = this.#step === undefined ? headEnd(rest) : messageEnd(rest, opcode);
      if (end === undefined) break;
      pos += end;
      if (this.#step === undefined) {
        this.#take(0);
        continue;
      }
      const payload = rest.subarray(headerBytes(rest[1] as number), end);
      if (this.#shaken) events += message?.(payload, this) ?? 0;
      else if (this.#hello[this.#step]?.answered(payload) === true) this.#take(this.#step + 1);
    }
    const rest = bytes.subarray(pos);
    if (this.#shaken && !begun) this.wireBytes = rest.length;
    if (rest.length > 0 && this.#counting) this.#count(rest, rest.length);
    else this.#kept = rest;
    this.#received(events);
  }

  #take(step: number): void {
    this.#step = step;
    const next = this.#hello[step];
    if (next === undefined) {
      this.#shaken = true;
      this.#options.ready();
    } else if (next.send !== undefined) this.#socket.write(next.send);
    this.#options.stepped(step);
  }

  #count(bytes: Buffer, end: number): void {
    const { wire } = this.#options;
    let events = 0;
    let pos = 0;
    while (pos < end) {
      if (this.#left === 0) {
        const size = pos + 1 < end ? headerBytes(bytes[pos + 1] as number) : HEADER_BYTES;
        if (pos + size > end) break;
        this.#left = messageBytes(bytes, pos, size, wire.opcode);
        pos += size;
      }
      if (this.#skip === 0) {
        if (end - pos < Math.min(wire.groupHeader, this.#left)) break;
        const group = wire.group(bytes, pos, this.#left);
        if (group.bytes > this.#left && !wire.stream) {
          throw new Error('a message does not hold whole events');
        }
        this.#skip = group.bytes;
        this.#coming = group.events;
      }
      const step = Math.min(this.#skip, this.#left, end - pos);
      pos += step;
      this.#left -= step;
      if ((this.#skip -= step) === 0) events += this.#coming;
    }
    if (pos < end) this.#kept = Buffer.from(bytes.subarray(pos, end));
    this.#received(events);
  }

  #received(events: number): void {
    if (events === 0) return;
    this.events += events;
    this.#options.received(events);
  }
}

function headEnd(bytes: Buffer): number | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end);
  if (!head.startsWith('HTTP/1.1 101')) throw new Error(`the upgrade was refused: ${head.split('\r\n')[0]}`);
  return end + 4;
}

function messageEnd(bytes: Buffer, opcode: number): number | undefined {
  if (bytes.length < 2) return undefined;
  const size = headerBytes(bytes[1] as number);
  if (bytes.length < size) return undefined;
  const end = size + messageBytes(bytes, 0, size, opcode);
  return bytes.length < end ? undefined : end;
}
