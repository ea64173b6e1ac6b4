/**
 * What this session is subscribed to, and how far each stream was read. Every event passes here: at
 * or below the position it was seen before, one above the next is a gap and told as a reset.
 *
 * For each topic there is what is wanted (`wants`) and what the server has (`live`, `ours`). One
 * request at a time brings the second to the first, again after each answer and each WELCOME; so
 * whatever comes in between, what was asked last is what there is in the end.
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
import { retryDelay } from './backoff.js';
import { isError } from './error-kinds.js';
import type { Requests } from './requests.js';
import type { Settings } from './settings.js';
import { entryBytes } from './encode.js';
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

interface Waiter {
  readonly from: Position | undefined;
  readonly begins: () => void;
  readonly resolve: (ready: Ready) => void;
  readonly reject: (error: RoomwireError) => void;
}

export interface Topic {
  readonly name: string;
  /** Replaced, never changed: a handler may come and go during an event. */
  listeners: readonly TopicListener[];
  /** Handles that want it by SUBSCRIBE. */
  wants: number;
  /** The server may have it by our SUBSCRIBE, so that UNSUBSCRIBE ends it; otherwise a call did it, or nobody. */
  ours: boolean;
  /** The server sends its events. */
  live: boolean;
  /** Live from the server's head on, while SUBSCRIBE asks to go back to `position`: what comes will come again. */
  behind: boolean;
  /** SUBSCRIBE or UNSUBSCRIBE waits for its answer, or for the time to ask again. */
  asking: boolean;
  /** Refusals in a row that time may mend. */
  attempt: number;
  /** The last event handed over; undefined: never subscribed. */
  position?: Position | undefined;
  /** From here to `position` nothing was missed. */
  since?: Position | undefined;
  /** Where the first handle wants to begin. */
  from?: Position | undefined;
  /** Handles that have not begun. */
  waiters: Waiter[];
}

export interface TopicsContext {
  readonly settings: Settings;
  readonly requests: Requests;
}

export class Topics {
  readonly #context: TopicsContext;
  readonly #topics = new Map<string, Topic>();

  constructor(context: TopicsContext) {
    this.#context = context;
  }

  get(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  /** Hears a topic's events without subscribing to it; returns how to stop. */
  listen(name: string, listener: TopicListener): () => void {
    const topic = this.#topic(name);
    topic.listeners = [...topic.listeners, listener];
    return () => {
      topic.listeners = topic.listeners.filter((other) => other !== listener);
      this.#settle(topic);
    };
  }

  /** One more handle that wants the topic. `from` counts for the first one; `begins` runs before the first event. */
  subscribe(name: string, from: Position | undefined, begins: () => void): Promise<Ready> {
    const topic = this.#topic(name);
    topic.wants++;
    topic.from ??= from;
    return new Promise((resolve, reject) => {
      topic.waiters.push({ from, begins, resolve, reject });
      this.#settle(topic);
    });
  }

  unsubscribe(name: string): void {
    const topic = this.#topics.get(name);
    if (!topic?.wants || --topic.wants > 0) return;
    // Nobody is there to hear of it.
    topic.waiters = [];
    topic.from = undefined;
    this.#settle(topic);
  }

  /** A SUBSCRIBE is under way, before whose answer the server would refuse a publish (RW-SUB-6). */
  beginning(name: unknown): boolean {
    const topic = this.#topics.get(name as string);
    return !!topic?.wants && topic.asking && !topic.live;
  }

  /** As many as `bytes` hold. Topics of calls come first: to join them anew costs more than to subscribe. */
  positions(bytes: number): [topic: string, Position][] {
    return [...this.#topics.values()]
      .sort((a, b) => +(a.wants > 0) - +(b.wants > 0))
      .flatMap((topic) => {
        // Also where SUBSCRIBE's answer was lost: the session may be in the topic, and would go on from its end.
        const at = topic.position ?? topic.from;
        if (!at || !(topic.live || topic.wants) || isLeft(topic)) return [];
        bytes -= entryBytes(topic.name, at);
        return bytes < 0 ? [] : [[topic.name, at] as [string, Position]];
      });
  }

  /** `resumed`: the topics whose positions HELLO had. */
  welcome({ topics }: Welcome, resumed: ReadonlySet<string>): void {
    for (const [name, { code, epoch, offset, recovered }] of Object.entries(topics)) {
      if (code !== undefined) continue;
      const topic = this.#topic(name);
      topic.live = true;
      topic.position ??= topic.from;
      topic.behind = !recovered && topic.position !== undefined && !resumed.has(name) && !isLeft(topic);
      if (!topic.behind) this.#subscribed(topic, [epoch, offset], recovered, true);
    }
    for (const topic of [...this.#topics.values()]) {
      const status = topics[topic.name];
      if (!status || status.code !== undefined) {
        const { live } = topic;
        topic.live = topic.behind = topic.ours = false;
        const error = new RoomwireError(status?.code ?? 'join_required', 'not resumed');
        const refused = error.code < 200 && !isError(error, 'join_required');
        if (topic.wants ? refused : live) this.#removed(topic, error, !refused);
      }
      this.#settle(topic);
    }
  }

  /** The client is closed or refused. */
  end(): void {
    for (const topic of [...this.#topics.values()]) {
      // Who was told may have asked for a new connection.
      if (!this.#context.requests.over) return;
      topic.ours = false;
      if (topic.live || topic.wants) this.#removed(topic, new RoomwireError('disconnected'));
      else this.#settle(topic);
    }
  }

  /** EVENTS, RESET, REMOVED, SUBSCRIBED and LATEST. Throws for what no client may ignore. */
  frame(frame: Value[]): void {
    const op = frame[0] as number;
    const topic = this.#topics.get(frame[1] as string);
    const isHeard = topic?.live && !topic.behind;
    switch (op) {
      case Op.EVENTS:
        if (isHeard) this.#events(topic, frame as unknown as EventsFrame);
        break;
      case Op.LATEST:
        if (topic?.live) latest(topic, frame as unknown as LatestFrame);
        break;
      case Op.RESET:
        if (isHeard) this.#reset(topic, [frame[2] as string, frame[3] as number], frame[4] as string);
        break;
      case Op.REMOVED:
        // The end of an earlier subscription, or the answer to UNSUBSCRIBE: what is asked for has an answer of its own.
        if (topic?.asking && !topic.behind) topic.live = false;
        else if (topic) this.#removed(topic, new RoomwireError(frame[2] as number, frame[3] as string));
        break;
      case Op.SUBSCRIBED: {
        const known = topic ?? this.#topic(frame[1] as string);
        known.ours = false;
        known.live = true;
        this.#subscribed(known, [frame[2] as string, frame[3] as number], frame[4] as boolean, false);
        break;
      }
      default:
        if (op < IGNORABLE_FROM) throw new TypeError(`unknown opcode: ${op}`);
    }
  }

  /** Asks for what is wanted and not so, if anything; forgets what nobody needs. */
  #settle(topic: Topic): void {
    if (topic.asking) return;
    const { live } = this.#context.requests;
    if (topic.behind || (topic.wants && !topic.live)) {
      // Without a connection nothing is asked: WELCOME says first what there is.
      if (live) this.#ask(topic);
    } else if (isLeft(topic)) {
      if (live) this.#leave(topic);
    } else if (topic.live && topic.position) {
      const { position } = topic;
      // Who comes while it runs begins here.
      this.#begin(topic, ({ from }) => from?.[0] === position[0] && from[1] === position[1]);
    } else if (!topic.wants && topic.listeners.length === 0) {
      this.#topics.delete(topic.name);
    }
  }

  #ask(topic: Topic): void {
    const { name, position, from } = topic;
    topic.asking = true;
    topic.ours ||= !topic.live;
    // Events may follow in the same message.
    const onAck = (data: Value): void => {
      const { epoch, offset, recovered } = data as unknown as TopicStatus;
      this.#answered(topic);
      // Meanwhile a call may have subscribed it, or someone ended it.
      topic.ours ||= !topic.live;
      if (!topic.live || topic.behind) {
        topic.live = true;
        topic.behind = false;
        const before = (topic.position ??= from);
        // A server that starts nothing anew names the offset that it is at.
        this.#subscribed(topic, [epoch, offset], recovered && !(before && offset > before[1]), true);
      }
      this.#settle(topic);
    };
    this.#context.requests
      .request(Op.SUBSCRIBE, [name, position ?? from ?? null], { onAck })
      .catch((error: RoomwireError) => {
        if (this.#isLater(topic, error, topic.since !== undefined)) return;
        if (topic.behind) {
          // It goes on from the server's head, where what is missing is a gap.
          topic.behind = false;
          this.#tellReset(topic, 'not recovered');
        } else if (!topic.live) {
          topic.ours = false;
          if (topic.wants) this.#removed(topic, error);
        }
        this.#settle(topic);
      });
  }

  #leave(topic: Topic): void {
    topic.asking = true;
    const onAck = (): void => {
      this.#answered(topic);
      topic.live = topic.ours = false;
      topic.position = topic.since = undefined;
      this.#settle(topic);
    };
    this.#context.requests.request(Op.UNSUBSCRIBE, [topic.name], { onAck }).catch((error: RoomwireError) => {
      if (this.#isLater(topic, error, true)) return;
      // A call must end it; or the server has dropped it already, which is as good.
      topic.ours = false;
      if (isError(error, 'join_required')) this.#settle(topic);
      else onAck();
    });
  }

  #answered(topic: Topic): void {
    topic.asking = false;
    topic.attempt = 0;
    // Publishes may wait for it.
    this.#context.requests.flush();
  }

  /** Whether what was asked is not answered, but will be asked again. */
  #isLater(topic: Topic, error: RoomwireError, retries: boolean): boolean {
    // The next WELCOME tells what there is; without one, `end` did.
    const isLost = error.name === 'disconnected';
    if (isLost || !(retries && error.code >= 200 && error.code < 300)) {
      this.#answered(topic);
      return isLost;
    }
    const { settings } = this.#context;
    const again = (): void => {
      topic.asking = false;
      this.#settle(topic);
    };
    settings.timers.setTimeout(again, retryDelay(settings, { attempt: ++topic.attempt }));
    return true;
  }

  /** `told`: a stream that went on unrecovered is told as a reset. */
  #subscribed(topic: Topic, position: Position, recovered: boolean, told: boolean): void {
    const before = topic.position;
    // Recovered: the events after our own position follow, whatever offset the server is at.
    const goesOn = recovered && before?.[0] === position[0];
    if (goesOn) topic.since ??= before;
    else topic.position = topic.since = position;
    this.#begin(topic, () => recovered);
    if (!goesOn && told && before) this.#tellReset(topic, 'not recovered');
  }

  #begin(topic: Topic, isRecovered: (waiter: Waiter) => boolean): void {
    topic.from = undefined;
    for (const waiter of topic.waiters.splice(0)) {
      waiter.begins();
      waiter.resolve({ position: topic.position as Position, recovered: isRecovered(waiter) });
    }
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
      tell(topic, data, { topic: name, event, from, offset, meta });
    }
  }

  #reset(topic: Topic, position: Position, reason: string): void {
    topic.position = topic.since = position;
    this.#tellReset(topic, reason);
  }

  #tellReset(topic: Topic, reason: string): void {
    const position = topic.position as Position;
    for (const listener of topic.listeners) listener.reset({ reason, position });
  }

  #removed(topic: Topic, error: RoomwireError, lost = false): void {
    topic.wants = 0;
    topic.live = topic.behind = topic.ours = false;
    topic.position = topic.since = topic.from = undefined;
    for (const { reject } of topic.waiters.splice(0)) reject(error);
    // Listeners stay: a room may be joined again.
    for (const listener of topic.listeners) listener.removed(error, lost);
    this.#settle(topic);
  }

  #topic(name: string): Topic {
    let topic = this.#topics.get(name);
    if (!topic) {
      topic = {
        name,
        listeners: [],
        wants: 0,
        ours: false,
        live: false,
        behind: false,
        asking: false,
        attempt: 0,
        waiters: [],
      };
      this.#topics.set(name, topic);
    }
    return topic;
  }
}

/** Subscribed by SUBSCRIBE, and nobody wants it any more. */
function isLeft({ ours, wants }: Topic): boolean {
  return ours && wants === 0;
}

function tell(topic: Topic, data: Value, info: EventInfo): void {
  const { listeners } = topic;
  for (const listener of listeners) {
    // One that an earlier one took away hears no more of it.
    if (topic.listeners === listeners || topic.listeners.includes(listener)) listener.event(data, info);
  }
}

function latest(topic: Topic, [, name, event, slot, data, from]: LatestFrame): void {
  tell(topic, data, { topic: name, event, from, offset: null, slot });
}
