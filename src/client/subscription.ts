/** One handle on a topic. Several handles on one topic share its stream. */
import type { RoomwireError } from '../protocol/errors.js';
import type { Position } from '../protocol/frames.js';
import type { Context } from './context.js';
import { isError } from './error-kinds.js';
import type { Owner } from './owned.js';
import { Stream } from './stream.js';
import type { TopicListener } from './topics.js';
import type { EventInfo, ResetInfo } from './types.js';

/** A subscription's begin: `recovered` when every event after the position asked for follows. */
export interface Ready {
  readonly position: Position;
  readonly recovered: boolean;
}

export interface SubscriptionOptions {
  /** Not so: a call, or the server by itself, subscribes. */
  readonly direct: boolean;
  readonly from?: Position | undefined;
  /** Ends with it. */
  readonly owner: Owner;
}

export class TopicSubscription extends Stream implements TopicListener {
  declare readonly direct: boolean;
  declare from: Position | undefined;
  declare readonly ready: Promise<Ready | undefined>;
  declare readonly unsubscribe: () => void;
  /** The server, or this handle, wants it no more. */
  #over = false;
  /** What comes before is of an earlier subscription. */
  #begun: boolean;
  #resolve!: (ready?: Ready) => void;
  #reject!: (error: RoomwireError) => void;

  constructor(context: Context, topic: string, { direct, from, owner }: SubscriptionOptions) {
    super(context, topic, owner);
    this.direct = direct;
    this.from = from;
    this.#begun = !direct;
    this.ready = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (!direct) this.#resolve();
    // Told here and as 'removed', so nobody is forced to wait for it. That the client is closed, its state says.
    this.ready.catch((error: unknown) => {
      if (!isError(error, 'disconnected')) context.settings.report(error);
    });
    const unlisten = context.streams.hear(topic, this);
    this.unsubscribe = owner.until(() => {
      this.#over = true;
      unlisten();
    });
  }

  get position(): Position | null {
    return (this.#begun && !this.#over && this.context.streams.get(this.topic)?.position) || null;
  }

  begin(position: Position, recovered: boolean | undefined): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#resolve({ position, recovered: recovered ?? this.from?.join() === position.join() });
    this.from = undefined;
  }

  override onEvent(data: unknown, info: EventInfo): void {
    if (this.#begun) super.onEvent(data, info);
  }

  reset(reset: ResetInfo): void {
    if (this.#begun) this.notify('reset', reset);
  }

  removed(error: RoomwireError): void {
    this.#reject(error);
    // The server has dropped it: nothing is left to unsubscribe. What a call began, another may begin again.
    if (this.direct) this.unsubscribe();
    this.notify('removed', { code: error.code, reason: error.message });
  }
}
