/**
 * What became of the latest subscriptions that ended: where they began and ended, when they stalled.
 * A bounded memory for the question why a message did not arrive (why.ts). The hub writes it.
 */
import type { Cursor, Stall, Via } from './topic.js';

/** A stretch of a topic that was a session's to get: of a live cursor or one that ended. */
export interface Span {
  readonly epoch: string;
  /** The offset before its first. */
  readonly start: number;
  /** Store time, ms. */
  readonly since: number;
  readonly via: Via;
  readonly stalls: readonly Stall[];
  /** The last offset that the client said it has handled; 0: it said nothing. */
  readonly handled: number;
  readonly handledAt: number;
  /** The last offset that was written to the socket. */
  readonly written: number;
  /** Undefined while it goes on. */
  readonly ended: { readonly at: number; readonly why: string } | undefined;
}

interface EndedSpan extends Span {
  readonly topic: string;
  readonly sid: string;
  readonly userId: string;
}

/** Ended subscriptions that are remembered, and stalls of one subscription. */
const REMEMBERED = 10_000;
const STALLS = 8;

export class Attendance {
  /** A ring: the oldest is overwritten. */
  readonly #spans: EndedSpan[] = [];
  #next = 0;

  ended(
    cursor: Cursor,
    { sid, user }: { readonly sid: string; readonly user: { readonly id: string } },
    { end, why, at }: { readonly end: number; readonly why: string; readonly at: number },
  ): void {
    this.#spans[this.#next] = {
      ...spanOf(cursor),
      written: end,
      ended: { at, why },
      topic: cursor.topic.name,
      sid,
      userId: user.id,
    };
    this.#next = (this.#next + 1) % REMEMBERED;
  }

  /** Ended spans of a session or user in the topic, the oldest first, by session id. */
  find(of: { readonly topic: string; readonly epoch: string | null; readonly who: string }): Map<string, Span[]> {
    const found = new Map<string, Span[]>();
    for (let i = 0; i < this.#spans.length; i++) {
      const span = this.#spans[(this.#next + i) % this.#spans.length] as EndedSpan;
      if (span.topic !== of.topic || span.epoch !== of.epoch || (span.sid !== of.who && span.userId !== of.who))
        continue;
      const spans = found.get(span.sid) ?? [];
      spans.push(span);
      found.set(span.sid, spans);
    }
    return found;
  }
}

/** Of a live cursor. */
export function spanOf({ topic, start, since, via, stalls = [], handled, handledAt, next }: Cursor): Span {
  return { epoch: topic.epoch, start, since, via, stalls, handled, handledAt, written: next - 1, ended: undefined };
}

export function addStall(cursor: Cursor, stall: Stall): void {
  const stalls = (cursor.stalls ??= []);
  stalls.push(stall);
  if (stalls.length > STALLS) stalls.shift();
}
