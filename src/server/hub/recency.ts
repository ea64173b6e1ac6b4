/**
 * Things in the order of their last use, the longest unused first. Linked through the things themselves: a Set that is
 * taken from and added to all the time has thousands of holes at its front, and finding its first costs them all.
 */
export interface Linked<T> {
  older: T | undefined;
  newer: T | undefined;
  /** On the list. */
  listed: boolean;
}

export class Recency<T extends Linked<T>> {
  #oldest: T | undefined;
  #newest: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The longest unused. */
  get oldest(): T | undefined {
    return this.#oldest;
  }

  /** It is the newest from now on. */
  use(thing: T): void {
    if (this.#newest === thing) return;
    this.remove(thing);
    thing.listed = true;
    thing.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = thing;
    else this.#newest.newer = thing;
    this.#newest = thing;
    this.#size++;
  }

  remove(thing: T): void {
    if (!thing.listed) return;
    const { older, newer } = thing;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    thing.older = thing.newer = undefined;
    thing.listed = false;
    this.#size--;
  }
}
