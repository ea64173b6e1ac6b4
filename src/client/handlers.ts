/** The server's calls to this client: CALL in, ACK or NACK out, CANCEL aborts the handler's signal. */
import { errors } from '../protocol/codes.js';
import { RoomwireError } from '../protocol/errors.js';
import type { Value } from '../protocol/frames.js';
import * as Op from '../protocol/opcodes.js';
import type { Context } from './context.js';
import { encodeFrame } from './encode.js';

export type CallHandler = (input: never, context: { signal: AbortSignal }) => unknown;

export class Handlers {
  readonly #context: Context;
  readonly #handlers = new Map<string, CallHandler>();
  readonly #running = new Map<number, AbortController>();

  constructor(context: Context) {
    this.#context = context;
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
    const answer = await this.#answer(id, name, input, controller);
    // Ids start anew with each connection: an answer may only go where its call came from.
    if (this.#running.get(id) !== controller) return;
    this.#running.delete(id);
    this.#context.connection.write(answer);
  }

  async #answer(id: number, name: string, input: Value, controller: AbortController): Promise<Uint8Array> {
    const { requests, settings } = this.#context;
    const encode = (parts: readonly unknown[]): Uint8Array => encodeFrame(parts, requests.largest);
    try {
      const handler = this.#handlers.get(name);
      if (!handler) throw new RoomwireError('unknown_call', `no handler for ${name}`);
      return encode([Op.ACK, id, await handler(input as never, controller)]);
    } catch (error) {
      try {
        if (!(error instanceof RoomwireError)) throw error;
        return encode([Op.NACK, id, error.code, error.message, error.details]);
      } catch (unfit) {
        settings.report(unfit);
        return encodeFrame([Op.NACK, id, errors.handler_failed, 'the handler failed']);
      }
    }
  }

  cancel(id: number): void {
    this.#running.get(id)?.abort(new RoomwireError('cancelled'));
  }

  down(): void {
    for (const controller of this.#running.values()) controller.abort(new RoomwireError('disconnected'));
    this.#running.clear();
  }
}
