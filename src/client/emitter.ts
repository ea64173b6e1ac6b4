/** Handlers by event name. One that throws, or whose promise rejects, is reported and stops no other. */
import type { EventInfo } from './types.js';

export type AnyHandler = (data: never, info: EventInfo) => void;
interface Entry {
  readonly event: string;
  run(data: unknown, info?: EventInfo): void;
}

export class Emitter {
  readonly #report: (error: unknown) => void;
  /** Replaced, never changed: a handler may add and remove handlers. */
  #entries: readonly Entry[] = [];

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  on(event: string, handler: AnyHandler): () => void {
    let on = true;
    const entry: Entry = {
      event,
      run: (data, info) => {
        if (!on) return;
        try {
          const result = handler(data as never, info as EventInfo) as unknown as PromiseLike<unknown> | undefined;
          result?.then?.(undefined, this.#report);
        } catch (error) {
          this.#report(error);
        }
      },
    };
    this.#entries = [...this.#entries, entry];
    return () => {
      on = false;
      this.#entries = this.#entries.filter((other) => other !== entry);
    };
  }

  /** Whether anybody would hear of anything. */
  get heard(): boolean {
    return this.#entries.length > 0;
  }

  /** An event of the topic. What others publish as `reset` or `removed` reaches only `'*'`. */
  onEvent(data: unknown, info: EventInfo): void {
    if (!['*', 'reset', 'removed'].includes(info.event)) this.notify(info.event, data, info);
    this.notify('*', data, info);
  }

  notify(event: string, data: unknown, info?: EventInfo): void {
    for (const entry of this.#entries) if (entry.event === event) entry.run(data, info);
  }
}
