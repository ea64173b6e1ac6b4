/**
 * Rules that hold for whatever a server sends on one connection, whichever sequence is played: who is answered, what comes
 * first, and that no topic skips, repeats or outlives its subscription.
 */
import { Op, type Position } from '../protocol/frames.js';
import { shown, type Frame } from './patterns.js';

/** Frames of a client that have no answer of their own, whatever their second element is. */
const UNANSWERED: ReadonlySet<unknown> = new Set([
  Op.HELLO,
  Op.PING,
  Op.PONG,
  Op.BYE,
  Op.ACK,
  Op.NACK,
  Op.CANCEL,
  Op.VOLATILE,
  Op.POSITION,
]);

export class Watch {
  #hello: Frame | undefined;
  #welcomed = false;
  #pings = 0;
  /** Requests that wait, by id; a mistaken client uses one twice. */
  readonly #waiting = new Map<unknown, Frame[]>();
  /** The server's calls that wait. */
  readonly #calls = new Set<unknown>();
  /** Topics that the session is in, with the last event that came. */
  readonly #positions = new Map<unknown, Position>();

  sent(frame: Frame): void {
    const [op, id] = frame;
    if (op === Op.HELLO) this.#hello ??= frame;
    else if (op === Op.PING) this.#pings++;
    else if (op === Op.ACK || op === Op.NACK) this.#calls.delete(id);
    if (UNANSWERED.has(op)) return;
    const waiting = this.#waiting.get(id);
    if (waiting) waiting.push(frame);
    else this.#waiting.set(id, [frame]);
  }

  /** What is wrong with it. */
  came(frame: Frame): string | undefined {
    const [op, about] = frame;
    if (op === Op.WELCOME) return this.#welcome(frame);
    if (!this.#welcomed) return op === Op.GOAWAY ? undefined : `RW-CON-8: ${shown(frame)} came before WELCOME`;
    switch (op) {
      case Op.PONG:
        return this.#pings-- > 0 ? undefined : 'RW-CON-9: a PONG that no PING asked for';
      case Op.CALL:
        if (this.#calls.has(about)) return `RW-FRM-2: the server's call ${shown(about)} still waits`;
        this.#calls.add(about);
        return undefined;
      case Op.ACK:
      case Op.NACK:
        return this.#answer(frame);
      case Op.SUBSCRIBED:
        if (this.#positions.has(about)) return `RW-SUB-8: ${shown(about)} was subscribed already`;
        this.#positions.set(about, frame.slice(2, 4) as [string, number]);
        return frame[4] === true ? undefined : `RW-SUB-8: ${shown(frame)} is not recovered`;
      case Op.EVENTS:
      case Op.RESET:
      case Op.REMOVED:
        return this.#told(frame);
      default:
        return undefined;
    }
  }

  #welcome([, id, welcome]: Frame): string | undefined {
    if (this.#welcomed) return 'RW-HEL-3: a second WELCOME';
    this.#welcomed = true;
    const [, asked, hello] = this.#hello ?? [];
    if (id !== asked) return `RW-FRM-3: WELCOME has the id ${shown(id)}, HELLO had ${shown(asked)}`;
    const { resume = {} } = (hello ?? {}) as { readonly resume?: Readonly<Record<string, Position>> };
    const { topics = {} } = (welcome ?? {}) as { readonly topics?: Readonly<Record<string, TopicStatus>> };
    for (const [topic, { epoch, offset, recovered, code }] of Object.entries(topics)) {
      if (code !== undefined) continue;
      this.#positions.set(topic, [epoch, offset]);
      if (recovered && resume[topic] !== undefined && shown(resume[topic]) !== shown([epoch, offset]))
        return `RW-HEL-5: ${topic} is recovered at another position than HELLO's`;
    }
    return undefined;
  }

  #answer([op, id, data]: Frame): string | undefined {
    if (op === Op.NACK && id === 0) return undefined;
    const waiting = this.#waiting.get(id);
    const asked = waiting?.shift();
    if (asked === undefined) return `RW-FRM-3: an answer to ${shown(id)}, which does not wait`;
    if (waiting?.length === 0) this.#waiting.delete(id);
    if (op === Op.NACK) return undefined;
    const [request, , topic, , key] = asked;
    const [epoch, last] = this.#positions.get(topic) ?? [];
    const { epoch: named, offset } = (data ?? {}) as { readonly epoch: string; readonly offset: number };
    if (request === Op.SUBSCRIBE) {
      if (last !== undefined && epoch === named && offset > last) return `RW-SUB-4: ${offset} comes after ${last}`;
      this.#positions.set(topic, [named, offset]);
    } else if (request === Op.UNSUBSCRIBE && last !== undefined) {
      return 'RW-SUB-7: an ACK without a REMOVED';
    } else if (request === Op.PUBLISH && key === null && last !== undefined && epoch === named && offset <= last) {
      return `RW-ORD-3: the event ${offset} came before the ACK of its publish`;
    }
    return undefined;
  }

  #told(frame: Frame): string | undefined {
    const [op, topic] = frame;
    const at = this.#positions.get(topic);
    if (at === undefined) return `RW-ORD-4: ${shown(frame)} of a topic that the session is not in`;
    if (op === Op.REMOVED) this.#positions.delete(topic);
    else if (op === Op.RESET) this.#positions.set(topic, frame.slice(2, 4) as [string, number]);
    else if (op === Op.EVENTS) {
      const offset = frame[2] as number;
      if (offset !== at[1] + 1) return `RW-ORD-1: the event ${offset} of ${shown(topic)} comes after ${at[1]}`;
      this.#positions.set(topic, [at[0], offset]);
    }
    return undefined;
  }
}

interface TopicStatus {
  readonly epoch: string;
  readonly offset: number;
  readonly recovered: boolean;
  readonly code?: number;
}
