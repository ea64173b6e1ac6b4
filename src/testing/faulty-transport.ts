/**
 * A transport whose connections can be cut and stalled. What a stalled one is sent, or sends, waits here in its order;
 * the server sees a socket that does not drain, the client one that says nothing.
 */
import type { SendResult, Socket, SocketEvents, Transport, TransportOptions } from '../server/transport/transport.js';

/** Bytes that wait in one direction: past it a stalled connection is cut. */
const MOST_BYTES = 2 * 1024 * 1024;

/** Each wraps the socket of one connection. */
export class FaultySocket implements Socket {
  readonly #socket: Socket;
  /** The server's side of it. */
  events: SocketEvents | undefined;
  #stalled = false;
  #down: Uint8Array[] = [];
  #up: { readonly bytes: Uint8Array; readonly binary: boolean }[] = [];
  #waiting = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(bytes: Uint8Array): SendResult {
    if (!this.#stalled) return this.#socket.send(bytes);
    if (!this.#hold(bytes)) return 'dropped';
    this.#down.push(bytes);
    return 'queued';
  }

  bufferedBytes(): number {
    return this.#socket.bufferedBytes() + this.#waiting;
  }

  cork(fn: () => void): void {
    this.#socket.cork(fn);
  }

  end(code: number, reason: string): void {
    // What waits is lost with the connection.
    this.#stalled = false;
    this.#socket.end(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  stall(): void {
    this.#stalled = true;
  }

  resume(): void {
    if (!this.#stalled) return;
    this.#stalled = false;
    const [down, up] = [this.#down, this.#up];
    [this.#down, this.#up, this.#waiting] = [[], [], 0];
    this.#socket.cork(() => down.forEach((bytes) => this.#socket.send(bytes)));
    for (const { bytes, binary } of up) this.events?.message(bytes, binary);
    this.events?.drained();
  }

  message(bytes: Uint8Array, binary: boolean): void {
    if (!this.#stalled) this.events?.message(bytes, binary);
    else if (this.#hold(bytes)) this.#up.push({ bytes: new Uint8Array(bytes), binary });
  }

  drained(): void {
    if (!this.#stalled) this.events?.drained();
  }

  #hold(bytes: Uint8Array): boolean {
    this.#waiting += bytes.length;
    if (this.#waiting <= MOST_BYTES) return true;
    this.#socket.terminate();
    return false;
  }
}

export class FaultyNetwork {
  readonly sockets = new Set<FaultySocket>();
  /** Everybody is stalled, and who comes is, too. */
  stalled = false;

  /** Wraps what an engine would be given. */
  around(options: TransportOptions, make: (options: TransportOptions) => Transport): Transport {
    return make({
      ...options,
      open: (socket, info) => {
        const faulty = new FaultySocket(socket);
        if (this.stalled) faulty.stall();
        const events = (faulty.events = options.open(faulty, info));
        this.sockets.add(faulty);
        return {
          message: (bytes, binary) => faulty.message(bytes, binary),
          drained: () => faulty.drained(),
          closed: (code, reason) => {
            this.sockets.delete(faulty);
            events.closed(code, reason);
          },
          leave: (spreadMs) => events.leave?.(spreadMs),
        };
      },
    });
  }
}
