/**
 * Requests that wait for ACK or NACK. One made without a connection waits for the next WELCOME; one
 * that was sent fails with the connection, unless it may be sent again. Every wait has an end.
 */
import { RoomwireError } from '../protocol/errors.js';
import { type Value } from '../protocol/frames.js';
import * as Op from '../protocol/opcodes.js';
import { MAX_PENDING, MAX_REQUEST_ID } from './bounds.js';
import { encodeFrame } from './frame.js';
import type { Timers } from './types.js';

export interface RequestOptions {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Safe to repeat: sent again after a reconnect. */
  readonly resend?: boolean | undefined;
  /**
   * Runs before the message's next frame is looked at, which a promise does not. `late`: after an
   * abort or the deadline, when nobody else hears of it.
   */
  readonly onAck?: ((data: Value, late: boolean) => void) | undefined;
}

interface Pending {
  readonly bytes: Uint8Array;
  resend: boolean;
  sent: boolean;
  /** Ends the wait. */
  answer(error: RoomwireError | undefined, data?: Value): void;
}

export class Requests {
  /** The client is closed or refused: nothing will be answered. */
  over = false;
  /** The largest message the server takes. */
  messageBytes = Infinity;
  readonly #pending = new Map<number, Pending>();
  readonly #timers: Timers;
  readonly #send: (bytes: Uint8Array) => void;
  /** 1 is HELLO's. */
  #lastId = 1;
  #live = false;

  constructor(timers: Timers, send: (bytes: Uint8Array) => void) {
    this.#timers = timers;
    this.#send = send;
  }

  /** Rejects with RoomwireError, or with EncodeError when `parts` hold what has no encoding. */
  request(
    op: number,
    parts: readonly unknown[],
    { timeoutMs, signal, resend = false, onAck }: RequestOptions = {},
  ): Promise<Value> {
    return new Promise((resolve, reject) => {
      const cancelled = (): RoomwireError => new RoomwireError('cancelled', undefined, { cause: signal?.reason });
      if (signal?.aborted) throw cancelled();
      if (this.over) throw new RoomwireError('disconnected');
      if (this.#pending.size >= MAX_PENDING) throw new RoomwireError('too_many');
      const id = this.#freeId();
      const bytes = encodeFrame([op, id, ...parts]);
      if (bytes.length > this.messageBytes) throw new RoomwireError('too_large');

      let late = false;
      const stop = (error: RoomwireError): void => {
        pending.answer(error);
        if (!pending.sent) return;
        this.#send(encodeFrame([Op.CANCEL, id]));
        // The answer may be under way.
        late = true;
        pending.resend = false;
        this.#pending.set(id, pending);
      };
      const abort = (): void => stop(cancelled());
      const timer =
        timeoutMs !== undefined && this.#timers.setTimeout(() => stop(new RoomwireError('deadline')), timeoutMs);
      const pending: Pending = {
        bytes,
        resend,
        sent: this.#live,
        answer: (error, data = null) => {
          this.#pending.delete(id);
          this.#timers.clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
          if (error) return reject(error);
          onAck?.(data, late);
          // Late, it is rejected already.
          resolve(data);
        },
      };
      signal?.addEventListener('abort', abort);
      this.#pending.set(id, pending);
      if (this.#live) this.#send(bytes);
    });
  }

  /** ACK and NACK. Answers to what nobody waits for are dropped. */
  answer([op, id, first, message, details]: readonly Value[]): void {
    const pending = this.#pending.get(id as number);
    if (op === Op.ACK) pending?.answer(undefined, first);
    else pending?.answer(new RoomwireError(first as number, message as string, { details }));
  }

  /** From here on requests leave at once; those that waited follow with `flush`. */
  live(messageBytes = Infinity): void {
    this.messageBytes = messageBytes;
    this.#live = true;
  }

  flush(): void {
    for (const pending of this.#pending.values()) {
      if (!pending.sent) this.#send(pending.bytes);
      pending.sent = true;
    }
  }

  down(final: boolean): void {
    this.over = final;
    this.#live = false;
    for (const pending of this.#pending.values()) {
      if (final || (pending.sent && !pending.resend)) pending.answer(new RoomwireError('disconnected'));
      pending.sent = false;
    }
  }

  #freeId(): number {
    do this.#lastId = this.#lastId >= MAX_REQUEST_ID ? 2 : this.#lastId + 1;
    while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }
}
