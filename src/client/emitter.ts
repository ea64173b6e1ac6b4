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
    this.#handlers.set(event, [...(this.#handlers.get(event) ?? []), run]);
    return () => {
      const rest = (this.#handlers.get(event) ?? []).filter((other) => other !== run);
      if (rest.length > 0) this.#handlers.set(event, rest);
      else this.#handlers.delete(event);
    };
  }

  emit(event: string, data: unknown, info?: EventInfo): void {
    for (const run of this.#handlers.get(event) ?? []) run(data, info);
  }
}

/** The handlers of a topic: its events, and apart from them (nobody can publish these) `reset` and `removed`. */
export class StreamEmitter {
  readonly #events: Emitter;
  readonly #lifecycle: Emitter;

  constructor(report: (error: unknown) => void) {
    this.#events = new Emitter(report);
    this.#lifecycle = new Emitter(report);
  }

  on(event: string, handler: AnyHandler): () => void {
    return (event === 'reset' || event === 'removed' ? this.#lifecycle : this.#events).on(event, handler);
  }

  event(data: unknown, info: EventInfo): void {
    if (info.event !== '*') this.#events.emit(info.event, data, info);
    this.#events.emit('*', data, info);
  }

  lifecycle(name: 'reset' | 'removed', info: unknown): void {
    this.#lifecycle.emit(name, info);
  }
}
