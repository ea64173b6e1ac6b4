/** One handle on a topic. Several handles on one topic share its stream. */
import type { Position, Value } from '../protocol/frames.js';
import { publish, sendVolatile, type Context } from './context.js';
import { StreamEmitter, type AnyHandler } from './emitter.js';
import type { TopicListener } from './topics.js';
import type { CallOptions, EventInfo, Published, RemovedInfo, ResetInfo } from './types.js';

interface Ready {
  readonly position: Position;
  readonly recovered: boolean;
}

export class TopicSubscription implements TopicListener {
  readonly topic: string;
  readonly ready: Promise<Ready>;
  readonly #context: Context;
  readonly #emitter: StreamEmitter;
  readonly #unlisten: () => void;
  #direct: boolean;

  constructor(context: Context, topic: string, { from, direct }: { from?: Position | undefined; direct: boolean }) {
    this.topic = topic;
    this.#context = context;
    this.#direct = direct;
    this.#emitter = new StreamEmitter(context.settings.report);
    this.#unlisten = context.topics.listen(topic, this);
    this.ready = direct
      ? this.#subscribe(from)
      : Promise.resolve({ position: this.position ?? ['', 0], recovered: false });
    // Told through `onError` and 'removed' as well, so nobody is forced to wait for it.
    this.ready.catch((error: unknown) => context.settings.report(error));
  }

  get position(): Position | null {
    return this.#context.topics.position(this.topic) ?? null;
  }

  on(event: string, handler: AnyHandler): () => void {
    return this.#emitter.on(event, handler);
  }

  publish(event: string, data: unknown, options?: CallOptions): Promise<Published> {
    return publish(this.#context, this.topic, event, data, options);
  }

  volatile(event: string, slot: string, data: unknown): void {
    sendVolatile(this.#context, this.topic, event, slot, data);
  }

  unsubscribe(): void {
    this.#unlisten();
    if (this.#direct) this.#context.topics.unsubscribe(this.topic);
    this.#direct = false;
  }

  event(data: Value, info: EventInfo): void {
    this.#emitter.event(data, info);
  }

  reset(reset: ResetInfo): void {
    this.#emitter.lifecycle('reset', reset);
  }

  removed({ code, reason }: RemovedInfo): void {
    // The server has dropped it: nothing is left to unsubscribe.
    this.#direct = false;
    this.#emitter.lifecycle('removed', { code, reason });
  }

  async #subscribe(from: Position | undefined): Promise<Ready> {
    const { epoch, offset, recovered } = await this.#context.topics.subscribe(this.topic, from);
    return { position: [epoch, offset], recovered };
  }
}
