/** An answer in parts on node:http, as a socket: of ws.ts, whose promises about `queued` and `closed` it keeps. */
import type { ServerResponse } from 'node:http';
import { Sink } from './sink.js';
import type { SendResult, Socket } from './transport.js';

export class HttpStream implements Socket {
  readonly sink: Sink;
  readonly #response: ServerResponse;
  readonly #maxBufferedBytes: number;
  readonly #endMs: number;
  readonly #failed: (error: unknown) => void;

  constructor(
    response: ServerResponse,
    options: {
      readonly maxBufferedBytes: number;
      readonly endMs: number;
      readonly failed: (error: unknown) => void;
    },
  ) {
    this.#response = response;
    this.#maxBufferedBytes = options.maxBufferedBytes;
    this.#endMs = options.endMs;
    this.#failed = options.failed;
    this.sink = new Sink(options.failed);
    response.on('drain', () => this.sink.drain());
    response.once('close', () => this.sink.close(1006, ''));
  }

  send(bytes: Uint8Array): SendResult {
    const response = this.#response;
    if (!this.sink.open || response.destroyed || response.writableLength > this.#maxBufferedBytes) return 'dropped';
    // node keeps the bytes, which never change, and sends the parts of one turn together.
    return response.write(bytes) ? 'sent' : 'queued';
  }

  bufferedBytes(): number {
    return this.sink.open ? this.#response.writableLength : 0;
  }

  cork(fn: () => void): void {
    if (!this.sink.open) return;
    try {
      fn();
    } catch (error) {
      this.#failed(error);
    }
  }

  end(code: number, reason: string): void {
    if (!this.sink.open) return;
    const response = this.#response;
    response.end();
    // A peer that takes nothing must not hold it. Few ever end stalled: no wheel is needed here.
    const deadline = setTimeout(() => response.destroy(), this.#endMs).unref();
    response.once('close', () => clearTimeout(deadline));
    this.sink.close(code, reason);
  }

  terminate(): void {
    if (!this.sink.open) return;
    this.#response.destroy();
    this.sink.close(1006, '');
  }
}
