/** One handle on a topic. Several handles on one topic share its stream. */
import type { RoomwireError } from '../protocol/errors.js';
import type { Position } from '../protocol/frames.js';
import type { Context } from './context.js';
import { Stream } from './stream.js';
import type { Ready, TopicListener } from './topics.js';
import type { ResetInfo } from './types.js';

export class TopicSubscription extends Stream implements TopicListener {
  readonly ready: Promise<Ready | undefined>;
  readonly #unlisten: () => void;
  #direct: boolean;

  /** Not `direct`: a call, or the server by itself, subscribes. */
  constructor(context: Context, topic: string, direct: boolean, from?: Position) {
    super(context, topic);
    this.#direct = direct;
    this.#unlisten = context.topics.listen(topic, this);
    this.ready = direct ? context.topics.subscribe(topic, from) : Promise.resolve(undefined);
    // Told here and as 'removed', so nobody is forced to wait for it.
    this.ready.catch(context.settings.report);
  }

  get position(): Position | null {
    return this.context.topics.get(this.topic)?.position ?? null;
  }

  unsubscribe(): void {
    this.#unlisten();
    if (this.#direct) this.context.topics.unsubscribe(this.topic);
    this.#direct = false;
  }

  reset(reset: ResetInfo): void {
    this.tell('reset', reset);
  }

  removed({ code, message }: RoomwireError): void {
    // The server has dropped it: nothing is left to unsubscribe.
    this.#direct = false;
    this.tell('removed', { code, reason: message });
  }
}
