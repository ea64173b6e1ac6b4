/** Handlers by event name. One that throws, or whose promise rejects, is reported and stops no other. */
import type { EventInfo } from './types.js';

export type AnyHandler = (data: never, info: EventInfo) => void;
type Run = (data: unknown, info?: EventInfo) => void;

export class Emitter {
  readonly #report: (error: unknown) => void;
  readonly #handlers = new Map<string, readonly Run[]>();

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  on(event: string, handler: AnyHandler): () => void {
    let on = true;
    const run: Run = (data, info) => {
      if (!on) return;
      try {
        const result = handler(data as never, info as EventInfo) as unknown as PromiseLike<unknown> | undefined;
        if (typeof result?.then === 'function') Promise.resolve(result).catch(this.#report);
      } catch (error) {
        this.#report(error);
      }
    };
    // Lists are replaced, never changed: a handler may add and remove handlers.
    this.#handlers.set(event, [...this.#of(event), run]);
    return () => {
      on = false;
      const rest = this.#of(event).filter((other) => other !== run);
      if (rest.length > 0) this.#handlers.set(event, rest);
      else this.#handlers.delete(event);
    };
  }

  /** Whether anybody would hear of anything. */
  get heard(): boolean {
    return this.#handlers.size > 0;
  }

  /** An event of the topic. What others publish as `reset` or `removed` reaches only `'*'`. */
  event(data: unknown, info: EventInfo): void {
    if (!['*', 'reset', 'removed'].includes(info.event)) this.tell(info.event, data, info);
    this.tell('*', data, info);
  }

  tell(event: string, data: unknown, info?: EventInfo): void {
    for (const run of this.#of(event)) run(data, info);
  }

  #of(event: string): readonly Run[] {
    return this.#handlers.get(event) ?? [];
  }
}
