/** One handle on a topic. Several handles on one topic share its stream. */
import type { RoomwireError } from '../protocol/errors.js';
import type { Position } from '../protocol/frames.js';
import type { Context } from './context.js';
import { isError } from './error-kinds.js';
import { Stream } from './stream.js';
import type { Ready, TopicListener } from './topics.js';
import type { EventInfo, ResetInfo } from './types.js';

export interface SubscriptionOptions {
  /** Not so: a call, or the server by itself, subscribes. */
  readonly direct: boolean;
  readonly from?: Position | undefined;
  /** Nothing is left to undo. */
  readonly ended: (subscription: TopicSubscription) => void;
}

export class TopicSubscription extends Stream implements TopicListener {
  readonly ready: Promise<Ready | undefined>;
  readonly #unlisten: () => void;
  readonly #options: SubscriptionOptions;
  /** The server, or this handle, wants it no more. */
  #over = false;
  /** What comes before is of an earlier subscription. */
  #begun: boolean;

  constructor(context: Context, topic: string, options: SubscriptionOptions) {
    super(context, topic);
    const { direct, from } = options;
    this.#options = options;
    this.#unlisten = context.topics.listen(topic, this);
    this.#begun = !direct;
    this.ready = direct
      ? context.topics.subscribe(topic, from, () => (this.#begun = true))
      : Promise.resolve(undefined);
    // Told here and as 'removed', so nobody is forced to wait for it. That the client is closed, its state says.
    this.ready.catch((error: unknown) => {
      if (!isError(error, 'disconnected')) context.settings.report(error);
    });
  }

  get position(): Position | null {
    return (!this.#over && this.context.topics.get(this.topic)?.position) || null;
  }

  unsubscribe(): void {
    const { direct } = this.#options;
    if (this.#end() && direct) this.context.topics.unsubscribe(this.topic);
  }

  override event(data: unknown, info: EventInfo): void {
    if (this.#begun) super.event(data, info);
  }

  reset(reset: ResetInfo): void {
    if (this.#begun) this.tell('reset', reset);
  }

  removed({ code, message }: RoomwireError): void {
    // The server has dropped it: nothing is left to unsubscribe. What a call began, another may begin again.
    if (this.#options.direct) this.#end();
    this.tell('removed', { code, reason: message });
  }

  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#unlisten();
    this.#options.ended(this);
    return true;
  }
}
