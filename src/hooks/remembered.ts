/**
 * Answers for a while, so many at most: the oldest goes first. Those who ask the same at the same time wait
 * for one answer.
 */
export class Remembered<T> {
  readonly #most: number;
  readonly #now: () => number;
  readonly #answers = new Map<string, { readonly until: number; readonly answer: T }>();
  readonly #asking = new Map<string, Promise<T>>();

  constructor(most: number, now: () => number) {
    this.#most = most;
    this.#now = now;
  }

  get(key: string): T | undefined {
    const known = this.#answers.get(key);
    if (known === undefined) return undefined;
    if (known.until > this.#now()) return known.answer;
    this.#answers.delete(key);
    return undefined;
  }

  set(key: string, answer: T, ms: number): void {
    this.#answers.delete(key);
    if (ms <= 0) return;
    if (this.#answers.size >= this.#most) this.#answers.delete(this.#answers.keys().next().value as string);
    this.#answers.set(key, { until: this.#now() + ms, answer });
  }

  /** The answer that somebody waits for already, else one that `ask` brings. */
  together(key: string, ask: () => Promise<T>): Promise<T> {
    let answer = this.#asking.get(key);
    if (answer === undefined) {
      answer = ask().finally(() => this.#asking.delete(key));
      this.#asking.set(key, answer);
    }
    return answer;
  }
}
