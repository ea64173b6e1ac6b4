/** Waiting for what a client under test does: a condition is looked at again after each sign of it. */
import { Mismatch } from './wire.js';

export class Changes {
  /** For anything that the client is to do. */
  readonly #timeoutMs: number;
  readonly #waiting = new Set<() => void>();
  #wrong: Error | undefined;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Something came. */
  tell(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const run of waiting) run();
  }

  /** Whoever waits, waits in vain. */
  fail(why: Error): void {
    this.#wrong ??= why;
    this.tell();
  }

  /** `leastMs`: where the protocol itself gives the client so long. */
  async until(condition: () => boolean, late: () => string, leastMs = 0): Promise<void> {
    const end = performance.now() + Math.max(leastMs, this.#timeoutMs);
    for (;;) {
      if (this.#wrong) throw this.#wrong;
      if (condition()) return;
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Mismatch(late())), end - performance.now());
        this.#waiting.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}
