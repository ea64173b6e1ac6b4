/**
 * A client's network in the model test: the SDK is given `line.WebSocket`, and the test says what becomes of what goes
 * over it. Nothing here takes time: it is up, down, loses one direction, or keeps a HELLO to bring it late.
 */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { SUBPROTOCOL } from '../../../src/protocol/frames.js';

/** What all lines of a test share. */
export interface Network {
  port: number;
  /** Messages that went either way: while it stands still, nothing happens. */
  messages: number;
  /** Every socket that the server may know of, those that their client has given up included. */
  readonly sockets: Set<WebSocket>;
  /** Changes what arrives, for the test of the test. */
  readonly tamper?: ((bytes: Uint8Array) => Uint8Array) | undefined;
}

type Ended = (close: { readonly code: number; readonly reason: string }) => void;

/** What the SDK needs of a WebSocket. */
class LineSocket {
  binaryType = '';
  onopen: (() => void) | null = null;
  onmessage: ((message: { readonly data: ArrayBuffer }) => void) | null = null;
  onclose: Ended | null = null;
  onerror: (() => void) | null = null;
  readonly #line: Line;
  #real: WebSocket | undefined;

  constructor(line: Line) {
    this.#line = line;
    line.socket = this;
    // While it is down this one neither opens nor fails, as when nobody answers.
    if (line.up) this.#connect();
  }

  #connect(): void {
    const { network } = this.#line;
    const real = new WebSocket(`ws://127.0.0.1:${network.port}`, [SUBPROTOCOL], { perMessageDeflate: false });
    this.#real = real;
    network.sockets.add(real);
    real.on('error', () => undefined);
    real.on('open', () => this.onopen?.());
    real.on('message', (data: Buffer) => {
      network.messages++;
      if (this.#line.deaf) {
        this.#line.missed++;
        return;
      }
      const bytes = network.tamper?.(data) ?? data;
      // A copy of its own, and an ArrayBuffer: as browsers give it.
      this.onmessage?.({ data: new Uint8Array(bytes).buffer });
    });
    real.on('close', (code, reason) => {
      network.messages++;
      network.sockets.delete(real);
      if (this.#real === real) this.onclose?.({ code, reason: reason.toString() });
    });
  }

  send(bytes: Uint8Array): void {
    const { network } = this.#line;
    network.messages++;
    if (this.#line.mute) return;
    if (this.#line.holdHello && this.#real !== undefined) {
      this.#line.holdHello = false;
      this.#line.late = { socket: this.#real, hello: Uint8Array.from(bytes) };
      this.abandon();
      return;
    }
    this.#real?.send(Uint8Array.from(bytes));
  }

  close(code: number, reason: string): void {
    const real = this.#real;
    if (real?.readyState === WebSocket.CONNECTING) real.terminate();
    else real?.close(code, reason);
  }

  /** The connection is gone, for both sides. */
  cut(): void {
    const real = this.abandon();
    real?.terminate();
  }

  /** It is gone for the client alone: the server hears nothing of it. */
  abandon(): WebSocket | undefined {
    const real = this.#real;
    this.#real = undefined;
    this.onclose?.({ code: 1006, reason: '' });
    return real;
  }
}

export class Line {
  readonly network: Network;
  readonly WebSocket: new () => LineSocket;
  up = false;
  /** What the server sends is lost. */
  deaf = false;
  /** Messages that it was too deaf to hear. */
  missed = 0;
  /** What the client sends is lost. */
  mute = false;
  /** The next HELLO stays on the way, and its client gives it up. */
  holdHello = false;
  late: { readonly socket: WebSocket; readonly hello: Uint8Array } | undefined;
  socket: LineSocket | undefined;
  /** Open for the server, but given up by the client. */
  #ghost: WebSocket | undefined;

  constructor(network: Network) {
    this.network = network;
    // The SDK calls it with an address, which the network knows better.
    const socketOf = (): LineSocket => new LineSocket(this);
    this.WebSocket = function WebSocket() {
      return socketOf();
    } as unknown as new () => LineSocket;
  }

  /** From here on connects succeed; one that waits fails first, so that the client tries again. */
  connect(): void {
    this.up = true;
    this.deaf = this.mute = false;
    this.socket?.cut();
  }

  cut(): void {
    this.up = false;
    this.socket?.cut();
    this.deaf = this.mute = false;
  }

  /** As `cut`, but the server does not notice before `notice`. */
  cutSilently(): void {
    this.up = false;
    this.#ghost = this.socket?.abandon();
  }

  notice(): void {
    this.#ghost?.terminate();
    this.#ghost = undefined;
  }

  /** Brings the HELLO that was kept, if its socket is still open. The answer is heard by nobody, and the socket ends. */
  async deliver(): Promise<void> {
    const { late } = this;
    this.late = undefined;
    if (late?.socket.readyState !== WebSocket.OPEN) return;
    const answered = Promise.race([once(late.socket, 'message'), once(late.socket, 'close')]);
    late.socket.send(late.hello);
    await answered;
    late.socket.terminate();
  }
}
