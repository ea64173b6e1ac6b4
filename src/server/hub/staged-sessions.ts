/**
 * What a batch has done to sessions so far: the topics each is in and which of them ended. Memory
 * changes only after the commit, but a later entry of the same batch must build on the earlier ones:
 * a join after an end, a second SUBSCRIBE past the limit.
 */
import type { Subscriber } from './subscriber.js';

export class StagedSessions {
  readonly #topics = new Map<Subscriber, Set<string>>();
  readonly #ended = new Set<Subscriber>();
  readonly #undone: (undo: () => void) => void;

  /** `undone`: hands over how to take a change back when its entry fails. */
  constructor(undone: (undo: () => void) => void) {
    this.#undone = undone;
  }

  ended(session: Subscriber): boolean {
    return session.ended || this.#ended.has(session);
  }

  end(session: Subscriber): void {
    if (this.#ended.has(session)) return;
    this.#ended.add(session);
    this.#undone(() => this.#ended.delete(session));
  }

  topics(session: Subscriber): ReadonlySet<string> {
    return this.#topics.get(session) ?? session.topics;
  }

  /** Sessions that this batch put into a topic. */
  entering(topic: string): Subscriber[] {
    const found: Subscriber[] = [];
    for (const [session, topics] of this.#topics) if (topics.has(topic)) found.push(session);
    return found;
  }

  enter(session: Subscriber, topic: string): void {
    const topics = this.#own(session);
    if (topics.has(topic)) return;
    topics.add(topic);
    this.#undone(() => topics.delete(topic));
  }

  leave(session: Subscriber, topic: string): void {
    const topics = this.#own(session);
    if (topics.delete(topic)) this.#undone(() => topics.add(topic));
  }

  #own(session: Subscriber): Set<string> {
    let topics = this.#topics.get(session);
    if (topics === undefined) this.#topics.set(session, (topics = new Set(session.topics)));
    return topics;
  }
}
