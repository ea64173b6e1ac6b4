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
  /** Of a publish. */
  readonly topic: unknown;
  resend: boolean;
  /** Ends the wait. */
  answer(error: RoomwireError | undefined, data?: Value): void;
}

export class Requests {
  /** The client is closed or refused: nothing will be answered. */
  over = false;
  /** The largest message the server takes. */
  messageBytes = Infinity;
  readonly #pending = new Map<number, Pending>();
  /** Those not sent yet, in the order in which they were made. */
  #waiting = new Set<Pending>();
  readonly #timers: Timers;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #joining: (topic: unknown) => Promise<void> | undefined;
  /** 1 is HELLO's. */
  #lastId = 1;
  #live = false;

  /** `joining`: the join under way without which the server would refuse a publish to this topic. */
  constructor(
    timers: Timers,
    send: (bytes: Uint8Array) => void,
    joining: (topic: unknown) => Promise<void> | undefined,
  ) {
    this.#timers = timers;
    this.#send = send;
    this.#joining = joining;
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
        const unsent = this.#waiting.has(pending);
        pending.answer(error);
        if (unsent) return;
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
        topic: op === Op.PUBLISH && parts[0],
        resend,
        answer: (error, data = null) => {
          this.#pending.delete(id);
          this.#waiting.delete(pending);
          this.#timers.clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
          if (error) return reject(error);
          onAck?.(data, late);
          // Late, it is rejected already.
          resolve(data);
        },
      };
      signal?.addEventListener('abort', abort);
      // One topic's publishes leave in the order in which they were made (RW-PUB-2).
      const behind = pending.topic && [...this.#waiting].some(({ topic }) => topic === pending.topic);
      this.#pending.set(id, pending);
      this.#waiting.add(pending);
      if (!behind) this.#leave(pending);
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
    for (const pending of this.#waiting) this.#leave(pending);
  }

  #leave(pending: Pending): void {
    if (!this.#live) return;
    const joining = this.#joining(pending.topic);
    const flush = (): void => this.flush();
    if (joining) {
      joining.then(flush, flush);
      return;
    }
    this.#waiting.delete(pending);
    this.#send(pending.bytes);
  }

  down(final: boolean): void {
    this.over = final;
    this.#live = false;
    for (const pending of this.#pending.values()) {
      if (final || !(pending.resend || this.#waiting.has(pending))) pending.answer(new RoomwireError('disconnected'));
    }
    this.#waiting = new Set(this.#pending.values());
  }

  #freeId(): number {
    do this.#lastId = this.#lastId >= MAX_REQUEST_ID ? 2 : this.#lastId + 1;
    while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }
}
