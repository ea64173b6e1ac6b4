/**
 * The Transaction that plugins and handlers work with: reads and writes on the stage of the batch,
 * effects on memory (cursors, notices, replies) set aside until the commit is done. Runs inside
 * `stage.attempt`, so that a throw leaves no trace.
 */
import { encode } from '../../protocol/codec.js';
import { errors, type ErrorName } from '../../protocol/codes.js';
import { RoomwireError } from '../../protocol/errors.js';
import type { Position, TopicStatus } from '../../protocol/frames.js';
import { shortened } from '../../protocol/text.js';
import type { Published, Session, Transaction } from '../api.js';
import { requireEventData } from '../wire/event-data.js';
import { encodePooled } from '../wire/pooled.js';
import {
  writeItem,
  writeItemData,
  writeLatest,
  writeRemoved,
  writeServerItem,
  writeSubscribed,
} from '../wire/frames.js';
import type { Attendance } from './attendance.js';
import type { FanOut } from './fan-out.js';
import type { Outbox } from './outbox.js';
import type { Attached, Membership, Subscriber } from './subscriber.js';
import type { Stage } from './stage.js';
import { Cursor, type Topic } from './topic.js';

const TRUE = encode(true);
/** Of a REMOVED, in UTF-16 units. */
const REASON_LENGTH = 500;

export type Effect = () => void;

export interface TransactionOptions {
  /** Store time, ms. */
  readonly now: number;
  /** As of the last commit. */
  readonly members: Membership;
  /** Topics one session may be in. */
  readonly maxTopics: number;
  /** Where volatile values go, and ended subscriptions are noted. */
  readonly fanOut: Pick<FanOut, 'volatile' | 'attendance'>;
}

export class HubTransaction implements Transaction {
  readonly #stage: Stage;
  #over = false;
  readonly now: number;
  /** Run in this order once the commit is done. */
  readonly effects: Effect[] = [];

  readonly #options: TransactionOptions;

  constructor(stage: Stage, options: TransactionOptions) {
    this.#stage = stage;
    this.now = options.now;
    this.#options = options;
  }

  /** Nothing more can be done through it: what came later would be in no batch. */
  finish(): void {
    this.#over = true;
  }

  get #live(): Stage {
    if (this.#over) throw new Error('the transaction is over: start another with transact');
    return this.#stage;
  }

  get<T>(table: string, key: string): T | undefined {
    return this.#live.get(table, key) as T | undefined;
  }

  read<T>(table: string, key: string): T | undefined {
    return this.#live.read(table, key) as T | undefined;
  }

  set(table: string, key: string, value: unknown): void {
    this.#live.set(table, key, encodePooled(value, `${table}/${key}`));
  }

  delete(table: string, key: string): void {
    this.#live.set(table, key, null);
  }

  list<T>(
    table: string,
    { prefix = '', after = '', limit }: { readonly prefix?: string; readonly after?: string; readonly limit: number },
  ): [string, T][] {
    return this.#live.list(table, prefix, after, limit) as [string, T][];
  }

  readList<T>(table: string, { prefix, limit }: { readonly prefix: string; readonly limit: number }): [string, T][] {
    return this.#live.readList(table, prefix, limit) as [string, T][];
  }

  nextVersion(): number {
    const stage = this.#live;
    // Past it two of them could be the same number (rule 6).
    if (stage.counter >= Number.MAX_SAFE_INTEGER)
      throw new RoomwireError('store_unavailable', 'the versions of this store are used up');
    return ++stage.counter;
  }

  /** Appends a ready item. Returns what its publisher is told; `matched` as of the last commit. */
  append(topic: string, item: Uint8Array): Published {
    const { topic: loaded, items } = this.#live.append(topic, item);
    return { epoch: loaded.epoch, offset: loaded.head + items.length, matched: loaded.cursors.length };
  }

  publish(topic: string, event: string, data: unknown, options?: { readonly from?: Session }): void {
    const from = options?.from as Subscriber | undefined;
    this.append(
      topic,
      from === undefined
        ? writeServerItem(event, data)
        : // Not the session's own copy, which is for those that publish often.
          writeItem(encode(event), writeItemData(data), encode(from.sid)),
    );
  }

  volatile(topic: string, event: string, slot: string, data: unknown): void {
    const frame = data === undefined ? null : writeLatest({ topic, event, slot, data, from: null });
    // After the encoder, which refuses what holds itself.
    requireEventData(data);
    this.effects.push(() => this.#options.fanOut.volatile(topic, `${event}\0${slot}\0`, frame));
  }

  position(topic: string): Position {
    const { topic: loaded, items } = this.#live.topic(topic);
    return [loaded.epoch, loaded.head + items.length];
  }

  /** Where one who was at `from` goes on; null: from here on. `recovered`: all after it is there. */
  standing(topic: string, from: Position | null): TopicStatus {
    const { topic: loaded } = this.#live.topic(topic);
    const [epoch, head] = this.position(topic);
    if (from === null) return { epoch, offset: head, recovered: true };
    const [of, at] = from;
    const recovered = of === epoch && at <= head && at >= Math.min(loaded.tail, head + 1) - 1;
    return { epoch, offset: recovered ? at : head, recovered };
  }

  subscribers(topic: string): number {
    return this.#live.topic(topic).topic.cursors.length;
  }

  topics(session: Session): string[] {
    return [...this.#live.sessions.topics(session as Subscriber)];
  }

  isIn(session: Subscriber, topic: string): boolean {
    return this.#live.sessions.topics(session).has(topic);
  }

  /** Whether the session has ended at this point of the batch. */
  ended(session: Subscriber): boolean {
    return this.#live.sessions.ended(session);
  }

  /** Takes the session out of all its topics; for this batch it has ended. */
  end(session: Subscriber): void {
    for (const topic of this.topics(session)) this.unsubscribe(session, topic);
    this.#live.sessions.end(session);
  }

  subscribe(session: Session, topic: string): void {
    this.subscribeFrom(session as Subscriber, topic, null);
  }

  /**
   * Subscribes from a position of the client's; null: from here. SUBSCRIBED tells the client, unless
   * its connection is `asking`, which learns it from the reply. Throws disconnected and limit_reached.
   */
  subscribeFrom(session: Subscriber, topic: string, from: Position | null, asking?: Attached): TopicStatus {
    const { sessions } = this.#live;
    if (sessions.ended(session)) throw new RoomwireError('disconnected', 'the session has ended');
    const { maxTopics } = this.#options;
    const topics = sessions.topics(session);
    const isNew = !topics.has(topic);
    if (isNew && topics.size >= maxTopics) {
      throw new RoomwireError('limit_reached', `a session takes ${maxTopics} topics`);
    }
    const { topic: loaded } = this.#live.topic(topic);
    const status = this.standing(topic, from);
    const { epoch, offset, recovered } = status;
    sessions.enter(session, topic);
    // What was never written has no record that would keep its epoch over a restart. Who resumes is in the store already.
    const unwritten = loaded.head === 0;
    if (isNew || unwritten)
      this.#live.set('subscriptions', `${session.sid}\0${topic}`, unwritten ? encode(epoch) : TRUE);
    const via = from === null ? 'subscribed' : recovered ? 'resumed' : 'reset';
    const begin = { start: offset, since: this.now, via } as const;
    this.effects.push(() => subscribeNow(session, loaded, begin, asking));
    return status;
  }

  unsubscribe(session: Session, topic: string, why?: { readonly code?: ErrorName; readonly reason: string }): void {
    const code = why?.code === undefined ? 0 : errors[why.code];
    this.#remove([session as Subscriber], topic, code, why?.reason ?? 'left');
  }

  dropTopic(topic: string, why: { readonly code: ErrorName; readonly reason: string }): void {
    const { topic: dropped } = this.#live.topic(topic);
    const { sessions } = this.#live;
    const there = new Set([...this.#options.members.in(topic), ...sessions.entering(topic)]);
    this.#remove([...there], topic, errors[why.code], why.reason);
    this.#live.drop(topic);
    this.effects.push(() => {
      dropped.dropped = true;
    });
  }

  #remove(sessions: readonly Subscriber[], topic: string, code: number, reason: string): void {
    const there = sessions.filter((session) => this.isIn(session, topic));
    if (there.length === 0) return;
    const { topic: loaded } = this.#live.topic(topic);
    const [, until] = this.position(topic);
    const { attendance } = this.#options.fanOut;
    // Here: REMOVED is made when nothing may throw any more.
    const told = shortened(reason, REASON_LENGTH);
    for (const session of there) {
      this.#live.sessions.leave(session, topic);
      this.#live.set('subscriptions', `${session.sid}\0${topic}`, null);
      const leave: Leave = { until, code, reason: told, at: this.now, attendance };
      this.effects.push(() => unsubscribeNow(session, loaded, leave));
    }
  }

  afterCommit(fn: () => void): void {
    this.effects.push(fn);
  }
}

type Begin = ConstructorParameters<typeof Cursor>[2];

interface Leave {
  /** The last offset that is still its to get. */
  readonly until: number;
  readonly code: number;
  readonly reason: string;
  /** Store time, ms. */
  readonly at: number;
  readonly attendance: Attendance;
}

/** Rule 1: the cursor and SUBSCRIBED are one synchronous block, before the topic's next event. */
function subscribeNow(session: Subscriber, topic: Topic, begin: Begin, asking?: Attached): void {
  if (session.ended) return;
  session.enter(topic.name, topic.epoch);
  // The connection may have gone, or another come, while the commit was under way.
  const { connection } = session;
  if (connection === undefined) return;
  const { outbox } = connection;
  const existing = outbox.cursors.get(topic.name);
  if (existing !== undefined) {
    if (!goesBack(topic.name, begin, connection === asking ? outbox : undefined)) return;
    // Another subscription: of each, an event goes out at most once (rule 2).
    topic.remove(existing);
  }
  if (connection !== asking) outbox.push(writeSubscribed(topic.name, topic.epoch, begin.start));
  const cursor = new Cursor(topic, outbox, begin);
  outbox.cursors.set(cursor);
  topic.add(cursor);
  if (cursor.behind) outbox.lag(cursor);
}

/** Whether this is the first SUBSCRIBE with a position after a WELCOME that had none, and the history reaches back to it. */
function goesBack(topic: string, { via }: Begin, asking: Outbox | undefined): boolean {
  return via !== 'subscribed' && asking?.unrecovered?.delete(topic) === true && via === 'resumed';
}

/** A leaving subscriber gets the events up to its leave first, whatever its socket does. */
function unsubscribeNow(session: Subscriber, topic: Topic, { until, code, reason, at, attendance }: Leave): void {
  topic.volatile.forget(session.sid);
  if (!session.leave(topic.name, code)) return;
  const outbox = session.connection?.outbox;
  const cursor = outbox?.cursors.get(topic.name);
  if (outbox === undefined || cursor === undefined) return;
  outbox.cursors.delete(topic.name);
  cursor.topic.remove(cursor);
  attendance.ended(cursor, session, { end: until, why: reason, at });
  outbox.pushEnding(cursor, until);
  outbox.push(writeRemoved(topic.name, code, reason));
}

/** Throws a TypeError for a promise: what happens after its await would change a batch that is committed already. */
export function synchronous<T>(result: T): T {
  if (!(result instanceof Promise)) return result;
  result.catch(() => undefined);
  throw new TypeError('a transaction must be synchronous: do what takes time before it or in afterCommit');
}
