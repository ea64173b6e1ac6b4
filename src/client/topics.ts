/**
 * What this session is subscribed to, and how far each stream was read. Every event passes here:
 * at or below the position it was seen before, one above the next is a gap and told as a reset.
 */
import {
  IGNORABLE_FROM,
  type EventItem,
  type EventsFrame,
  type LatestFrame,
  type Position,
  type TopicStatus,
  type Value,
  type Welcome,
} from '../protocol/frames.js';
import { RoomwireError } from '../protocol/errors.js';
import * as Op from '../protocol/opcodes.js';
import { isError } from './error-kinds.js';
import type { Requests } from './requests.js';
import type { EventInfo, ResetInfo } from './types.js';

export interface TopicListener {
  event(data: Value, info: EventInfo): void;
  reset(reset: ResetInfo): void;
  /** `lost`: not by anyone's will; a call can bring it back. */
  removed(error: RoomwireError, lost: boolean): void;
}

/** A subscription's begin: `recovered` when every event after the position asked for follows. */
export interface Ready {
  readonly position: Position;
  readonly recovered: boolean;
}

export interface Topic {
  readonly name: string;
  readonly listeners: Set<TopicListener>;
  /** Subscribed by SUBSCRIBE, for as many handles; 0: by a call or the server. */
  direct: number;
  /** The server sends its events. */
  live: boolean;
  /** The last event handed over; undefined: never subscribed. */
  position?: Position | undefined;
  /** From here to `position` nothing was missed. */
  since?: Position | undefined;
  /** The SUBSCRIBE that waits for its answer. */
  asking?: Promise<Ready> | undefined;
}

export class Topics {
  readonly #topics = new Map<string, Topic>();
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  get(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  /** Hears a topic's events without subscribing to it; returns how to stop. */
  listen(name: string, listener: TopicListener): () => void {
    const topic = this.#topic(name);
    topic.listeners.add(listener);
    return () => {
      topic.listeners.delete(listener);
      if (!topic.live && topic.direct === 0) this.#forget(topic);
    };
  }

  /** One more handle that wants the topic. `from` counts for the first one. */
  subscribe(name: string, from: Position | undefined): Promise<Ready> {
    const topic = this.#topic(name);
    if (topic.live && topic.position) {
      if (topic.direct > 0) topic.direct++;
      const { position } = topic;
      return Promise.resolve({ position, recovered: from?.[0] === position[0] && from[1] === position[1] });
    }
    topic.direct++;
    if (topic.direct === 1) topic.position ??= from;
    return topic.asking ?? this.#ask(topic);
  }

  unsubscribe(name: string): void {
    const topic = this.#topics.get(name);
    if (!topic?.direct || --topic.direct > 0) return;
    this.#forget(topic);
    // Refused when the server has dropped it already, which is as good.
    this.#requests.request(Op.UNSUBSCRIBE, [name], { resend: true }).catch(() => undefined);
  }

  /** For HELLO, topics of calls first: to join them anew costs more than to subscribe. */
  positions(): [topic: string, Position][] {
    return (
      [...this.#topics.values()]
        // Also where the answer to SUBSCRIBE was lost: the session may be in the topic, and would go on from its end.
        .filter((topic) => (topic.live || topic.asking) && topic.position)
        .sort((a, b) => a.direct - b.direct)
        .map((topic) => [topic.name, topic.position as Position])
    );
  }

  welcome({ topics }: Welcome): void {
    for (const [name, { code, epoch, offset, recovered }] of Object.entries(topics)) {
      if (code === undefined) this.#subscribed(this.#topic(name), [epoch, offset], recovered, true);
    }
    for (const topic of [...this.#topics.values()]) {
      const { code } = topics[topic.name] ?? {};
      if (!topic.live || (code === undefined && topic.name in topics)) continue;
      topic.live = false;
      const error = new RoomwireError(code ?? 'join_required', 'not resumed');
      const refused = error.code < 200 && !isError(error, 'join_required');
      if (topic.direct > 0 && !refused) this.#ask(topic).catch(() => undefined);
      else this.#removed(topic, error, !refused);
    }
  }

  /** The client is closed or refused. */
  end(): void {
    for (const topic of this.#topics.values()) if (topic.live) this.#removed(topic, new RoomwireError('disconnected'));
  }

  /** EVENTS, RESET, REMOVED, SUBSCRIBED and LATEST. Throws for what no client may ignore. */
  frame(frame: Value[]): void {
    const op = frame[0] as number;
    const topic = this.#topics.get(frame[1] as string);
    switch (op) {
      case Op.EVENTS:
        if (topic?.live) this.#events(topic, frame as unknown as EventsFrame);
        break;
      case Op.LATEST:
        if (topic?.live) latest(topic, frame as unknown as LatestFrame);
        break;
      case Op.RESET:
        if (topic?.live) this.#reset(topic, [frame[2] as string, frame[3] as number], frame[4] as string);
        break;
      case Op.REMOVED:
        // The end of an earlier subscription: what is asked for now has an answer of its own.
        if (topic?.asking) topic.live = false;
        else if (topic) this.#removed(topic, new RoomwireError(frame[2] as number, frame[3] as string));
        break;
      case Op.SUBSCRIBED: {
        const known = topic ?? this.#topic(frame[1] as string);
        known.direct = 0;
        this.#subscribed(known, [frame[2] as string, frame[3] as number], frame[4] as boolean, false);
        break;
      }
      default:
        if (op < IGNORABLE_FROM) throw new TypeError(`unknown opcode: ${op}`);
    }
  }

  #ask(topic: Topic): Promise<Ready> {
    let ready: Ready;
    const asking = this.#requests
      .request(Op.SUBSCRIBE, [topic.name, topic.position ?? null], {
        resend: true,
        // Events may follow in the same message.
        onAck: (data) => {
          const { epoch, offset, recovered } = data as unknown as TopicStatus;
          ready = { position: [epoch, offset], recovered };
          if (topic.asking !== asking) return;
          topic.asking = undefined;
          this.#subscribed(topic, ready.position, recovered, true);
        },
      })
      .then(
        () => ready,
        (error: unknown) => {
          if (topic.asking === asking) this.#removed(topic, error as RoomwireError);
          throw error;
        },
      );
    return (topic.asking = asking);
  }

  /** `told`: a stream that went on unrecovered is told as a reset. */
  #subscribed(topic: Topic, position: Position, recovered: boolean, told: boolean): void {
    const before = topic.position;
    topic.live = true;
    // Recovered: the events after our own position follow, whatever offset the server is at.
    if (recovered && before?.[0] === position[0]) {
      topic.since ??= before;
      return;
    }
    topic.position = topic.since = position;
    if (told && before) this.#tellReset(topic, 'not recovered');
  }

  #events(topic: Topic, frame: EventsFrame): void {
    const [, name, first] = frame;
    const [epoch, position] = topic.position as Position;
    let seen = position;
    if (first > seen + 1) {
      this.#reset(topic, [epoch, first - 1], 'gap');
      seen = first - 1;
    }
    for (let i = 3; i < frame.length; i++) {
      const offset = first + i - 3;
      if (offset <= seen) continue;
      // A handler may have unsubscribed.
      if (!topic.live) return;
      topic.position = [epoch, offset];
      const [event, data, from, meta] = frame[i] as unknown as EventItem;
      const info: EventInfo = { topic: name, event, from, offset, meta };
      for (const listener of topic.listeners) listener.event(data, info);
    }
  }

  #reset(topic: Topic, position: Position, reason: string): void {
    topic.position = topic.since = position;
    this.#tellReset(topic, reason);
  }

  #tellReset(topic: Topic, reason: string): void {
    const position = topic.position as Position;
    for (const listener of [...topic.listeners]) listener.reset({ reason, position });
  }

  #removed(topic: Topic, error: RoomwireError, lost = false): void {
    this.#forget(topic);
    for (const listener of [...topic.listeners]) listener.removed(error, lost);
  }

  #forget(topic: Topic): void {
    topic.live = false;
    topic.direct = 0;
    topic.position = topic.since = topic.asking = undefined;
    // Listeners stay: a room may be joined again.
    if (topic.listeners.size === 0 && this.#topics.get(topic.name) === topic) this.#topics.delete(topic.name);
  }

  #topic(name: string): Topic {
    let topic = this.#topics.get(name);
    if (!topic) {
      topic = {
        name,
        listeners: new Set(),
        direct: 0,
        live: false,
      };
      this.#topics.set(name, topic);
    }
    return topic;
  }
}

function latest({ listeners }: Topic, [, topic, event, slot, data, from]: LatestFrame): void {
  const info: EventInfo = { topic, event, from, offset: null, slot };
  for (const listener of listeners) listener.event(data, info);
}
