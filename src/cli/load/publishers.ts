/**
 * Publishes so many events a second, paced by the clock alone: a server that answers late does not make it slower.
 * Only what waits for an answer is bounded; what that bound or a busy process held back past the end is counted.
 */
import type { RoomwireError } from '../../client/node.js';
import type { Sent } from './check.js';
import { Histogram } from './histogram.js';
import type { Line } from './line.js';

/** What each event carries. `at` is in ms of this process's clock; `pad` fills it up. */
export interface Payload {
  readonly run: number;
  readonly seq: number;
  readonly at: number;
  readonly pad?: Uint8Array;
}

/** Bytes of a payload without its padding; it varies with the numbers in it. */
const BARE_BYTES = 40;
/** Publishes of one connection that may wait for an answer, and their bytes. A server takes 4096 by default. */
const MAX_WAITING = 1_024;
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
/** Published in one turn; what is more waits for the next one, so that answers are read in between. */
const MAX_A_TURN = 1_024;

export interface PublishPlan {
  readonly topic: string;
  readonly event: string;
  readonly rate: number;
  readonly seconds: number;
  readonly bytes: number;
}

export class Publishers {
  readonly run = (Math.random() * 2 ** 32) >>> 0;
  acknowledged = 0;
  /** By the name of the error. */
  readonly failures = new Map<string, number>();
  readonly ackMs = new Histogram();
  /** The server will never take these events: nothing was acknowledged, and this is why. */
  refusal: RoomwireError | undefined;
  readonly #plan: PublishPlan;
  readonly #sent: Sent;
  /** By publisher: the numbers that wait for an answer. */
  readonly #waiting: readonly Set<number>[];
  readonly #mostWaiting: number;
  readonly #pad: Uint8Array | undefined;
  #published = 0;
  #due = 0;
  #turn = 0;

  constructor(plan: PublishPlan, sent: Sent) {
    this.#plan = plan;
    this.#sent = sent;
    this.#waiting = Array.from({ length: sent.publishers }, () => new Set());
    this.#mostWaiting = Math.max(1, Math.min(MAX_WAITING, Math.floor(MAX_WAITING_BYTES / (plan.bytes + 1))));
    this.#pad = plan.bytes > BARE_BYTES ? new Uint8Array(plan.bytes - BARE_BYTES) : undefined;
  }

  get published(): number {
    return this.#published;
  }

  /** Due by the clock, but not sent. */
  get notSent(): number {
    return this.#due - this.#published;
  }

  get waiting(): number {
    return this.#waiting.reduce((sum, { size }) => sum + size, 0);
  }

  /** Publishes until the time is up, `signal` aborts, or there is no sense in going on. */
  async start(lines: readonly Line[], signal: AbortSignal): Promise<void> {
    const { rate, seconds } = this.#plan;
    const total = rate * seconds;
    const began = performance.now();
    for (;;) {
      const elapsed = performance.now() - began;
      this.#due = Math.min(total, Math.floor((elapsed / 1000) * rate) + 1);
      const over = elapsed >= seconds * 1000 || signal.aborted;
      const most = over ? Infinity : MAX_A_TURN;
      for (let i = 0; i < most && this.#published < this.#due && this.#publishNext(lines); i++);
      if (over || this.refusal !== undefined || this.#sent.full) return;
      const next = this.#published < this.#due ? 0 : (this.#published / rate) * 1000 - elapsed;
      await turnOfTimers(Math.min(next, seconds * 1000 - elapsed), signal);
    }
  }

  /** What has no answer by now counts as failed. */
  giveUp(): void {
    for (const numbers of this.#waiting) {
      for (const seq of numbers) this.#failed(seq, 'no_answer');
      numbers.clear();
    }
  }

  /** False when every connection waits for as many answers as it may. */
  #publishNext(lines: readonly Line[]): boolean {
    for (let tries = 0; tries < lines.length; tries++) {
      const publisher = this.#turn++ % lines.length;
      if ((this.#waiting[publisher] as Set<number>).size >= this.#mostWaiting) continue;
      void this.#publish(lines[publisher] as Line, publisher);
      return true;
    }
    return false;
  }

  async #publish({ client }: Line, publisher: number): Promise<void> {
    const { topic, event } = this.#plan;
    const waiting = this.#waiting[publisher] as Set<number>;
    const seq = this.#sent.take(publisher);
    waiting.add(seq);
    this.#published++;
    const at = performance.now();
    const data: Payload = { run: this.run, seq, at, ...(this.#pad === undefined ? {} : { pad: this.#pad }) };
    try {
      await client.publish(topic, event, data);
      // After giving up the answer comes too late to count.
      if (!waiting.delete(seq)) return;
      this.acknowledged++;
      this.ackMs.add(performance.now() - at);
    } catch (error) {
      if (!waiting.delete(seq)) return;
      const { name, code } = error as RoomwireError;
      this.#failed(seq, name);
      // Codes below 200 say that trying again is of no use.
      if (this.acknowledged === 0 && code < 200) this.refusal ??= error as RoomwireError;
    }
  }

  #failed(seq: number, name: string): void {
    this.#sent.fail(seq);
    this.failures.set(name, (this.failures.get(name) ?? 0) + 1);
  }
}

/** At least one turn of the timers, so that sockets are read; ends early when `signal` aborts. */
export function turnOfTimers(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(1, Math.ceil(ms)));
    signal.addEventListener('abort', done);
  });
}
