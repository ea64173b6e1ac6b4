/** Asks again and again while it is started and the page is seen: one question at a time. */
const EVERY_MS = 1_000;

export class Poll {
  readonly #work: () => Promise<void>;
  #started = false;
  #asking = false;
  #again = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `work` shows its own failures: what it throws is not looked at. */
  constructor(work: () => Promise<void>) {
    this.#work = work;
    document.addEventListener('visibilitychange', () => this.now());
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.now();
  }

  stop(): void {
    this.#started = false;
    clearTimeout(this.#timer);
  }

  /** Asks at once, or right after the question under way. */
  now(): void {
    clearTimeout(this.#timer);
    if (!this.#started || document.hidden) return;
    if (this.#asking) this.#again = true;
    else void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    this.#again = false;
    await this.#work().catch(() => undefined);
    this.#asking = false;
    if (this.#again) this.now();
    else if (this.#started) this.#timer = setTimeout(() => this.now(), EVERY_MS);
  }
}
