/**
 * What an SDK client must do with its server model: which session it has, what it wants, what it still has to ask for,
 * and for each topic how what it is told in this step may begin, go on and end.
 */
import type { ModelLock, ModelSession, Op, Refusal, ServerModel } from './server-model.js';

/**
 * begun: silently, somewhere in this step; resumed: from where it stood, or by a RESET where events are gone;
 * rejoined: by a RESET in any case; ended: somewhere in this step; removed: told so.
 */
export type Turn = 'begun' | 'resumed' | 'rejoined' | 'ended' | 'removed';

export interface Want {
  /** The SDK knows a position: from here on it goes on by itself. */
  ready: boolean;
  /** Where the application stands. */
  at: readonly [epoch: string | undefined, offset: number];
}

/** A lock that the application believes it has. */
export interface BelievedLock {
  readonly lock: ModelLock;
  /** The connection was lost since it was taken: the client may have given it up before the server. */
  shaken: boolean;
}

export interface Waiting {
  readonly op: Op;
  /** What it must be answered; undefined while nobody knows. */
  answer: { readonly refusal: Refusal } | undefined;
}

/** Sent again after a lost connection, because a repetition is harmless. */
export function isRepeated(op: Op): boolean {
  return (
    ['join', 'leave', 'subscribe', 'unsubscribe', 'unlock'].includes(op.do) ||
    (op.do === 'publish' && op.key !== undefined)
  );
}

export const topicOf = (op: Op): string => ('room' in op ? `room:${op.room}` : op.topic);

export class ClientModel {
  readonly name: string;
  readonly #server: ServerModel;
  live = false;
  session: ModelSession | undefined;
  readonly wants = new Map<string, Want>();
  /** What is to be asked once there is a connection, in order. */
  pending: Waiting[] = [];
  /** By room and target. */
  readonly locks = new Map<string, BelievedLock>();
  /** A HELLO of its is still on the way. */
  hasLateHello = false;
  /** The server has not noticed that the connection is gone. */
  unnoticed = false;
  /** Of this step, by topic. */
  readonly turns = new Map<string, Turn[]>();

  constructor(name: string, server: ServerModel) {
    this.name = name;
    this.#server = server;
  }

  /** The application asks; `apply` says what the server makes of it when it arrives at once. */
  ask(op: Op, how: 'answered' | 'request lost' | 'answer lost'): Waiting {
    const waiting: Waiting = { op, answer: undefined };
    this.#intend(op);
    if (!this.live) {
      if (op.do !== 'volatile') this.pending.push(waiting);
      return waiting;
    }
    const session = this.session as ModelSession;
    if (how === 'answered') {
      waiting.answer = { refusal: this.#apply(session, op) };
      return waiting;
    }
    this.lost();
    if (how === 'answer lost') this.#server.apply(session, op);
    if (isRepeated(op)) this.pending.push(waiting);
    else waiting.answer = { refusal: 'disconnected' };
    return waiting;
  }

  /** The connection is gone, for both sides unless `silently`. */
  lost(silently = false): void {
    this.live = false;
    this.unnoticed = silently;
    for (const believed of this.locks.values()) believed.shaken = true;
    if (!silently && this.session !== undefined) this.#server.lost(this.session);
  }

  /** The server sees that a connection is gone which the client gave up before. */
  noticed(): void {
    this.unnoticed = false;
    if (this.session !== undefined && !this.session.ended) this.#server.lost(this.session);
  }

  /** HELLO was answered, but nobody heard it; what there is of the session goes on. */
  halfBack(): void {
    this.unnoticed = false;
    if (this.session !== undefined && !this.session.ended) this.#server.lost(this.session);
  }

  /** True when the session goes on. */
  back(): boolean {
    const goesOn = this.session !== undefined && !this.session.ended;
    this.live = true;
    this.unnoticed = false;
    if (goesOn) this.#server.resumed(this.session as ModelSession);
    else this.session = this.#server.begin(this.name);
    const session = this.session as ModelSession;
    for (const [topic, want] of this.wants) {
      if (!want.ready) continue;
      if (!topic.startsWith('room:')) {
        session.topics.add(topic);
        this.#turn(topic, 'resumed');
      } else if (session.topics.has(topic)) this.#turn(topic, 'resumed');
      else this.#rejoin(session, topic);
    }
    for (const waiting of inOrder(this.pending.splice(0))) {
      waiting.answer = { refusal: this.#apply(session, waiting.op) };
    }
    return goesOn;
  }

  /** A new page load, after BYE if there was a connection to say it on. */
  renew(): void {
    if (this.live) this.#server.end(this.session as ModelSession);
    for (const waiting of this.pending.splice(0)) waiting.answer = { refusal: 'disconnected' };
    this.wants.clear();
    this.locks.clear();
    this.session = undefined;
    this.live = false;
  }

  #rejoin(session: ModelSession, topic: string): void {
    if (this.#server.join(session, topic.slice(5), false) === undefined) return this.#turn(topic, 'rejoined');
    this.wants.delete(topic);
    this.#turn(topic, 'removed');
  }

  /** What the application has said it wants, whatever the network does. */
  #intend(op: Op): void {
    const topic = topicOf(op);
    if (op.do === 'join' || op.do === 'subscribe') this.wants.set(topic, { ready: false, at: [undefined, 0] });
    if (op.do === 'leave' || op.do === 'unsubscribe') this.wants.delete(topic);
    if (op.do === 'unlock') this.locks.delete(`${op.room} ${op.target}`);
    if (op.do !== 'leave') return;
    for (const key of this.locks.keys()) if (key.startsWith(`${op.room} `)) this.locks.delete(key);
  }

  #apply(session: ModelSession, op: Op): Refusal {
    const refusal = this.#server.apply(session, op);
    const topic = topicOf(op);
    const want = this.wants.get(topic);
    if ((op.do === 'join' || op.do === 'subscribe') && want !== undefined) {
      want.ready = true;
      this.#turn(topic, 'begun');
    }
    if (op.do === 'leave' || op.do === 'unsubscribe') this.#turn(topic, 'ended');
    if (op.do === 'lock' && refusal === undefined) {
      const lock = this.#server.rooms.get(op.room)?.locks.get(op.target) as ModelLock;
      this.locks.set(`${op.room} ${op.target}`, { lock, shaken: false });
    }
    return refusal;
  }

  #turn(topic: string, turn: Turn): void {
    const turns = this.turns.get(topic);
    if (turns === undefined) this.turns.set(topic, [turn]);
    else turns.push(turn);
  }
}

/** What is published to a room or topic that is also to be joined or subscribed waits until it is. */
function inOrder(pending: readonly Waiting[]): Waiting[] {
  const ordered = [...pending];
  for (const waiting of pending) {
    const joined = ordered.findLastIndex(
      ({ op }) => (op.do === 'join' || op.do === 'subscribe') && topicOf(op) === topicOf(waiting.op),
    );
    const from = ordered.indexOf(waiting);
    if (waiting.op.do === 'publish' && from < joined) ordered.splice(joined, 0, ...ordered.splice(from, 1));
  }
  return ordered;
}
