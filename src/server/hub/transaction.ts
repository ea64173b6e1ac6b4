/**
 * The Transaction that plugins and handlers work with: reads and writes on the stage of the batch,
 * effects on memory (cursors, notices, replies) set aside until the commit is done. Runs inside
 * `stage.attempt`, so that a throw leaves no trace.
 */
import { encode } from '../../protocol/codec.js';
import { errors, type ErrorName } from '../../protocol/codes.js';
import { Op, type Position, type TopicStatus } from '../../protocol/frames.js';
import type { Published, Session, Transaction } from '../api.js';
import type { Outbox } from '../outbox.js';
import type { ServerSession } from '../session.js';
import { itemOf, serverItem } from './events-frame.js';
import type { Stage } from './stage.js';
import { Cursor, type Topic } from './topic.js';

export type Effect = () => void;

export class HubTransaction implements Transaction {
  readonly #stage: Stage;
  readonly now: number;
  /** Run in this order once the commit is done. */
  readonly effects: Effect[] = [];

  readonly #sessionsIn: (topic: string) => readonly ServerSession[];

  /** `sessionsIn`: the sessions in a topic, connected or not. */
  constructor(stage: Stage, now: number, sessionsIn: (topic: string) => readonly ServerSession[]) {
    this.#stage = stage;
    this.now = now;
    this.#sessionsIn = sessionsIn;
  }

  get<T>(table: string, key: string): T | undefined {
    return this.#stage.get(table, key) as T | undefined;
  }

  set(table: string, key: string, value: unknown): void {
    this.#stage.set(table, key, encode(value, { name: `${table}/${key}` }));
  }

  delete(table: string, key: string): void {
    this.#stage.set(table, key, null);
  }

  list<T>(
    table: string,
    { prefix = '', after = '', limit }: { readonly prefix?: string; readonly after?: string; readonly limit: number },
  ): [string, T][] {
    return this.#stage.list(table, prefix, after, limit) as [string, T][];
  }

  version(): number {
    return ++this.#stage.counter;
  }

  /** Appends a ready item. Returns what its publisher is told; `matched` as of the last commit. */
  append(topic: string, item: Uint8Array): Published {
    const { topic: loaded, items } = this.#stage.append(topic, item);
    return { epoch: loaded.epoch, offset: loaded.head + items.length, matched: loaded.cursors.length };
  }

  publish(topic: string, event: string, data: unknown, options?: { readonly from?: Session }): void {
    const from = options?.from as ServerSession | undefined;
    this.append(
      topic,
      from === undefined ? serverItem(event, data) : itemOf(encode(event), encode(data, { level: 2 }), from.sidBytes),
    );
  }

  position(topic: string): Position {
    const { topic: loaded, items } = this.#stage.topic(topic);
    return [loaded.epoch, loaded.head + items.length];
  }

  subscribers(topic: string): number {
    return this.#stage.topic(topic).topic.cursors.length;
  }

  topics(session: Session): string[] {
    const prefix = `${session.sid}\0`;
    return this.#stage.list('subscriptions', prefix, '', 1_000_000).map(([key]) => key.slice(prefix.length));
  }

  subscribe(session: Session, topic: string): void {
    this.subscribeFrom(session as ServerSession, topic, null, true);
  }

  /**
   * Subscribes from a position of the client's; null: from here. `announce` sends SUBSCRIBED, for
   * subscriptions that no other reply tells of.
   */
  subscribeFrom(session: ServerSession, topic: string, from: Position | null, announce: boolean): TopicStatus {
    const { topic: loaded } = this.#stage.topic(topic);
    const [epoch, head] = this.position(topic);
    const recovered =
      from === null || (from[0] === epoch && from[1] <= head && from[1] >= Math.min(loaded.tail, head + 1) - 1);
    const offset = recovered && from !== null ? from[1] : head;
    if (!session.ended) {
      this.#stage.set('subscriptions', `${session.sid}\0${topic}`, encode(true));
      this.effects.push(() => subscribeNow(session, loaded, offset, announce));
    }
    return { epoch, offset, recovered };
  }

  unsubscribe(session: Session, topic: string, why?: { readonly code?: ErrorName; readonly reason: string }): void {
    const [, until] = this.position(topic);
    this.#stage.set('subscriptions', `${session.sid}\0${topic}`, null);
    const code = why?.code === undefined ? 0 : errors[why.code].code;
    this.effects.push(() => unsubscribeNow(session as ServerSession, topic, until, code, why?.reason ?? 'left'));
  }

  dropTopic(topic: string, why: { readonly code: ErrorName; readonly reason: string }): void {
    const { topic: dropped } = this.#stage.topic(topic);
    const [, until] = this.position(topic);
    for (const session of this.#sessionsIn(topic)) this.#stage.set('subscriptions', `${session.sid}\0${topic}`, null);
    this.#stage.drop(topic);
    this.effects.push(() => {
      dropped.dropped = true;
      for (const session of this.#sessionsIn(topic)) {
        unsubscribeNow(session, topic, until, errors[why.code].code, why.reason);
      }
    });
  }

  afterCommit(fn: () => void): void {
    this.effects.push(fn);
  }
}

/** Rule 1: the cursor and SUBSCRIBED are one synchronous block, before the topic's next event. */
function subscribeNow(session: ServerSession, topic: Topic, offset: number, announce: boolean): void {
  if (session.ended) return;
  session.enter(topic.name);
  // The connection may have gone, or come, while the commit was under way.
  const outbox = session.connection?.outbox;
  if (outbox === undefined || outbox.cursors.has(topic.name)) return;
  if (announce) outbox.push(encode([Op.SUBSCRIBED, topic.name, topic.epoch, offset, true]));
  const cursor = new Cursor(topic, outbox, offset + 1);
  outbox.cursors.set(topic.name, cursor);
  topic.add(cursor);
  if (cursor.behind) outbox.lag();
}

/** A leaving subscriber gets the events up to its leave first, whatever its socket does. */
function unsubscribeNow(session: ServerSession, topic: string, until: number, code: number, reason: string): void {
  if (!session.leave(topic)) return;
  const outbox = session.connection?.outbox;
  if (outbox === undefined || !removeCursor(outbox, topic, until)) return;
  outbox.push(encode([Op.REMOVED, topic, code, reason]));
}

function removeCursor(outbox: Outbox, topic: string, until: number): boolean {
  const cursor = outbox.cursors.get(topic);
  if (cursor === undefined) return false;
  outbox.cursors.delete(topic);
  cursor.topic.remove(cursor);
  outbox.pushEnding(cursor, until);
  return true;
}
