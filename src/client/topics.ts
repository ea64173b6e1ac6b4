/**
 * What this session is subscribed to, and how far each stream was read. Every event passes here: at
 * or below the position it was seen before, one above the next is a gap and told as a reset.
 *
 * For each topic there is what is wanted (its direct listeners) and what the server has (`live`, `ours`). One
 * request at a time brings the second to the first, again after each answer and each WELCOME; so
 * whatever comes in between, what was asked last is what there is in the end.
 */
import {
  IGNORABLE_FROM,
  type EventItem,
  type EventsFrame,
  type LatestFrame,
  type Position,
  type Positions,
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
  /** It wants the topic by SUBSCRIBE, to begin at `from`; others hear what a call subscribes to. */
  readonly direct?: boolean;
  /** Until it has begun. */
  readonly from?: Position | undefined;
  /** Direct ones are told where they stand, again and again. `recovered`: undefined where the stream runs already. */
  begin?(position: Position, recovered: boolean | undefined): void;
  onEvent(data: Value, info: EventInfo): void;
  reset(reset: ResetInfo): void;
  /** Direct ones are forgotten. `lost`: not by anyone's will; a call can bring it back. */
  removed(error: RoomwireError, lost: boolean): void;
}

export interface Topic {
  readonly name: string;
  /** Replaced, never changed: a handler may come and go during an event. */
  listening: readonly TopicListener[];
  /** The server may have it by our SUBSCRIBE, so that UNSUBSCRIBE ends it; otherwise a call did it, or nobody. */
  ours?: boolean | undefined;
  /** The server sends its events. */
  live?: boolean | undefined;
  /** Live from the server's head on, while SUBSCRIBE asks to go back to `position`: what comes will come again. */
  behind?: boolean | undefined;
  /** SUBSCRIBE or UNSUBSCRIBE waits for its answer, or for the time to ask again. */
  asking?: boolean | undefined;
  /** Refusals in a row that time may mend. */
  tries: number;
  /** The last event handed over; undefined: never subscribed. */
  position?: Position | undefined;
  /** From here to `position` nothing was missed. */
  since?: Position | undefined;
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

  /** Returns how to stop. */
  hear(name: string, listener: TopicListener): () => void {
    const topic = this.#topic(name);
    topic.listening = [...topic.listening, listener];
    this.#settle(topic);
    return () => {
      topic.listening = topic.listening.filter((other) => other !== listener);
      this.#settle(topic);
    };
  }

  /** A SUBSCRIBE is under way, before whose answer the server would refuse a publish (RW-SUB-6). */
  beginning(name: unknown): boolean {
    const topic = this.#topics.get(name as string);
    return !!topic?.asking && !topic.live && isWanted(topic);
  }

  /** As many as `bytes` hold. Topics of calls come first: to join them anew costs more than to subscribe. */
  toResume(bytes: number): Positions {
    // Without a prototype: a topic may be called `__proto__`.
    const positions = Object.create(null) as Record<string, Position>;
    for (const topic of [...this.#topics.values()].sort((a, b) => +isWanted(a) - +isWanted(b))) {
      // Also where SUBSCRIBE's answer was lost: the session may be in the topic, and would go on from its end.
      const at = topic.position ?? fromOf(topic);
      if (!at || !(topic.live || isWanted(topic)) || isLeft(topic)) continue;
      bytes -= entryBytes(topic.name, at);
      if (bytes >= 0) positions[topic.name] = at;
    }
    return positions;
  }

  /** `resumed`: the positions that HELLO had. */
  welcome({ topics }: Welcome, resumed: Positions): void {
    for (const [name, { code, epoch, offset, recovered }] of Object.entries(topics)) {
      if (code) continue;
      const topic = this.#topic(name);
      topic.live = true;
      topic.position ??= fromOf(topic);
      topic.behind = !recovered && !!topic.position && !(name in resumed) && !isLeft(topic);
      if (!topic.behind) this.#subscribed(topic, [epoch, offset], recovered, true);
    }
    for (const topic of [...this.#topics.values()]) {
      const status = topics[topic.name];
      if (!status || status.code) {
        const { live } = topic;
        topic.live = topic.behind = topic.ours = false;
        const error = new RoomwireError(status?.code ?? 'join_required', 'not resumed');
        const refused = error.code < 200 && !isError(error, 'join_required');
        if (isWanted(topic) ? refused : live) this.#removed(topic, error, !refused);
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
      if (topic.live || isWanted(topic)) this.#removed(topic, new RoomwireError('disconnected'));
      else this.#settle(topic);
    }
  }

  /** EVENTS, RESET, REMOVED, SUBSCRIBED and LATEST. Throws for what no client may ignore. */
  onFrame(frame: Value[]): void {
    const op = frame[0] as number;
    const topic = this.#topics.get(frame[1] as string);
    const isHeard = topic?.live && !topic.behind;
    const at = [frame[2], frame[3]] as unknown as Position;
    switch (op) {
      case Op.EVENTS:
        if (isHeard) this.#events(topic, frame as unknown as EventsFrame);
        break;
      case Op.LATEST:
        if (topic?.live) {
          const [, name, event, slot, data, from] = frame as unknown as LatestFrame;
          tell(topic, data, { topic: name, event, from, offset: null, slot });
        }
        break;
      case Op.RESET:
        if (isHeard) this.#reset(topic, at, frame[4] as string);
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
        this.#subscribed(known, at, frame[4] as boolean, false);
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
    if (topic.behind || (isWanted(topic) && !topic.live)) {
      // Without a connection nothing is asked: WELCOME says first what there is.
      if (live) this.#subscribe(topic);
    } else if (isLeft(topic)) {
      if (live) this.#leave(topic);
    } else if (topic.live && topic.position) {
      // Who comes while it runs begins here; without a connection WELCOME says whether it does.
      if (live) begin(topic, undefined);
    } else if (topic.listening.length === 0) {
      this.#topics.delete(topic.name);
    }
  }

  #subscribe(topic: Topic): void {
    const from = fromOf(topic);
    topic.ours ||= !topic.live;
    const granted = (data: Value): void => {
      const { epoch, offset, recovered } = data as unknown as TopicStatus;
      // Meanwhile a call may have subscribed it, or someone ended it.
      topic.ours ||= !topic.live;
      if (topic.live && !topic.behind) return;
      topic.live = true;
      topic.behind = false;
      const before = (topic.position ??= from);
      // A server that starts nothing anew names the offset that it is at.
      this.#subscribed(topic, [epoch, offset], recovered && !(before && offset > before[1]), true);
    };
    this.#ask(topic, Op.SUBSCRIBE, [topic.position ?? from ?? null], granted, (error) => {
      if (topic.behind) {
        // It goes on from the server's head, where what is missing is a gap.
        topic.behind = false;
        this.#tellReset(topic, 'not recovered');
      } else if (!topic.live) {
        topic.ours = false;
        if (isWanted(topic)) this.#removed(topic, error);
      }
    });
  }

  #leave(topic: Topic): void {
    const left = (): void => {
      topic.live = topic.ours = false;
      topic.position = topic.since = undefined;
    };
    this.#ask(topic, Op.UNSUBSCRIBE, [], left, (error) => {
      // A call must end it; or the server has dropped it already, which is as good.
      if (isError(error, 'join_required')) topic.ours = false;
      else left();
    });
  }

  /** Neither is called for what is lost with the connection: the next WELCOME tells what there is; without one, `end` did. */
  #ask(
    topic: Topic,
    op: number,
    parts: readonly Value[],
    granted: (data: Value) => void,
    refused: (error: RoomwireError) => void,
  ): void {
    const { requests, settings } = this.#context;
    const answered = (): void => {
      topic.asking = false;
      topic.tries = 0;
      // Publishes may wait for it.
      requests.flush();
    };
    topic.asking = true;
    requests
      .request(op, [topic.name, ...parts], {
        // Events may follow in the same message.
        onAck: (data) => {
          answered();
          granted(data);
          this.#settle(topic);
        },
      })
      .catch((error: RoomwireError) => {
        const isLost = error.name === 'disconnected';
        if (!isLost && error.code >= 200 && error.code < 300 && (topic.since || op === Op.UNSUBSCRIBE)) {
          const again = (): void => {
            topic.asking = false;
            this.#settle(topic);
          };
          settings.clock.alarm()(retryDelay(settings, { attempt: ++topic.tries }), again);
          return;
        }
        answered();
        if (isLost) return;
        refused(error);
        this.#settle(topic);
      });
  }

  /** `told`: a stream that went on unrecovered is told as a reset. */
  #subscribed(topic: Topic, position: Position, recovered: boolean, told: boolean): void {
    const before = topic.position;
    // Recovered: the events after our own position follow, whatever offset the server is at.
    const goesOn = recovered && before?.[0] === position[0];
    if (goesOn) topic.since ??= before;
    else topic.position = topic.since = position;
    begin(topic, recovered);
    if (!goesOn && told && before) this.#tellReset(topic, 'not recovered');
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
    for (const listener of topic.listening) listener.reset({ reason, position });
  }

  #removed(topic: Topic, error: RoomwireError, lost = false): void {
    const { listening } = topic;
    // Others stay: a room may be joined again.
    topic.listening = listening.filter(({ direct }) => !direct);
    topic.live = topic.behind = topic.ours = false;
    topic.position = topic.since = undefined;
    for (const listener of listening) listener.removed(error, lost);
    this.#settle(topic);
  }

  #topic(name: string): Topic {
    let topic = this.#topics.get(name);
    if (!topic) {
      topic = { name, listening: [], tries: 0 };
      this.#topics.set(name, topic);
    }
    return topic;
  }
}

function isWanted({ listening }: Topic): boolean {
  return listening.some(({ direct }) => direct);
}

/** Subscribed by SUBSCRIBE, and nobody wants it any more. */
function isLeft(topic: Topic): boolean {
  return !!topic.ours && !isWanted(topic);
}

/** Where the first handle wants to begin. */
function fromOf({ listening }: Topic): Position | undefined {
  return listening.find(({ from }) => from)?.from;
}

function begin({ listening, position }: Topic, recovered: boolean | undefined): void {
  for (const listener of listening) listener.begin?.(position as Position, recovered);
}

function tell(topic: Topic, data: Value, info: EventInfo): void {
  const { listening } = topic;
  for (const listener of listening) {
    // One that an earlier one took away hears no more of it.
    if (topic.listening === listening || topic.listening.includes(listener)) listener.onEvent(data, info);
  }
}
