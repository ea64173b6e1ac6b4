/**
 * The topics in memory: loaded when a batch first touches them, forgotten when nobody needs them, so
 * that topics that were never written cost nothing and idle ones do not add up.
 */
import { encode } from '../../protocol/codec.js';
import { RoomwireError } from '../../protocol/errors.js';
import { fits } from '../../store/batch.js';
import { isPromise } from '../../store/promise.js';
import type { MaybePromise, Store, TopicRecord } from '../../store/store.js';
import { List } from '../time/linked.js';
import type { Rings } from './ring.js';
import type { TopicSource } from './stage.js';
import { Topic } from './topic.js';

/** Topics without subscribers that stay in memory. */
const IDLE_TOPICS = 10_000;

export interface TopicTableOptions {
  readonly store: Store;
  readonly rings: Rings;
  /** The epoch that those who are in a topic were told. */
  readonly epochOf: (topic: string) => string | undefined;
}

export class TopicTable implements TopicSource {
  readonly #store: Store;
  /** The opened store's: the first part of every epoch. */
  generation = '';
  readonly #rings: Rings;
  readonly #epochOf: (topic: string) => string | undefined;
  readonly #topics = new Map<string, Topic>();
  /** Topics that nobody is in. */
  readonly #idle = new List<Topic>();
  #applying = false;
  /** While a batch is applied: topics that nobody is in for now. */
  #left: Set<Topic> | undefined;

  constructor({ store, rings, epochOf }: TopicTableOptions) {
    this.#store = store;
    this.#rings = rings;
    this.#epochOf = epochOf;
  }

  get size(): number {
    return this.#topics.size;
  }

  names(): IterableIterator<string> {
    return this.#topics.keys();
  }

  get(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  /** Throws too_large or EncodeError for a name that would make the store refuse the whole batch. */
  load(name: string, incarnation: number): MaybePromise<Topic> {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    if (!fits('topic', name)) throw new RoomwireError('too_large', 'the topic is too long');
    encode(name, { name: 'topic' });
    const record = this.#store.topic(name);
    if (isPromise(record)) return record.then((arrived) => this.#loaded(name, arrived, incarnation));
    return this.#loaded(name, record, incarnation);
  }

  create(name: string, incarnation: number): Topic {
    return new Topic(name, `${this.generation}.${incarnation}`, 0, 1, 0);
  }

  #loaded(name: string, record: TopicRecord | undefined, incarnation: number): Topic {
    if (record === undefined) {
      // Its subscribers keep the epoch that they were told, also while none of them is connected.
      const told = this.#epochOf(name);
      if (told?.startsWith(`${this.generation}.`) === true) return new Topic(name, told, 0, 1, 0);
      return this.create(name, incarnation);
    }
    return new Topic(name, record.epoch, record.head, record.tail, 0);
  }

  keep(topic: Topic): void {
    this.#topics.set(topic.name, topic);
  }

  /** What `apply` does to the topics is one change: nobody is idle who only moves from one connection to the next. */
  during(apply: () => void): void {
    this.#applying = true;
    try {
      apply();
    } finally {
      this.#applying = false;
      const left = this.#left;
      this.#left = undefined;
      if (left !== undefined) for (const topic of left) this.settle(topic);
    }
  }

  /** Forgets topics nobody needs: at once when never written, else when too many others are idle too. */
  settle(topic: Topic): void {
    // Whoever leaves it later says so.
    if (topic.cursors.length > 0 && topic.list === undefined) return;
    if (this.#applying) return void (this.#left ??= new Set()).add(topic);
    this.#idle.remove(topic);
    if (topic.cursors.length > 0 || topic.dropped || this.#topics.get(topic.name) !== topic) return;
    // Nobody is there to see them, and whoever comes later is not to see them from before.
    topic.volatile.clear();
    if (topic.head === 0) return this.forget(topic);
    this.#idle.add(topic);
    if (this.#idle.size > IDLE_TOPICS) this.forget(this.#idle.oldest as Topic);
  }

  forget(topic: Topic): void {
    this.#idle.remove(topic);
    if (!topic.dropped && topic.cursors.length === 0) this.#rings.clear(topic.ring);
    if (this.#topics.get(topic.name) === topic) this.#topics.delete(topic.name);
  }
}
