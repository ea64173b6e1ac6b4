/**
 * A WebSocket client on a bare TCP socket, for what a proper client never does: stall, break the
 * framing, leave without a word. It checks nothing and hands out the server's frames as they are.
 */
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';

export interface Frame {
  readonly fin: boolean;
  /** The three reserved bits. */
  readonly rsv: number;
  readonly opcode: number;
  readonly payload: Buffer;
}

export interface FrameOptions {
  readonly fin?: boolean;
  readonly rsv?: number;
  /** False: as no client may. */
  readonly mask?: boolean;
  /** The length the header tells, if not the payload's. */
  readonly length?: number;
}

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A client's frame; `rsv` and `mask` as asked. */
export function frame(opcode: number, payload: Uint8Array | string = '', options: FrameOptions = {}): Buffer {
  const body = Buffer.from(payload);
  const length = options.length ?? body.length;
  const masked = options.mask ?? true;
  const first = ((options.fin ?? true) ? 0x80 : 0) | ((options.rsv ?? 0) << 4) | opcode;
  const maskBit = masked ? 0x80 : 0;
  let head: Buffer;
  if (length <= 125) head = Buffer.from([first, maskBit | length]);
  else if (length <= 0xffff) head = Buffer.from([first, maskBit | 126, length >> 8, length & 0xff]);
  else {
    head = Buffer.alloc(10);
    head.set([first, maskBit | 127]);
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  if (!masked) return Buffer.concat([head, body]);
  const mask = Buffer.from([0x12, 0x34, 0x56, 0x78]);
  return Buffer.concat([head, mask, body.map((byte, i) => byte ^ mask[i & 3]!)]);
}

/** A close frame's payload. */
export function closePayload(code: number, reason: Uint8Array | string = ''): Buffer {
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
}

export class RawClient {
  readonly socket: Socket;
  /** Resolves when the connection is gone, by whichever way. */
  readonly gone: Promise<void>;
  /** The HTTP head that answered the handshake. */
  head = '';
  #received = Buffer.alloc(0);
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    // Resolves also after an error, unlike events.once.
    this.gone = new Promise((resolve) => {
      socket.once('close', () => {
        this.#closed = true;
        this.#wake();
        resolve();
      });
    });
  }

  /** A TCP connection, nothing sent yet. */
  static async tcp(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** With the opening handshake done. */
  static async open(port: number, path = '/'): Promise<RawClient> {
    const client = await RawClient.tcp(port);
    client.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    await client.readHead();
    return client;
  }

  /** Reads an HTTP head into `head`. */
  async readHead(): Promise<string> {
    const end = await this.#find(() => this.#received.indexOf('\r\n\r\n') + 1);
    this.head = this.#take(end + 3).toString('latin1');
    return this.head;
  }

  /** Exactly so many bytes. */
  async read(length: number): Promise<Buffer> {
    await this.#find(() => this.#received.length >= length);
    return this.#take(length);
  }

  write(bytes: Uint8Array | string): void {
    this.socket.write(bytes);
  }

  send(opcode: number, payload?: Uint8Array | string, options?: FrameOptions): void {
    this.write(frame(opcode, payload, options));
  }

  /** Reads no more: the server's sends pile up once the kernel's buffers are full. */
  stall(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** The server's next frame; undefined when the connection ended before it. */
  async next(): Promise<Frame | undefined> {
    try {
      const [first, second] = await this.#peek(2);
      let length = second! & 0x7f;
      let start = 2;
      if (length === 126) {
        length = (await this.#peek((start = 4))).readUInt16BE(2);
      } else if (length === 127) {
        length = Number((await this.#peek((start = 10))).readBigUInt64BE(2));
      }
      await this.#peek(start + length);
      const payload = this.#take(start + length).subarray(start);
      return { fin: (first! & 0x80) !== 0, rsv: (first! >> 4) & 7, opcode: first! & 0xf, payload };
    } catch {
      return undefined;
    }
  }

  /** Cuts the connection without a close frame. */
  destroy(): void {
    this.socket.destroy();
  }

  async #peek(length: number): Promise<Buffer> {
    await this.#find(() => this.#received.length >= length);
    return this.#received;
  }

  #take(length: number): Buffer {
    const bytes = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return bytes;
  }

  /** Waits until `test` is truthy; rejects when the connection ends first. */
  async #find<T>(test: () => T): Promise<T> {
    for (;;) {
      const found = test();
      if (found) return found;
      if (this.#closed) throw new Error('The connection ended.');
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
