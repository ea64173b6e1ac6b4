/**
 * One WebSocket from open to close: bytes out, frames in. What is sent in one turn of the loop
 * leaves as one message. After `close` or `onEnd` nothing more is reported.
 */
import { decodeAll } from '../protocol/decode.js';
import { SUBPROTOCOL, type Value } from '../protocol/frames.js';
import * as Op from '../protocol/opcodes.js';
import { ANSWER_TURNS, MESSAGE_BYTES } from './bounds.js';

/** What browsers and the ws package have in common. */
type Socket = Pick<
  globalThis.WebSocket,
  'binaryType' | 'bufferedAmount' | 'onopen' | 'onmessage' | 'onclose' | 'onerror' | 'send' | 'close'
>;

export interface WireHooks {
  onOpen(): void;
  /** Something came. */
  onMessage(): void;
  /**
   * True: what was made to wait for this frame goes on before the next one that is no answer. What it throws is the
   * server's mistake, and ends the connection.
   */
  onFrame(frame: Value[]): boolean;
  /** The other side, the network or a broken message ended it. */
  onEnd(code: number, reason: string): void;
}

export class Wire {
  /** A message holds no more, unless it is one frame. */
  largest = MESSAGE_BYTES;
  readonly #socket: Socket;
  readonly #hooks: WireHooks;
  #waiting: Uint8Array[] = [];
  /** Those that came and are not done with. */
  readonly #messages: (readonly Value[][])[] = [];
  /** The application is to see an answer before what comes next. */
  #answered = false;
  #open = true;

  constructor(url: string, WebSocket: new (url: string, protocols: string[]) => object, hooks: WireHooks) {
    const socket = new WebSocket(url, [SUBPROTOCOL]) as Socket;
    this.#socket = socket;
    this.#hooks = hooks;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#open && hooks.onOpen();
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => this.#open && void this.#message(data);
    socket.onclose = ({ code, reason }) => this.#end(code, reason);
    // A close event follows. The handler stays to the end: in Node an error nobody handles is thrown.
    socket.onerror = () => undefined;
  }

  /** Bytes that have not left. */
  get buffered(): number {
    return this.#socket.bufferedAmount;
  }

  write(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    if (this.#waiting.length === 1) queueMicrotask(() => this.#flush());
  }

  close(code: number, reason: string): void {
    if (!this.#open) return;
    this.#flush();
    this.#open = false;
    this.#socket.close(code, reason);
  }

  #flush(): void {
    const frames = this.#waiting;
    this.#waiting = [];
    if (!this.#open) return;
    const bytes = new Uint8Array(frames.reduce((size, { length }) => size + length, 0));
    let from = 0;
    let to = 0;
    frames.forEach((frame, i) => {
      bytes.set(frame, to);
      to += frame.length;
      const next = frames[i + 1]?.length ?? Infinity;
      if (to - from + next <= this.largest) return;
      this.#socket.send(bytes.subarray(from, to));
      from = to;
    });
  }

  async #message(data: ArrayBuffer | string): Promise<void> {
    this.#hooks.onMessage();
    try {
      if (typeof data === 'string') throw new TypeError('text');
      const messages = this.#messages;
      // One at a time: an earlier one may wait for what it answered.
      if (messages.push(decodeAll(new Uint8Array(data))) > 1) return;
      for (let frames; (frames = messages[0]); messages.shift()) {
        for (const frame of frames) {
          if (this.#answered && frame[0] !== Op.ACK && frame[0] !== Op.NACK) {
            this.#answered = false;
            for (let i = 0; i < ANSWER_TURNS; i++) await Promise.resolve();
          }
          // A frame may make the application close or reconnect; what follows it belongs to the past.
          if (!this.#open) return;
          this.#answered = this.#hooks.onFrame(frame) || this.#answered;
        }
      }
    } catch (error) {
      // The server broke the protocol.
      if (!this.#open) return;
      this.close(4000, 'bad frame');
      this.#hooks.onEnd(1002, String(error));
    }
  }

  #end(code: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#hooks.onEnd(code, reason);
  }
}
