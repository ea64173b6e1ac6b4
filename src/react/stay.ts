/**
 * What several components share: it begins with the first and ends a moment after the last, so that
 * StrictMode's double mount and a page that replaces another with the same room end nothing.
 */
const LINGER_MS = 1_000;

export class Stay {
  readonly #end: () => void;
  #users = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(end: () => void) {
    this.#end = end;
  }

  get wanted(): boolean {
    return this.#users > 0;
  }

  /** Returns how to let go, which counts once. */
  retain(): () => void {
    this.#users++;
    clearTimeout(this.#timer);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      if (--this.#users === 0) this.#timer = setTimeout(this.#end, LINGER_MS);
    };
  }
}

/** Listeners of a store that React subscribes to. */
export class Listeners extends Set<() => void> {
  tell(): void {
    for (const listener of [...this]) listener();
  }
}
