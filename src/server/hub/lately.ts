/** What was used lately, by table and key, within a bound of estimated bytes, and of time where its owner ends turns. */

/** Of the turn that goes on; those of the last one are as many again. */
const KEPT_BYTES = 2 * 1024 * 1024;

interface Kept<T> {
  readonly value: T;
  readonly bytes: number;
}
type Turn<T> = Map<string, Map<string, Kept<T>>>;

export class Lately<T> {
  /** Two turns: what is not used again while a whole turn fills up goes with it. */
  #current: Turn<T> = new Map();
  #last: Turn<T> = new Map();
  #bytes = 0;

  get(table: string, key: string): T | undefined {
    const kept = this.#current.get(table)?.get(key);
    if (kept !== undefined) return kept.value;
    const last = this.#last.get(table);
    const earlier = last?.get(key);
    if (earlier === undefined) return undefined;
    last?.delete(key);
    this.set(table, key, earlier.value, earlier.bytes);
    return earlier.value;
  }

  set(table: string, key: string, value: T, bytes: number): void {
    this.delete(table, key);
    if (this.#bytes + bytes > KEPT_BYTES) this.turn();
    let documents = this.#current.get(table);
    if (documents === undefined) this.#current.set(table, (documents = new Map<string, Kept<T>>()));
    documents.set(key, { value, bytes });
    this.#bytes += bytes;
  }

  /** The turn is over. False: nothing is left. */
  turn(): boolean {
    this.#last = this.#current;
    this.#current = new Map();
    this.#bytes = 0;
    return this.#last.size > 0;
  }

  /** Whether there may be any of the table. */
  has(table: string): boolean {
    return this.#current.has(table) || this.#last.has(table);
  }

  /** Whether it was there. */
  delete(table: string, key: string): boolean {
    const documents = this.#current.get(table);
    const kept = documents?.get(key);
    if (kept === undefined) return this.#last.get(table)?.delete(key) === true;
    documents?.delete(key);
    this.#bytes -= kept.bytes;
    return true;
  }
}
