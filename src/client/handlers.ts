/** The server's calls to this client: CALL in, ACK or NACK out, CANCEL aborts the handler's signal. */
import { RoomwireError } from '../protocol/errors.js';
import { type Value } from '../protocol/frames.js';
import * as Op from '../protocol/opcodes.js';
import { encodeFrame } from './frame.js';

export type CallHandler = (input: never, context: { signal: AbortSignal }) => unknown;

export class Handlers {
  readonly #handlers = new Map<string, CallHandler>();
  readonly #running = new Map<number, AbortController>();
  readonly #send: (bytes: Uint8Array) => void;
  readonly #report: (error: unknown) => void;

  constructor(send: (bytes: Uint8Array) => void, report: (error: unknown) => void) {
    this.#send = send;
    this.#report = report;
  }

  /** The latest handler of a name counts. */
  handle(name: string, handler: CallHandler): () => void {
    this.#handlers.set(name, handler);
    return () => {
      if (this.#handlers.get(name) === handler) this.#handlers.delete(name);
    };
  }

  async call(id: number, name: string, input: Value): Promise<void> {
    const controller = new AbortController();
    this.#running.set(id, controller);
    let answer: Uint8Array;
    try {
      const handler = this.#handlers.get(name);
      if (!handler) throw new RoomwireError('unknown_call', `no handler for ${name}`);
      answer = encodeFrame([Op.ACK, id, await handler(input as never, controller)]);
    } catch (error) {
      const known = error instanceof RoomwireError;
      if (!known) this.#report(error);
      const { code, message, details } = known ? error : new RoomwireError('handler_failed');
      answer = encodeFrame([Op.NACK, id, code, message, details]);
    }
    // Ids start anew with each connection: an answer may only go where its call came from.
    if (this.#running.get(id) !== controller) return;
    this.#running.delete(id);
    this.#send(answer);
  }

  cancel(id: number): void {
    this.#running.get(id)?.abort(new RoomwireError('cancelled'));
  }

  down(): void {
    for (const controller of this.#running.values()) controller.abort(new RoomwireError('disconnected'));
    this.#running.clear();
  }
}
