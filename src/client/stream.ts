/** What a room and a subscription have in common: handlers, and sending to one topic. */
import { publish, type Context } from './context.js';
import { Emitter } from './emitter.js';
import type { Owner } from './owned.js';
import type { CallOptions, Published } from './types.js';

export class Stream extends Emitter {
  declare readonly topic: string;
  declare protected readonly context: Context;
  /** Who alone may send, if it is one client's. */
  readonly #owner: Owner | undefined;

  constructor(context: Context, topic: string, owner?: Owner) {
    super(context.settings.report);
    this.topic = topic;
    this.context = context;
    this.#owner = owner;
  }

  async publish(event: string, data: unknown, options?: CallOptions): Promise<Published> {
    this.#owner?.insist();
    return publish(this.context, this.topic, event, data, options);
  }

  volatile(event: string, slot: string, data: unknown): void {
    this.#owner?.insist();
    this.context.requests.volatile(this.topic, event, slot, data);
  }
}
