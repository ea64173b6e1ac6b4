/** One socket of the runner to the server that it checks: frames that came and were not taken, and how it ended. */
import type { IncomingHttpHeaders } from 'node:http';
import { WebSocket } from 'ws';
import { concat, decodeAll, DecodeError, encode } from '../protocol/codec.js';
import { Op } from '../protocol/frames.js';
import { scanReason } from '../protocol/scan.js';
import type { Frame } from './patterns.js';
import { Watch } from './watch.js';

/** The other side did otherwise. */
export class Mismatch extends Error {
  /** The last message that it sent, in hex. */
  bytes: string | undefined;
}

/** Of a message, as much as a line takes. */
export function hexOf(bytes: Uint8Array | undefined): string | undefined {
  return (
    bytes &&
    Buffer.from(bytes.subarray(0, 256))
      .toString('hex')
      .replaceAll(/(..)(?=.)/g, '$1 ')
  );
}

interface WireOptions {
  readonly protocols: string[];
  readonly headers: Record<string, string>;
  /** Leaves the server's PING to the steps. */
  readonly silent: boolean;
}

/** One socket; `frames` are those that no step has taken. */
export class Wire {
  readonly socket: WebSocket;
  readonly frames: Frame[] = [];
  /** 101, or the status that refused it, with its headers. */
  readonly opened: Promise<{ readonly status: number; readonly headers: IncomingHttpHeaders }>;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  /** The last message, for who reports what was wrong with it. */
  last: Uint8Array | undefined;
  readonly #watch = new Watch();
  readonly #wake: (() => void)[] = [];
  #broken: Mismatch | undefined;

  constructor(url: string, { protocols, headers, silent }: WireOptions) {
    this.socket = new WebSocket(url, protocols, { headers, perMessageDeflate: false });
    this.opened = new Promise((resolve, reject) => {
      this.socket.once('open', () => resolve({ status: 101, headers: {} }));
      this.socket.once('unexpected-response', (_, { statusCode = 0, headers }) => {
        resolve({ status: statusCode, headers });
        this.socket.terminate();
      });
      this.socket.once('error', (error) => reject(new Mismatch(`cannot connect: ${error.message}`)));
    });
    this.closed = new Promise((resolve) =>
      this.socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
    );
    this.socket.on('error', () => undefined);
    this.socket.on('message', (data: Buffer, isBinary) => {
      this.last = data;
      try {
        if (!isBinary) throw new TypeError('a text message');
        for (const frame of decodeAll(new Uint8Array(data)).flatMap(apart)) {
          const wrong = this.#watch.came(frame);
          if (wrong !== undefined) this.#broken ??= new Mismatch(wrong);
          if (frame[0] === Op.PING && !silent) this.send([Op.PONG, frame[1]]);
          else this.frames.push(frame);
        }
      } catch (error) {
        const why = error instanceof DecodeError ? `frame ${error.frame}: ${scanReason(error.refusal)}` : String(error);
        this.#broken ??= new Mismatch(`RW-ENC-1: the server sent what is no message: ${why}`);
      }
      for (const wake of this.#wake.splice(0)) wake();
    });
  }

  more(): Promise<void> {
    if (this.#broken) return Promise.reject(this.#broken);
    return new Promise((resolve, reject) => this.#wake.push(() => (this.#broken ? reject(this.#broken) : resolve())));
  }

  send(...frames: readonly Frame[]): void {
    this.write(concat(frames.map((frame) => encode(frame))));
  }

  /** A message as it is, be it none. */
  write(message: Uint8Array | string): void {
    try {
      if (typeof message !== 'string') for (const frame of decodeAll(message)) this.#watch.sent(frame);
    } catch {
      // What is no message asks for nothing.
    }
    this.socket.send(message);
  }

  /** Throws what was wrong with what came so far. */
  check(): void {
    if (this.#broken) throw this.#broken;
  }

  async cut(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }
}

/** A frame for each item of EVENTS: how they are grouped carries no meaning (RW-EVT-4). */
function apart(frame: Frame): readonly Frame[] {
  const [op, topic, first, ...items] = frame;
  return op === Op.EVENTS ? items.map((item, i) => [op, topic, (first as number) + i, item]) : [frame];
}
