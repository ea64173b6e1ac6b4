/** Handlers by event name. A handler that throws is reported and stops no other. */
import type { EventInfo } from './types.js';

export type AnyHandler = (data: never, info: EventInfo) => void;
type Run = (data: unknown, info?: EventInfo) => void;

export class Emitter {
  readonly #handlers = new Map<string, readonly Run[]>();
  readonly #report: (error: unknown) => void;

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  on(event: string, handler: AnyHandler): () => void {
    const run: Run = (data, info) => {
      try {
        handler(data as never, info as EventInfo);
      } catch (error) {
        this.#report(error);
      }
    };
    // Lists are replaced, never changed: a handler may add and remove handlers.
    this.#handlers.set(event, [...this.#of(event), run]);
    return () => {
      this.#handlers.set(
        event,
        this.#of(event).filter((other) => other !== run),
      );
    };
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
