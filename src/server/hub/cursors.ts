/** A connection's cursors by topic. Most have one or a few: a list of those takes a third of the memory of a map. */
import type { Cursor } from './topic.js';

/** Up to so many are looked through; for more there is an index. */
const FEW = 8;
const NONE: readonly Cursor[] = [];

export class Cursors {
  #few = NONE;
  #many: Map<string, Cursor> | undefined;

  get(topic: string): Cursor | undefined {
    if (this.#many !== undefined) return this.#many.get(topic);
    for (const cursor of this.#few) if (cursor.topic.name === topic) return cursor;
    return undefined;
  }

  /** In place of one that is there for its topic. */
  set(cursor: Cursor): void {
    const { name } = cursor.topic;
    if (this.#many !== undefined) return void this.#many.set(name, cursor);
    // Neither `push` nor a spread: a list that grew has room for many more.
    if (this.#few.length === 0) this.#few = [cursor];
    else this.#few = this.#few.filter(({ topic }) => topic.name !== name).concat(cursor);
    if (this.#few.length <= FEW) return;
    this.#many = new Map(this.#few.map((each) => [each.topic.name, each]));
    this.#few = NONE;
  }

  delete(topic: string): void {
    if (this.#many !== undefined) return void this.#many.delete(topic);
    this.#few = this.#few.filter(({ topic: { name } }) => name !== topic);
  }

  all(): Iterable<Cursor> {
    return this.#many?.values() ?? this.#few;
  }

  clear(): void {
    this.#few = NONE;
    this.#many = undefined;
  }
}
