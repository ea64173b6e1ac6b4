/**
 * One open WebSocket on its way from bytes to frames: scans each message whole, takes HELLO first, then hands every
 * frame to the dispatcher. Holds what belongs to the connection alone: its outbox, its requests under way, and its
 * heartbeat.
 */
import { closeTexts } from '../../protocol/code-texts.js';
import { closes, type CloseName } from '../../protocol/codes.js';
import { RoomwireError } from '../../protocol/errors.js';
import type { Value } from '../../protocol/frames.js';
import { MAX_DEPTH } from '../../protocol/sizes.js';
import { shortened } from '../../protocol/text.js';
import { sawProtoKey, scanMessage } from '../../protocol/scan.js';
import type { CallConnection } from '../calls/running-call.js';
import type { Counters } from '../watch/counters.js';
import { writeAck, writeGoaway, writeNack, writePing } from '../wire/frames.js';
import { Outbox, type OutboxLimit, type OutboxOwner } from '../hub/outbox.js';
import type { ServerSession, SessionConnection } from '../sessions/session.js';
import type { Socket, SocketEvents, UpgradeInfo } from '../transport/transport.js';
import type { Timer } from '../time/wheel.js';
import { restOf, weightOf, type Backlogs, type Rest, type Sliced } from './backlog.js';
import { Requests, type RequestsOwner } from './requests.js';

/** 31: what a client gets is nested one level deeper than what it sent, `[EVENTS, …, [event, data]]`. */
const INBOUND_DEPTH = MAX_DEPTH - 1;
const UNASKED_A_SECOND = 100;
/** Of a GOAWAY, in UTF-16 units. */
const REASON_LENGTH = 500;
/** A stray frame counts once more for each of these bytes: decoding it costs by its size. */
const STRAY_BYTES = 64;
/** A refusal costs more than to ignore. */
const REFUSAL_WEIGHT = 2;
/** What a client is told to wait for that sent too many strays. */
const STRAYS_MS = 1_000;
/** Shared by all connections: a message is dispatched to its end before the next is scanned. */
const starts: number[] = [];
/** A message may take this long at a stretch, looked at every so many frames; the rest waits for turns of its own. */
const SLICE_MS = 0.5;
const SLICE_FRAMES = 32;
/** In `messageBytes`: what waits beyond it is worked off at once, and meanwhile nothing more is read. */
const BACKLOG = 4;
/** The same: whether the message has a map key `__proto__` somewhere. */
let protoKey = false;

export interface ConnectionOwner extends RequestsOwner {
  /** Feeds the outbox. */
  readonly hub: OutboxOwner;
  readonly counters: Counters;
  readonly backlogs: Backlogs;
  readonly pingEvery: number;
  readonly pingTimeout: number;
  /** For what the client has to do until then. */
  afterAwake(ms: number, fn: () => void): Timer;
  monotonic(): number;
  /** The first frame: HELLO, alone in its message. */
  hello(connection: Connection, bytes: Uint8Array, start: number): void;
  /** A scanned frame in `start`–`end`; the bytes die with the call. */
  frame(connection: Connection, bytes: Uint8Array, start: number, end: number): void;
  closed(connection: Connection, code: number, reason: string): void;
  /** A frame is refused; `target`: the call it made, where it is one. */
  refused(connection: Connection, error: RoomwireError, target?: string): void;
  /** Counts frames that are refused or that no rate counts; false: too many. */
  strays(session: ServerSession, weight: number, now: number): boolean;
  /** The server closes it. */
  closing(connection: Connection, name: CloseName, reason: string): void;
  /** A callback of the engine's threw: a bug. */
  failed(error: unknown): void;
}

export class Connection implements SocketEvents, OutboxLimit, SessionConnection, CallConnection, Sliced {
  /** The peer's IP address as text. */
  readonly address: string;
  /** The edge that carries it; undefined: this process. */
  readonly edge: string | undefined;
  readonly outbox: Outbox;
  readonly requests: Requests;
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  /** hello: HELLO is awaited; verifying: it is being answered; live: WELCOME is queued. */
  state: 'hello' | 'verifying' | 'live' | 'closed' = 'hello';
  session: ServerSession | undefined;
  /** An AUTH is being checked. */
  renewing = false;
  /** The secret that HELLO was answered with is in use from the next frame on. */
  confirmSecret: (() => void) | undefined;
  /** What was read and has not had its turn, in its order. */
  #backlog: Rest[] | undefined;
  #backlogBytes = 0;
  /** What only HELLO needs; undefined from WELCOME on. */
  #info: UpgradeInfo | undefined;
  /** Of the monotonic clock. */
  readonly openedAt: number;
  /** What came in, for the line in the log at its end. */
  messages = 0;
  frames = 0;
  bytes = 0;
  /** Answers to nobody in particular in the second that `#unaskedSince` began. */
  #unasked = 0;
  #unaskedSince = 0;
  #lastSeen: number;
  #pinged = false;
  #timer: Timer;

  constructor(socket: Socket, info: UpgradeInfo, owner: ConnectionOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.#info = info;
    this.address = info.address;
    this.edge = info.edge;
    this.outbox = new Outbox(socket, owner.hub, this);
    this.requests = new Requests(owner, this.outbox);
    this.#lastSeen = this.openedAt = owner.monotonic();
    this.#timer = owner.afterAwake(owner.limits.helloMs, () => this.close('hello_timeout'));
  }

  get open(): boolean {
    return this.state !== 'closed';
  }

  /** When the last message came, by the monotonic clock: now, for whoever handles its frames. */
  get lastSeen(): number {
    return this.#lastSeen;
  }

  /** Ms since the socket opened. */
  get age(): number {
    return this.#owner.monotonic() - this.openedAt;
  }

  /** From the edge that carries it. */
  leave(spreadMs: number): void {
    this.close('draining', undefined, spreadMs);
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedBytes();
  }

  get info(): UpgradeInfo {
    if (this.#info === undefined) throw new Error('the upgrade is forgotten after WELCOME');
    return this.#info;
  }

  // ---- what the transport calls: nothing in here throws (rule 8) -----------------------------------

  message(bytes: Uint8Array, binary: boolean): void {
    try {
      this.#message(bytes, binary);
    } catch (error) {
      this.#owner.failed(error);
      this.close('internal');
    }
  }

  drained(): void {
    try {
      this.outbox.drained();
    } catch (error) {
      this.#owner.failed(error);
    }
  }

  closed(code: number, reason: string): void {
    this.#timer.cancel();
    this.#catchUp();
    const wasOpen = this.open;
    this.state = 'closed';
    try {
      if (wasOpen) this.requests.abandon();
      this.#owner.closed(this, code, reason);
    } catch (error) {
      this.#owner.failed(error);
    }
  }

  // ---- what the outbox asks ------------------------------------------------------------------------

  get controlBytes(): number {
    return this.#owner.limits.controlBytes;
  }

  overflowed(): void {
    this.close('too_slow');
  }

  #message(bytes: Uint8Array, binary: boolean): void {
    if (!this.open) return;
    this.#lastSeen = this.#owner.monotonic();
    this.#pinged = false;
    const { counters } = this.#owner;
    this.messages++;
    this.bytes += bytes.length;
    counters.messagesIn++;
    counters.bytesIn += bytes.length;
    if (!binary) return this.#breach('text_frame');
    if (this.state === 'hello' && bytes.length > this.#owner.limits.helloBytes) return this.close('message_too_large');
    const frames = scanMessage(bytes, starts, INBOUND_DEPTH);
    protoKey = sawProtoKey();
    if (typeof frames !== 'number') return this.#breach('bad_frame', `frame ${frames.frame}: ${frames.reason}`);
    this.frames += frames;
    counters.framesIn += frames;
    if (this.state === 'live') {
      this.confirmSecret?.();
      // Of many none is worked off here: what else the engine has read in this turn would wait for it.
      const atOnce = this.#backlog === undefined && frames <= SLICE_FRAMES;
      const next = atOnce ? this.#dispatch(bytes, starts, 0, frames) : 0;
      if (next < frames && this.open) this.#keep(restOf(bytes, starts, { next, frames, protoKey }));
      return;
    }
    if (this.state !== 'hello' || frames !== 1)
      return this.close('hello_expected', 'send HELLO alone and wait for WELCOME');
    this.state = 'verifying';
    // From here on the wait is ours: if it takes too long the client may come again.
    this.#timer.cancel();
    this.#timer = this.#owner.afterAwake(this.#owner.limits.callMaxMs, () => this.close('overloaded'));
    this.#owner.hello(this, bytes, starts[0] as number);
  }

  /** From `next` on; returns the first frame that has to wait for another turn. */
  #dispatch(bytes: Uint8Array, at: ArrayLike<number>, next: number, frames: number): number {
    const until = frames - next > SLICE_FRAMES ? this.#owner.monotonic() + SLICE_MS : Infinity;
    for (let i = next; i < frames && this.open; i++) {
      this.#owner.frame(this, bytes, at[i] as number, at[i + 1] as number);
      if (until !== Infinity && (i - next) % SLICE_FRAMES === SLICE_FRAMES - 1 && this.#owner.monotonic() >= until)
        return i + 1;
    }
    return frames;
  }

  #keep(rest: Rest): void {
    this.#backlogBytes += weightOf(rest);
    if (this.#backlog !== undefined) this.#backlog.push(rest);
    else {
      this.#backlog = [rest];
      this.#owner.backlogs.add(this);
    }
    while (this.#backlogBytes > BACKLOG * this.#owner.limits.messageBytes) this.workOff();
  }

  /** What came before the end is done before it. */
  #catchUp(): void {
    while (this.#backlog !== undefined) this.workOff();
  }

  #breach(name: CloseName, reason?: string): void {
    this.#catchUp();
    this.close(name, reason);
  }

  workOff(): boolean {
    const [rest] = this.#backlog ?? [];
    if (rest === undefined || !this.open) this.#backlog = undefined;
    else {
      protoKey = rest.protoKey;
      const frames = rest.starts.length - 1;
      try {
        rest.next = this.#dispatch(rest.bytes, rest.starts, rest.next, frames);
      } catch (error) {
        this.#owner.failed(error);
        this.close('internal');
      }
      if (rest.next === frames) {
        this.#backlog?.shift();
        this.#backlogBytes -= weightOf(rest);
      }
      if (this.open && this.#backlog !== undefined && this.#backlog.length > 0) return false;
      this.#backlog = undefined;
    }
    this.#backlogBytes = 0;
    return true;
  }

  /** Of the message that is being dispatched: whether its data is worth a look for such a key. */
  get sawProtoKey(): boolean {
    return protoKey;
  }

  // ---- what the server does with it --------------------------------------------------------------

  /** WELCOME is on its way: frames are taken from now on. */
  welcomed(session: ServerSession): void {
    this.session = session;
    this.#info = undefined;
    this.state = 'live';
    this.#timer.cancel();
    this.#watch(this.#owner.pingEvery);
  }

  #watch(ms: number): void {
    this.#timer = this.#owner.afterAwake(ms, () => {
      const { pingEvery, pingTimeout } = this.#owner;
      // Every message takes the mark away.
      if (this.#pinged) return this.close('ping_timeout');
      const silent = this.#owner.monotonic() - this.#lastSeen;
      if (silent < pingEvery) return this.#watch(pingEvery - silent);
      this.#pinged = true;
      this.outbox.push(writePing());
      this.#watch(pingTimeout);
    });
  }

  /** Whether something of its own is being worked on and is still to be answered. */
  get underWay(): boolean {
    return this.open && (this.#backlog !== undefined || this.requests.underWay);
  }

  ack(id: number, data: unknown): void {
    this.outbox.push(writeAck(id, data));
  }

  /** A request is answered with NACK by whoever took it. */
  refused(error: RoomwireError, target?: string): void {
    this.#owner.refused(this, error, target);
    this.stray(0, REFUSAL_WEIGHT);
  }

  nack(id: number, error: RoomwireError, target?: string): void {
    this.refused(error, target);
    if (!this.open) return;
    if (id === 0 && this.#tooManyUnasked()) return;
    this.outbox.push(writeNack(id, error));
  }

  /**
   * Counts a frame that is refused, or that no rate counts, by its size. False: there were too many, and the
   * connection is closed. Answering each would cost more than it costs to send them (RW-LIM-3).
   */
  stray(bytes = 0, least = 1): boolean {
    const { session } = this;
    const weight = least + Math.floor(bytes / STRAY_BYTES);
    if (session === undefined || this.#owner.strays(session, weight, this.#lastSeen)) return true;
    this.close('overloaded', 'too many frames that were refused or asked for nothing', STRAYS_MS);
    return false;
  }

  /** What failed without being waited for is told, but not without end (RW-PUB-4). */
  #tooManyUnasked(): boolean {
    const now = this.#owner.monotonic();
    if (now - this.#unaskedSince >= 1_000) {
      this.#unaskedSince = now;
      this.#unasked = 0;
    }
    return ++this.#unasked > UNASKED_A_SECOND;
  }

  /** Calls the client. Rejects with deadline, too_many, disconnected or the client's own error. */
  call(name: string, data: unknown, timeoutMs: number): Promise<Value> {
    if (this.state !== 'live') return Promise.reject(new RoomwireError('disconnected'));
    return this.requests.call(name, data, timeoutMs);
  }

  /** Says why (GOAWAY, best effort), closes with the code, and is done with the connection at once. */
  close(name: CloseName, reason: string = closeTexts[name].meaning, retryAfterMs = 0): void {
    if (!this.open) return;
    const code = closes[name];
    // A program's words, or a backend's: a throw here would leave the socket open.
    const told = shortened(reason, REASON_LENGTH);
    this.#owner.closing(this, name, told);
    this.outbox.write();
    this.state = 'closed';
    this.#timer.cancel();
    this.#socket.send(writeGoaway(code, told, retryAfterMs));
    this.#socket.end(code, shorten(told));
    this.requests.abandon();
  }

  terminate(): void {
    this.#socket.terminate();
  }
}

/** A close frame's reason holds 123 bytes. */
function shorten(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= 123) return reason;
  let end = 123;
  while ((bytes[end] as number) >> 6 === 2) end--;
  return bytes.toString('utf8', 0, end);
}
