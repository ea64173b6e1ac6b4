/** Listeners by event, as Socket.IO keeps them. One that throws is reported and stops no other. */
export type Listener = (...args: never[]) => unknown;

interface Entry {
  /** Undefined: every event. */
  readonly event: string | undefined;
  readonly listener: Listener;
  readonly once: boolean;
}

export class Listeners {
  readonly #report: (error: unknown) => void;
  /** Replaced, never changed: a listener may add and remove listeners. */
  #entries: readonly Entry[] = [];

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  add(event: string | undefined, listener: Listener, once = false): void {
    this.#entries = [...this.#entries, { event, listener, once }];
  }

  /** Without a listener all of the event's. */
  remove(event: string | undefined, listener?: Listener): void {
    this.#entries = this.#entries.filter((entry) => entry.event !== event || (listener && listener !== entry.listener));
  }

  clear(): void {
    this.#entries = this.#entries.filter(({ event }) => event === undefined);
  }

  of(event: string | undefined): Listener[] {
    return this.#entries.filter((entry) => entry.event === event).map(({ listener }) => listener);
  }

  tell(event: string | undefined, args: readonly unknown[], failed = this.#report): void {
    for (const entry of this.#entries) {
      if (entry.event !== event) continue;
      if (entry.once) this.#entries = this.#entries.filter((other) => other !== entry);
      try {
        const result = entry.listener(...(args as never[])) as PromiseLike<unknown> | undefined;
        result?.then?.(undefined, failed);
      } catch (error) {
        failed(error);
      }
    }
  }
}
