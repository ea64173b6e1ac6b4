/**
 * A list whose links are in the things themselves: adding, removing and finding the oldest cost the same however many
 * there are, and allocate nothing. A Set that is taken from and added to all the time is rebuilt again and again, and
 * finding its first costs every hole that earlier ones left.
 */
export interface Linked<T extends Linked<T>> {
  older: T | undefined;
  newer: T | undefined;
  /** The one list it is on. */
  list: List<T> | undefined;
}

export class List<T extends Linked<T>> {
  #oldest: T | undefined;
  #newest: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get oldest(): T | undefined {
    return this.#oldest;
  }

  /** Puts it last, also when it is on the list already. It must be on no other. */
  add(thing: T): void {
    if (this.#newest === thing) return;
    this.remove(thing);
    thing.list = this;
    thing.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = thing;
    else this.#newest.newer = thing;
    this.#newest = thing;
    this.#size++;
  }

  /** False when it is not on the list. */
  remove(thing: T): boolean {
    if (thing.list !== this) return false;
    const { older, newer } = thing;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    thing.older = thing.newer = thing.list = undefined;
    this.#size--;
    return true;
  }

  clear(): void {
    while (this.#oldest !== undefined) this.remove(this.#oldest);
  }
}
