/** What a room and a subscription have in common: handlers, and sending to one topic. */
import { publish, sendVolatile, type Context } from './context.js';
import { Emitter, type AnyHandler } from './emitter.js';
import type { CallOptions, Published } from './types.js';

export class Stream {
  readonly topic: string;
  protected readonly context: Context;
  protected readonly emitter: Emitter;

  constructor(context: Context, topic: string) {
    this.topic = topic;
    this.context = context;
    this.emitter = new Emitter(context.settings.report);
  }

  on(event: string, handler: AnyHandler): () => void {
    return this.emitter.on(event, handler);
  }

  async publish(event: string, data: unknown, options?: CallOptions): Promise<Published> {
    return publish(this.context, this.topic, event, data, options);
  }

  volatile(event: string, slot: string, data: unknown): void {
    sendVolatile(this.context, this.topic, event, slot, data);
  }
}
