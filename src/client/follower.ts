/**
 * Keeps a state equal to what the server has: joins a topic by a call, reads the state as of a
 * position, then hands on the events after it. Events that come meanwhile are held back; a state
 * older than the unbroken stream of events is read again, and so it is after every reset. Rooms and
 * the overview both live on this.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { Position, Positions, Value } from '../protocol/frames.js';
import { retryDelay } from './backoff.js';
import { MAX_HELD_EVENTS, MAX_STALE_STATES } from './bounds.js';
import { call, type Context } from './context.js';
import { isError, isTemporary } from './error-kinds.js';
import type { TopicListener } from './topics.js';
import type { EventInfo, ResetInfo } from './types.js';

export interface Followed<T> {
  /** `join:<name>` and `leave:<name>` are the calls, with this input. */
  readonly name: string;
  readonly input: object;
  /** The state, from the join's reply or from elsewhere. */
  read(reply: Value, signal: AbortSignal): T | Promise<T>;
  /** `missed`: why events before it never came, if so. */
  apply(state: T, at: Position, missed: string | undefined): void;
  /** `included`: the state held this event already. */
  event(data: Value, info: EventInfo, included: boolean): void;
  /** `missing`: what it has is no longer whole. */
  loading(missing: boolean): void;
  /** The server ended it, or it cannot be brought back; not `before`: it never began. */
  ended(error: RoomwireError, before: boolean): void;
}

export class Follower<T extends { readonly positions: Positions }> implements TopicListener {
  readonly topic: string;
  /** The application wants it. */
  wanted = false;
  /** The join or reload that is under way. */
  busy: Promise<void> | undefined;
  readonly #context: Context;
  readonly #followed: Followed<T>;
  readonly #unlisten: () => void;
  #leaving: Promise<void> | undefined;
  #abort = new AbortController();
  /** The load that runs has joined: a removal from here on is meant for it. */
  #joined = false;
  #missed: string | undefined;
  #held: [data: Value, info: EventInfo][] | undefined;
  /** The state holds every event up to here. */
  #asOf: Position | undefined;
  /** The application was told to read anew what came up to this offset: it gets no such event, however late. */
  #told = -1;

  constructor(context: Context, topic: string, followed: Followed<T>) {
    this.topic = topic;
    this.#context = context;
    this.#followed = followed;
    this.#unlisten = context.topics.listen(topic, this);
  }

  follow(extra?: object): Promise<void> {
    this.wanted = true;
    return (this.busy ??= this.#load(false, extra));
  }

  /** Reads the state again: events may be missing. */
  again(reason: string): void {
    if (!this.wanted) return;
    this.#missed ??= reason;
    // Failures end in `ended` or in a later try.
    if (!this.busy) (this.busy = this.#load(true)).catch(() => undefined);
  }

  /** A join that follows waits for the end of it. */
  leave(): Promise<void> {
    const { busy } = this;
    this.#stop();
    const leaving = this.#leave(busy).finally(() => {
      // Done with: a rejoin is to be sent before what waits for it.
      if (this.#leaving === leaving) this.#leaving = undefined;
    });
    return (this.#leaving = leaving);
  }

  /** Hears nothing from here on. */
  dispose(): void {
    this.#stop();
    this.#unlisten();
  }

  /** Ends without a word to the server, which did or knows it. */
  end(error: RoomwireError): void {
    if (!this.wanted) return;
    const before = this.#asOf !== undefined;
    this.#stop(error);
    this.#followed.ended(error, before);
  }

  event(data: Value, info: EventInfo): void {
    if (!this.#held) {
      this.#handOver(data, info);
    } else if (this.#held.push([data, info]) > MAX_HELD_EVENTS) {
      this.#held = [];
      // What came before now does not count as read.
      const topic = this.#context.topics.get(this.topic);
      if (topic) topic.since = topic.position;
      this.#missed ??= 'overrun';
    }
  }

  reset({ reason }: Pick<ResetInfo, 'reason'>): void {
    // What was held back came before: the state has it, or it is of an epoch that is over.
    this.#held &&= [];
    this.again(reason);
  }

  removed(error: RoomwireError, lost: boolean): void {
    if (lost) this.reset({ reason: error.message });
    // Before the join it is the end of what was left or lost earlier.
    else if (!this.busy || this.#joined) this.end(error);
  }

  #stop(reason = new RoomwireError('cancelled')): void {
    this.wanted = false;
    this.#abort.abort(reason);
    this.busy = this.#held = this.#missed = this.#asOf = undefined;
    this.#told = -1;
  }

  async #leave(busy: Promise<void> | undefined): Promise<void> {
    const { name, input } = this.#followed;
    // Or the join that is under way might come after the leave.
    await busy?.catch(() => undefined);
    try {
      await call(this.#context, `leave:${name}`, input, { resend: true });
    } catch (error) {
      if (!isError(error, 'not_member', 'not_subscribed', 'room_not_found')) throw error;
    }
  }

  async #load(background: boolean, extra?: object): Promise<void> {
    const { signal } = (this.#abort = new AbortController());
    this.#held ??= [];
    this.#joined = false;
    this.#followed.loading(this.#missed !== undefined);
    try {
      const [state, at] = await this.#read(signal, background, extra);
      const missed = this.#missed;
      this.busy = this.#missed = undefined;
      this.#asOf = at;
      if (missed !== undefined) this.#told = at[1];
      this.#followed.apply(state, at, missed);
      this.#release();
    } catch (error) {
      if (signal.aborted) throw error;
      this.busy = undefined;
      if (!this.#asOf || !this.#isTemporary(error)) this.end(error as RoomwireError);
      else if (this.#missed === undefined) this.#release();
      else this.again('');
      throw error;
    }
  }

  async #read(signal: AbortSignal, background: boolean, extra?: object): Promise<[T, Position]> {
    const { name, input } = this.#followed;
    if (this.#leaving) await this.#leaving.catch(() => undefined);
    for (let attempt = 1; ; attempt++) {
      try {
        const onAck = (): void => void (this.#joined ||= !signal.aborted);
        const reply = await call(this.#context, `join:${name}`, { ...input, ...extra }, { resend: true, onAck });
        const state = await this.#followed.read(reply, signal);
        signal.throwIfAborted();
        const at = state.positions[this.topic];
        const since = this.#context.topics.get(this.topic)?.since;
        if (at && since && at[0] === since[0] && at[1] >= since[1]) return [state, at];
        if (!background && attempt >= MAX_STALE_STATES)
          throw new RoomwireError('conflict', 'the state stays behind its events');
      } catch (error) {
        if (signal.aborted || !background || !this.#isTemporary(error)) throw error;
      }
      await this.#pause(attempt, signal);
      this.#joined = false;
    }
  }

  #pause(attempt: number, signal: AbortSignal): Promise<void> {
    const { settings } = this.#context;
    return new Promise((resolve, reject) => {
      const timer = settings.timers.setTimeout(resolve, retryDelay(settings, { attempt }));
      signal.addEventListener('abort', () => {
        settings.timers.clearTimeout(timer);
        reject(signal.reason as Error);
      });
    });
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const [data, info] of held) this.#handOver(data, info);
  }

  #handOver(data: Value, info: EventInfo): void {
    const { offset } = info;
    if (offset === null) this.#followed.event(data, info, false);
    // The state may be ahead of the stream.
    else if (offset > this.#told) this.#followed.event(data, info, offset <= (this.#asOf?.[1] ?? -1));
  }

  #isTemporary(error: unknown): boolean {
    return !this.#context.requests.over && isTemporary(error);
  }
}
