/** Rows that are brought up to date where they stand: what has the keyboard's focus keeps it. */

/** One row, made once for its key. */
export interface Row<T> {
  readonly element: HTMLElement;
  show(item: T): void;
}

export class KeyedRows<T> {
  readonly #list: HTMLElement;
  readonly #keyOf: (item: T) => string;
  readonly #make: (key: string) => Row<T>;
  readonly #rows = new Map<string, Row<T>>();

  constructor(list: HTMLElement, keyOf: (item: T) => string, make: (key: string) => Row<T>) {
    this.#list = list;
    this.#keyOf = keyOf;
    this.#make = make;
  }

  show(items: readonly T[]): void {
    const gone = new Set(this.#rows.keys());
    // A row does not move away from under the pointer or the focus; the next ones come below.
    const still = this.#list.matches(':hover, :focus-within');
    for (const [i, item] of items.entries()) {
      const key = this.#keyOf(item);
      gone.delete(key);
      let row = this.#rows.get(key);
      if (row === undefined) {
        this.#rows.set(key, (row = this.#make(key)));
        this.#list.append(row.element);
      }
      row.show(item);
      const there = this.#list.children[i] ?? null;
      if (!still && there !== row.element) this.#list.insertBefore(row.element, there);
    }
    for (const key of gone) {
      this.#rows.get(key)?.element.remove();
      this.#rows.delete(key);
    }
  }
}
