/**
 * Requests that wait for ACK or NACK. One made without a connection waits for the next WELCOME; one
 * that was sent fails with the connection, unless it may be sent again. Every wait has an end. No more
 * leave at a time, or a second, than the server takes: the rest wait here, in order. Volatile values
 * wait here too, each in the place of the one before it.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { Value } from '../protocol/frames.js';
import * as Op from '../protocol/opcodes.js';
import { MAX_PENDING, MAX_REQUEST_ID, UPLINK_BYTES, UPLINK_POLL_MS } from './bounds.js';
import type { Alarm, Clock } from './clock.js';
import type { Connection } from './connection.js';
import { encodeFrame } from './encode.js';
import { Lane, type Flight } from './lane.js';
import type { Settings } from './settings.js';

export interface RequestOptions {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Safe to repeat: sent again after a reconnect. */
  readonly resend?: boolean | undefined;
  /** What it may have got is to be heard of also when nobody waits any more, to be given back (RW-CAL-7). */
  readonly giveBack?: boolean | undefined;
  /**
   * Runs before the message's next frame is looked at, which a promise does not. `late`: after an
   * abort or the deadline, when nobody else hears of it.
   */
  readonly onAck?: ((data: Value, late: boolean) => void) | undefined;
}

/** What requests run over. */
export interface Carrier {
  readonly settings: Settings;
  readonly connection: Connection;
  /** A join is under way without which the server would refuse what is published to this topic. */
  isJoining(topic: string): boolean;
}

interface Pending {
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly lane: Lane;
  /** Of a publish. */
  readonly topic: string | undefined;
  resend: boolean;
  flies: boolean;
  /** Own time when it left last, on this connection or an earlier one. */
  at: number;
  /** Nobody waits for it any more. */
  late: boolean;
  /** Ends the wait. */
  answer(error: RoomwireError | undefined, data?: Value): void;
  /** The same without an answer, which may be under way. */
  stop(error: RoomwireError): void;
}

type Limits = Readonly<Record<string, number | undefined>>;

export class Requests {
  /** The client is closed or refused: nothing will be answered. */
  over = false;
  /** Since WELCOME, until the connection ends. */
  live = false;
  /** The largest message the server takes. */
  largest = Infinity;
  readonly #carrier: Carrier;
  readonly #pending = new Map<number, Pending>();
  /** Those not sent yet, in the order in which they were made. */
  readonly #waiting = new Set<Pending>();
  readonly #latest = new Map<string, { readonly topic: string; readonly bytes: Uint8Array }>();
  readonly #calls: Flight = { flying: 0, most: Infinity };
  readonly #frames: Flight = { flying: 0, most: Infinity };
  readonly #callLane = new Lane(this.#calls);
  readonly #publishLane = new Lane(this.#frames);
  readonly #joinLane = new Lane(this.#frames);
  readonly #otherLane = new Lane(this.#frames);
  /** Lanes and topics that hold back what comes after. */
  #held = new Set<unknown>();
  readonly #alarm: Alarm;
  /** A flush follows in this turn of the loop. */
  #soon = false;
  /** 1 is HELLO's. */
  #lastId = 1;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
    this.#alarm = this.#clock.alarm();
  }

  /** Rejects with RoomwireError, or with EncodeError when `parts` hold what has no encoding. */
  request(
    op: number,
    parts: readonly unknown[],
    { timeoutMs, signal, resend = false, giveBack = false, onAck }: RequestOptions = {},
  ): Promise<Value> {
    const { connection, settings } = this.#carrier;
    return new Promise((resolve, reject) => {
      const cancelled = (): RoomwireError => new RoomwireError('cancelled', undefined, { cause: signal?.reason });
      if (signal?.aborted) throw cancelled();
      if (this.over) throw new RoomwireError('disconnected');
      if (this.#pending.size >= MAX_PENDING) throw new RoomwireError('too_many');
      const id = this.#freeId();
      const bytes = encodeFrame([op, id, ...parts], this.largest);

      const abort = (): void => pending.stop(cancelled());
      const alarm = settings.clock.alarm();
      if (timeoutMs !== undefined) alarm(timeoutMs, () => pending.stop(new RoomwireError('deadline')));
      const pending: Pending = {
        id,
        bytes,
        lane:
          op === Op.CALL
            ? this.#callLane
            : op === Op.PUBLISH
              ? this.#publishLane
              : op === Op.AUTH
                ? this.#otherLane
                : this.#joinLane,
        topic: op === Op.PUBLISH ? (parts[0] as string) : undefined,
        resend,
        flies: false,
        at: -Infinity,
        late: false,
        stop: (error) => {
          const waits = this.#waiting.has(pending);
          pending.answer(error);
          if (waits ? !(giveBack && pending.at > -Infinity) : !(giveBack || this.live)) return;
          pending.late = true;
          pending.resend = giveBack;
          this.#pending.set(id, pending);
          if (waits) return this.#wait(pending);
          // The answer may be under way.
          this.#fly(pending);
          if (op === Op.CALL) connection.write(encodeFrame([Op.CANCEL, id]));
        },
        answer: (error, data = null) => {
          this.#pending.delete(id);
          this.#land(pending);
          alarm();
          signal?.removeEventListener('abort', abort);
          if (error) return reject(error);
          onAck?.(data, pending.late);
          // Late, it is rejected already.
          resolve(data);
        },
      };
      signal?.addEventListener('abort', abort);
      this.#pending.set(id, pending);
      this.#wait(pending);
      // One topic's publishes leave in the order in which they were made (RW-PUB-2).
      if (!this.#held.has(pending.lane) && !this.#held.has(pending.topic) && !this.#leave(pending)) this.flush();
    });
  }

  /** The newest value of a slot, dropped without a connection. Throws EncodeError and too_large. */
  volatile(topic: string, event: string, slot: string, data: unknown): void {
    const bytes = encodeFrame([Op.VOLATILE, topic, event, slot, data], this.live ? this.largest : Infinity);
    if (!this.live) return;
    const key = JSON.stringify([topic, event, slot]);
    this.#latest.set(key, { topic, bytes });
    // Bounded: the oldest goes.
    if (this.#latest.size > MAX_PENDING) this.#latest.delete(this.#latest.keys().next().value as string);
    if (this.#soon) return;
    this.#soon = true;
    queueMicrotask(() => {
      this.#soon = false;
      this.flush();
    });
  }

  /**
   * ACK and NACK. Answers to what nobody waits for are dropped; a NACK with id 0 is for what asks for no answer.
   * True after a publish's ACK, whose caller is to go on before the event comes (RW-ORD-3).
   */
  answer([op, id, first, message, details]: readonly Value[]): boolean {
    const pending = this.#pending.get(id as number);
    // Done for this session, which was there then.
    if (pending && op === Op.ACK) this.#carrier.connection.pulse.answered(pending.at);
    const error = op === Op.NACK ? new RoomwireError(first as number, message as string, { details }) : undefined;
    // A server that stops says so of a repeat, too, whose first was done: the next server knows. It is sent there with the rest.
    if (error?.name === 'draining' && pending?.resend) return false;
    if (error && id === 0) this.#carrier.settings.report(error);
    else pending?.answer(error, first);
    if (pending && this.#held.size > 0) this.flush();
    return op === Op.ACK && pending?.topic !== undefined;
  }

  /** From here on requests leave at once; those that waited follow with `flush`. */
  welcome(limits: Limits): void {
    this.largest = limits['messageBytes'] ?? Infinity;
    this.#calls.most = limits['pendingCalls'] ?? Infinity;
    this.#frames.most = limits['pendingFrames'] ?? Infinity;
    this.#callLane.rate(limits['callsPerSecond'], limits['userCallsPerSecond']);
    this.#publishLane.rate(limits['publishesPerSecond'], limits['userPublishesPerSecond']);
    this.#joinLane.rate(limits['joinsPerSecond'], limits['userJoinsPerSecond']);
    // What waited comes after what WELCOME calls for, and before what else is published to its topic.
    this.#held = new Set<unknown>([...this.#waiting].flatMap(({ topic }) => topic ?? []));
    this.live = true;
  }

  /** Sends what waited and may leave now. */
  flush(): void {
    if (!this.live) return;
    this.#alarm();
    const held = (this.#held = new Set<unknown>());
    let next = Infinity;
    let open = this.#waiting.size;
    for (const pending of this.#waiting) {
      if (open <= 0) break;
      const { lane, topic } = pending;
      if (held.has(lane) || held.has(topic) || this.#leave(pending)) continue;
      if (!held.has(lane)) continue;
      // Its time may have come since it was held.
      next = Math.min(next, Math.max(0, lane.wait(this.#clock.now())));
      open -= lane.waiting;
    }
    next = Math.min(next, this.#flushLatest());
    if (next < Infinity) this.#alarm(next, () => this.flush());
  }

  down(final: boolean): void {
    this.over = final;
    this.live = false;
    this.#latest.clear();
    this.#alarm();
    for (const pending of [...this.#pending.values()]) {
      const over = new RoomwireError('disconnected');
      if (pending.late ? !pending.resend : final || !(pending.resend || this.#waiting.has(pending))) pending.stop(over);
    }
    for (const pending of this.#waiting) this.#land(pending);
    for (const pending of this.#pending.values()) {
      this.#land(pending);
      this.#wait(pending);
    }
  }

  /** False: not yet; what comes after it in its lane, or for its topic, is held back. */
  #leave(pending: Pending): boolean {
    const { lane, topic, bytes } = pending;
    if (!this.live) return false;
    if (topic !== undefined && this.#carrier.isJoining(topic)) {
      this.#held.add(topic);
      return false;
    }
    const now = this.#clock.now();
    if (lane.wait(now) > 0) {
      this.#held.add(lane);
      return false;
    }
    this.#land(pending);
    // Made before this server said how much it takes.
    if (bytes.length > this.largest) {
      pending.answer(new RoomwireError('too_large'));
      return true;
    }
    this.#fly(pending);
    lane.spend(now);
    pending.at = now;
    this.#carrier.connection.write(bytes);
    // In the same message, so that it is not done now if it was not.
    if (pending.late) this.#carrier.connection.write(encodeFrame([Op.CANCEL, pending.id]));
    return true;
  }

  /** Ms until more may leave. */
  #flushLatest(): number {
    const { connection } = this.#carrier;
    const now = this.#clock.now();
    for (const [key, { topic, bytes }] of this.#latest) {
      if (connection.buffered > UPLINK_BYTES) return UPLINK_POLL_MS;
      const wait = this.#publishLane.wait(now);
      if (wait > 0) return wait;
      if (this.#carrier.isJoining(topic)) continue;
      this.#publishLane.spend(now);
      this.#latest.delete(key);
      connection.write(bytes);
    }
    return Infinity;
  }

  #wait(pending: Pending): void {
    this.#waiting.add(pending);
    pending.lane.waiting++;
  }

  #fly(pending: Pending): void {
    pending.flies = true;
    pending.lane.flight.flying++;
  }

  /** It waits no more, or is answered. */
  #land(pending: Pending): void {
    if (this.#waiting.delete(pending)) pending.lane.waiting--;
    if (pending.flies) pending.lane.flight.flying--;
    pending.flies = false;
  }

  get #clock(): Clock {
    return this.#carrier.settings.clock;
  }

  #freeId(): number {
    do this.#lastId = this.#lastId >= MAX_REQUEST_ID ? 2 : this.#lastId + 1;
    while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }
}
