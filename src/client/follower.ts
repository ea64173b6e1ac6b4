/**
 * Keeps a state equal to what the server has: joins a topic by a call, reads the state as of a
 * position, then hands on the events after it. Events that come meanwhile are held back; a state
 * older than the unbroken stream of events is read again, and so it is after every reset. Rooms and
 * the lists of rooms both live on this.
 *
 * What is wanted (`wanted`, and leaves not carried out) is kept apart from what is under way: one loop
 * leaves, joins and reads, one call at a time, until there is nothing left to do. So whatever comes
 * in between, what was asked last is what there is in the end.
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
  /** Somebody hears its events, also those that another call than this subscribed to. */
  readonly heard?: boolean;
  /** The state, from the join's reply or from elsewhere. */
  read(reply: Value, signal: AbortSignal): T | Promise<T>;
  /** `missed`: why events before it never came, if so. */
  apply(state: T, at: Position, missed: string | undefined): void;
  /** `included`: the state held this event already. */
  onEvent(data: Value, info: EventInfo, included: boolean): void;
  /** `missing`: what it has is no longer whole. */
  reading(missing: boolean): void;
  /** It goes on with what it has, though it was to be left or read again: the server did neither. */
  kept?(): void;
  /** As it was asked to. */
  left(): void;
  /** The server ended it, or it cannot be brought back; not `before`: it never began. */
  ended(error: RoomwireError, before: boolean): void;
}

interface Waiter {
  readonly accept: () => void;
  readonly reject: (error: unknown) => void;
}

export class Follower<T extends { readonly positions: Positions }> implements TopicListener {
  declare readonly topic: string;
  /** The application wants it. */
  wanted = false;
  readonly #context: Context;
  readonly #followed: Followed<T>;
  #unlisten: (() => void) | undefined;
  /** The loop runs. */
  #running = false;
  /** The state is to be read: it was asked for, or events are missing. */
  #stale = false;
  /** Who waits for the state, and who for the leave. */
  #joins: Waiter[] = [];
  #leaves: Waiter[] = [];
  /** Joins that a leave came after: told so once what was under way for them is over. */
  readonly #cancelled: Waiter[] = [];
  /** A leave that failed, or a join that came after it, is still to be made good. */
  #owing = false;
  /** What the next join is asked with. */
  #extra: object | undefined;
  #abort = new AbortController();
  /** Ends the pause between two tries. */
  #wake: () => void = () => undefined;
  /** The load that runs has joined: a removal from here on is meant for it. */
  #joined = false;
  /** It is in it no more, whatever was known before: a join that is refused for a time leaves nothing to go on with. */
  #gone = false;
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
  }

  /** A join or reload is under way, or about to be. */
  get joining(): boolean {
    return this.wanted && this.#stale;
  }

  /** `extra`: what the join is asked with, beside the input. */
  follow(extra?: object): Promise<void> {
    this.wanted = this.#stale = true;
    this.#extra = extra ?? this.#extra;
    this.#wake();
    return this.#wait(this.#joins);
  }

  /** Reads the state again: events may be missing. */
  again(reason: string): void {
    if (!this.wanted) return;
    this.#missed ??= reason;
    this.#stale = true;
    this.#start();
  }

  /** A join that follows waits for the end of it. */
  unfollow(): Promise<void> {
    this.#cancelled.push(...this.#joins.splice(0));
    this.#drop(new RoomwireError('cancelled'));
    return this.#wait(this.#leaves);
  }

  /** Ends without a word to the server, which did or knows it. */
  end(error: RoomwireError): void {
    this.#owing = false;
    this.#wake();
    this.#gone = true;
    if (!this.wanted) return;
    const before = !!this.#asOf;
    this.#drop(error);
    this.#forget();
    this.#followed.ended(error, before);
    this.hear();
  }

  /** Hears the topic while there is a reason to. */
  hear(): void {
    const needed = this.wanted || this.#running || this.#followed.heard;
    if (needed) this.#unlisten ??= this.#context.streams.hear(this.topic, this);
    else {
      this.#unlisten?.();
      this.#unlisten = undefined;
    }
  }

  onEvent(data: Value, info: EventInfo): void {
    if (!this.#held) {
      this.#handOver(data, info);
    } else if (this.#held.push([data, info]) > MAX_HELD_EVENTS) {
      this.#held = [];
      // What came before now does not count as read.
      const topic = this.#context.streams.get(this.topic);
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
    const owed = this.#owing;
    this.#owing = false;
    if (owed && !this.wanted) {
      // A leave that was given up for late came to pass.
      this.#forget();
      this.#followed.left();
    } else if (lost && this.wanted) this.reset({ reason: error.message });
    // Before the join it is the end of what was left or lost earlier.
    else if (!this.#running || !this.#stale || this.#joined) this.end(error);
    else this.#gone = true;
  }

  #wait(waiters: Waiter[]): Promise<void> {
    return new Promise((resolve, reject) => {
      waiters.push({ accept: resolve, reject });
      this.#start();
    });
  }

  /** Not wanted any more: who waits for the state waits in vain. */
  #drop(error: RoomwireError): void {
    this.wanted = this.#stale = false;
    this.#extra = undefined;
    this.#abort.abort(error);
    this.#wake();
    refuse(this.#joins, error);
    this.#context.requests.flush();
  }

  /** What it has is of a stay that is over. */
  #forget(): void {
    this.#held = this.#missed = this.#asOf = undefined;
    this.#gone = false;
    this.#told = -1;
  }

  #start(): void {
    if (this.#running) return;
    this.#running = true;
    this.hear();
    void this.#run();
  }

  async #run(): Promise<void> {
    for (;;) {
      this.#joined = false;
      refuse(this.#cancelled, new RoomwireError('cancelled'));
      if (this.#context.requests.over) {
        refuse(this.#leaves, new RoomwireError('disconnected'));
        this.end(new RoomwireError('disconnected'));
        break;
      } else if (this.#leaves.length > 0 || (this.#owing && !this.wanted)) await this.#leave();
      else if (this.wanted && this.#stale) await this.#load();
      else break;
    }
    this.#running = false;
    this.hear();
  }

  async #leave(): Promise<void> {
    const { name, input } = this.#followed;
    const leaves = this.#leaves;
    this.#leaves = [];
    this.#owing = false;
    try {
      await call(this.#context, `leave:${name}`, input, { resend: true });
    } catch (error) {
      // Not in it is as good as out of it.
      if (!isError(error, 'not_member', 'not_subscribed', 'room_not_found')) {
        refuse(leaves, error);
        if (this.wanted || this.#context.requests.over) return;
        if (isTemporary(error)) {
          // Who left is told that it is not so yet; it is tried again all the same.
          this.#owing = true;
          return this.#pause(1);
        }
        // It may not leave, and goes on to be in it.
        this.wanted = !!this.#asOf;
        if (this.wanted) this.#followed.kept?.();
        return;
      }
    }
    this.#forget();
    this.#followed.left();
    // Those who asked meanwhile have what they asked for.
    if (!this.wanted) leaves.push(...this.#leaves.splice(0));
    for (const { accept } of leaves) accept();
  }

  async #load(): Promise<void> {
    const { signal } = (this.#abort = new AbortController());
    this.#held ??= [];
    this.#followed.reading(this.#missed !== undefined);
    for (let attempt = 1; !signal.aborted; attempt++) {
      const extra = this.#extra;
      const { welcome } = this.#context.connection;
      try {
        const state = await this.#read(signal, extra);
        if (signal.aborted) return;
        if (state) return this.#loaded(...state);
        if (attempt >= MAX_STALE_STATES) {
          const error = new RoomwireError('conflict', 'stale state');
          this.#refuse(error);
          if (!this.#asOf) return this.end(error);
        }
      } catch (error) {
        if (signal.aborted) return;
        // Asked meanwhile to create it.
        if (isError(error, 'room_not_found') && extra !== this.#extra) continue;
        this.#refuse(error);
        if (!this.#asOf || this.#gone || this.#context.requests.over || !isTemporary(error)) {
          this.end(error as RoomwireError);
          // Joined, or perhaps: the state could not be read, or an answer to the same join came too late or got lost.
          this.#owing = this.#joined || isError(error, 'deadline') || welcome !== this.#context.connection.welcome;
          return;
        }
        if (this.#missed === undefined) {
          this.#stale = false;
          this.#followed.kept?.();
          return this.#release();
        }
      }
      await this.#pause(attempt);
      this.#joined = false;
    }
  }

  /** Undefined: a state that is older than the events. */
  async #read(signal: AbortSignal, extra: object | undefined): Promise<[T, Position] | undefined> {
    const { name, input } = this.#followed;
    const onAck = (_data: Value, late: boolean): void => {
      if (!late) this.#joined ||= !signal.aborted;
      // It came to pass after all, and may not be wanted.
      else if (!this.wanted) {
        this.#owing = true;
        this.#start();
      }
    };
    const reply = await call(this.#context, `join:${name}`, { ...input, ...extra }, { resend: true, onAck });
    if (signal.aborted) return undefined;
    const state = await this.#followed.read(reply, signal);
    const at = state.positions[this.topic];
    const since = this.#context.streams.get(this.topic)?.since;
    return at && since && at[0] === since[0] && at[1] >= since[1] ? [state, at] : undefined;
  }

  #loaded(state: T, at: Position): void {
    const missed = this.#missed;
    this.#stale = this.#gone = false;
    this.#missed = this.#extra = undefined;
    this.#asOf = at;
    if (missed !== undefined) this.#told = at[1];
    const joins = this.#joins;
    this.#joins = [];
    this.#followed.apply(state, at, missed);
    this.#release();
    for (const { accept } of joins) accept();
  }

  /** Whoever asked is told; what is missing is read again without them. */
  #refuse(error: unknown): void {
    this.#extra = undefined;
    refuse(this.#joins, error);
  }

  #pause(attempt: number): Promise<void> {
    const { settings } = this.#context;
    return new Promise((resolve) => {
      const alarm = settings.clock.alarm();
      alarm(retryDelay(settings, { attempt }), resolve);
      this.#wake = () => {
        alarm();
        resolve();
      };
    });
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const [data, info] of held) this.#handOver(data, info);
    // Publishes may wait for the end of it.
    this.#context.requests.flush();
  }

  #handOver(data: Value, info: EventInfo): void {
    const at = info.offset ?? Infinity;
    // The state may be ahead of the stream.
    if (at > this.#told) this.#followed.onEvent(data, info, at <= (this.#asOf?.[1] ?? -1));
  }
}

function refuse(waiters: Waiter[], error: unknown): void {
  for (const { reject } of waiters.splice(0)) reject(error);
}
