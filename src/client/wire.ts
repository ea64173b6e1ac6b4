/**
 * One WebSocket from open to close: bytes out, frames in. What is sent in one turn of the loop
 * leaves as one message. After `close` or `onEnd` nothing more is reported.
 */
import { decodeAll, Writer } from '../protocol/codec.js';
import { SUBPROTOCOL, type Value } from '../protocol/frames.js';
import { MESSAGE_BYTES } from './bounds.js';

/** What browsers and the ws package have in common. */
interface Socket {
  binaryType: string;
  onopen: (() => void) | null;
  onmessage: ((message: { readonly data: ArrayBuffer | string }) => void) | null;
  onclose: ((close: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: (() => void) | null;
  send(bytes: Uint8Array): void;
  close(code?: number, reason?: string): void;
}

export interface WireHooks {
  onOpen(): void;
  onFrames(frames: readonly Value[][]): void;
  /** The other side, the network or a broken message ended it. */
  onEnd(code: number, reason: string): void;
}

/** Where a message is put together; empty between two sends. */
const message = new Writer();

export class Wire {
  readonly #socket: Socket;
  readonly #hooks: WireHooks;
  #waiting: Uint8Array[] = [];
  #open = true;

  constructor(url: string, WebSocket: new (url: string, protocols: string[]) => object, hooks: WireHooks) {
    const socket = new WebSocket(url, [SUBPROTOCOL]) as Socket;
    this.#socket = socket;
    this.#hooks = hooks;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#open && hooks.onOpen();
    socket.onmessage = ({ data }) => this.#open && this.#message(data);
    socket.onclose = ({ code, reason }) => this.#end(code, reason);
    // A close event follows. The handler stays to the end: in Node an error nobody handles is thrown.
    socket.onerror = () => undefined;
  }

  send(bytes: Uint8Array): void {
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
    for (const [i, frame] of frames.entries()) {
      message.writeRaw(frame);
      const next = frames[i + 1]?.length ?? Infinity;
      if (message.written.length + next > MESSAGE_BYTES) this.#socket.send(message.take());
    }
  }

  #message(data: ArrayBuffer | string): void {
    let frames: readonly Value[][];
    try {
      if (typeof data === 'string') throw new TypeError('a text message');
      frames = decodeAll(new Uint8Array(data));
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#hooks.onFrames(frames);
  }

  /** The server broke the protocol. */
  fail(error: unknown): void {
    if (!this.#open) return;
    // A close reason is at most 123 bytes.
    const reason = String(error)
      .replace(/[^ -~]/g, '?')
      .slice(0, 100);
    this.close(4000, reason);
    this.#hooks.onEnd(1002, reason);
  }

  #end(code: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#hooks.onEnd(code, reason);
  }
}
