/** The hub's end of the link to one edge: what the edge tells of its connections and requests finds who answers it. */
import type { Duplex } from 'node:stream';
import type { EdgeReport } from '../protocol/http-answers.js';
import { type Answer, ask, isStreamed } from '../server/transport/http-answer.js';
import type { HubTransportOptions } from '../server/gate/doors.js';
import type { SocketEvents, StreamedBody } from '../server/transport/transport.js';
import { Bodies } from './bodies.js';
import { Channel, WINDOW } from './channel.js';
import { LinkError, Op, pack, readEnding, readNumber, Stop, unpack, VERSIONS } from './frames.js';
import { readGauges, readJoin, readUpgrade } from './messages.js';
import { ASKS, type AnswerHead, type Ask, type Gauges, type Join, type Refused, type Settings } from './messages.js';
import { LinkSocket, type SocketOwner } from './socket.js';
import { inTurns } from '../server/transport/turns.js';

/** Beside a message's own bytes, or a body's part: an upgrade's or a request's headers. */
const HEAD_BYTES = 256 * 1024;
/** What one who reads an answer in parts may leave lying: the edge says only after a while that its engine holds back. */
const STREAM_BYTES = 256 * 1024;
/** A reaction to it runs as soon as the callback is over; `queueMicrotask` makes a resource for each. */
const NOW = Promise.resolve();
/** Until it says who it is: one that dialled, and one whose process this hub has just started. */
const STRANGER_MS = 5_000;
const START_MS = 60_000;
/** Answers and ends go beyond the window. Whoever takes none of them, and goes on, is no edge. */
const UNTAKEN = 4 * WINDOW;

export interface HubLinkOwner {
  readonly options: HubTransportOptions;
  /** How the edge is to work; an Error: it is refused, and told why. */
  join(link: HubLink, join: Join): Settings | Error;
  listening(link: HubLink, port: number, problem: string): void;
  second(link: HubLink): void;
  closed(link: HubLink, end: { readonly why: string; readonly connections: number }): void;
}

export class HubLink implements SocketOwner {
  readonly channel: Channel;
  readonly bodies: Bodies;
  /** Where the edge is, for people. */
  readonly from: string;
  /** Started by this hub, and ends with it. */
  readonly isOwned: boolean;
  /** The name under which it is known here, once it is. */
  name = '';
  joined: Join | undefined;
  port: number | null = null;
  state: EdgeReport['state'] = 'joined';
  readonly failed = (error: unknown): void => this.#owner.options.failed(error);
  readonly #owner: HubLinkOwner;
  readonly #since = performance.now();
  readonly #sockets = new Map<number, LinkSocket>();
  readonly #waiting = new Set<LinkSocket>();
  /** Exchanges that are being answered. */
  readonly #asks = new Map<number, (() => void) | undefined>();
  /** Bodies in parts whose answer's head has left, by exchange. */
  readonly #toStream = new Map<number, StreamedBody>();
  #version = 0;
  #streams = 0;
  #lastConnection = 0;
  #lastAsk = 0;
  #gauges: Gauges | undefined;

  constructor(stream: Duplex, from: { readonly text: string; readonly isOwned: boolean }, owner: HubLinkOwner) {
    this.#owner = owner;
    this.from = from.text;
    this.isOwned = from.isOwned;
    this.channel = new Channel({
      stream,
      ...(this.isOwned ? { startMs: START_MS } : {}),
      frame: (op, a, payload) => this.#frame(op, a, payload),
      taken: () => this.#wake(),
      second: () => this.#second(),
      closed: (why) => this.#closed(why),
      // The hub sends in one callback a tick: all of it leaves as soon as that is over.
      later: (write) => void NOW.then(write),
      failed: this.failed,
    });
    this.bodies = new Bodies(this.channel);
  }

  /** WebSockets. */
  get connections(): number {
    return this.#sockets.size - this.#streams;
  }

  waits(socket: LinkSocket): void {
    this.#waiting.add(socket);
  }

  gone(socket: LinkSocket): void {
    if (this.#sockets.delete(socket.id) && socket.isStream) this.#streams--;
    this.#waiting.delete(socket);
  }

  /** The edge gives its clients to others, at moments within `spreadMs`. */
  leave(spreadMs: number): void {
    this.state = 'draining';
    void inTurns([...this.#sockets.values()], (socket) => socket.sink.leave(spreadMs));
  }

  /** Takes no more connections from it. */
  stop(): void {
    this.channel.send(Op.STOP, this.isOwned ? Stop.CLOSE_PORT : Stop.REFUSE);
  }

  report(): EdgeReport {
    const { engine, package: version } = this.joined as Join;
    return {
      name: this.name,
      address: this.from,
      version,
      engine,
      port: this.port,
      ageMs: Math.round(performance.now() - this.#since),
      state: this.state,
      connections: this.connections,
      inFlightBytes: this.channel.inFlight,
      cpuSeconds: this.#gauges?.cpuSeconds ?? 0,
      rssBytes: this.#gauges?.rssBytes ?? 0,
      loopDelay: this.#gauges?.loopDelay ?? [0, 0, 0],
    };
  }

  #second(): void {
    if (this.joined !== undefined) return this.#owner.second(this);
    // Also one that says it byte by byte, and would hold an edge's place for as long as it likes.
    if (performance.now() - this.#since > (this.isOwned ? START_MS : STRANGER_MS))
      this.channel.close('did not say in time who it is');
  }

  #frame(op: number, a: number, payload: Buffer): void {
    if (this.joined === undefined) return this.#join(op, payload);
    if (this.channel.inFlight > UNTAKEN) throw new LinkError('takes nothing of what it asks for');
    switch (op) {
      case Op.OPEN:
        return this.#open(a, payload);
      // Of one that ended here meanwhile: nobody's.
      case Op.MESSAGE:
        return this.#sockets.get(a)?.sink.message(payload, true);
      case Op.TEXT:
        return this.#sockets.get(a)?.sink.message(payload, false);
      case Op.STALL:
        return this.#sockets.get(a)?.stalls(readNumber(payload));
      case Op.DRAIN:
        return this.#sockets.get(a)?.drains();
      case Op.CLOSED:
        return this.#ended(a, payload);
      case Op.ASK:
        return this.#ask(a, unpack<Ask>(payload));
      case Op.PART:
        return this.bodies.part(a, payload);
      case Op.CREDIT:
        return this.bodies.credit(a, payload);
      case Op.ABORT:
        return this.#abort(a);
      case Op.STREAM:
        return this.#stream(a, readNumber(payload));
      case Op.REFUSED:
        return this.#refused(unpack<Refused>(payload));
      case Op.GAUGES:
        this.#gauges = readGauges(payload);
        return;
      case Op.LISTENING:
        return this.#owner.listening(this, a, payload.toString());
      case Op.LEAVING:
        return this.leave(a);
    }
  }

  #join(op: number, payload: Buffer): void {
    if (op !== Op.JOIN) throw new LinkError('is no edge of roomwire: it does not say who it is');
    const join = readJoin(payload);
    const [least, most] = join.versions;
    const [low, high] = VERSIONS;
    const version = Math.min(most, high);
    const settings =
      version >= Math.max(least, low)
        ? this.#owner.join(this, join)
        : new Error(`speaks versions ${least} to ${most} of the link, and the hub ${low} to ${high}`);
    if (settings instanceof Error) {
      this.channel.send(Op.REFUSE, 0, Buffer.from(settings.message));
      throw new LinkError(`was refused: ${settings.message}`);
    }
    this.joined = join;
    this.#version = version;
    this.name = settings.name;
    this.channel.trust(Math.max(this.#owner.options.messageBytes, HEAD_BYTES));
    this.channel.send(Op.SETTINGS, 0, pack({ ...settings, version }));
  }

  #open(id: number, payload: Buffer): void {
    const info = readUpgrade(payload);
    const { options } = this.#owner;
    const { maxBufferedBytes } = options;
    options.doors.upgraded();
    const open = (socket: LinkSocket): SocketEvents => options.open(socket, { ...info, edge: this.name });
    this.#start(new LinkSocket(this.#newConnection(id), this, { maxBufferedBytes, isStream: false }), open);
  }

  /** The answer that is to be written to. */
  #stream(id: number, exchange: number): void {
    const body = this.#toStream.get(exchange);
    if (body === undefined) throw new LinkError(`opened a stream for exchange ${exchange}, which has none`);
    this.#toStream.delete(exchange);
    this.#asks.delete(exchange);
    this.#streams++;
    const limits = { maxBufferedBytes: STREAM_BYTES, isStream: true };
    this.#start(new LinkSocket(this.#newConnection(id), this, limits), (socket) => body.open(socket));
  }

  #newConnection(id: number): number {
    if (id <= this.#lastConnection) throw new LinkError(`opened connection ${id} a second time`);
    this.#lastConnection = id;
    return id;
  }

  #start(socket: LinkSocket, open: (socket: LinkSocket) => SocketEvents): void {
    this.#sockets.set(socket.id, socket);
    if (socket.sink.start(() => open(socket))) return;
    this.gone(socket);
    this.channel.send(Op.CUT, socket.id);
  }

  #ended(id: number, payload: Buffer): void {
    const { code, reason } = readEnding(payload);
    const socket = this.#sockets.get(id);
    if (socket === undefined) return;
    this.gone(socket);
    socket.sink.close(code, reason);
  }

  #ask(id: number, { bodyBytes, ...head }: Ask): void {
    const { options } = this.#owner;
    if (id <= this.#lastAsk) throw new LinkError(`asked ${id} a second time`);
    if (!Number.isSafeInteger(bodyBytes) || bodyBytes < 0 || bodyBytes > options.bodyBytes) {
      throw new LinkError('announced a body that is larger than may be');
    }
    if (this.#asks.size >= ASKS) throw new LinkError(`asked more than ${ASKS} things at once`);
    this.#lastAsk = id;
    this.#asks.set(id, undefined);
    const gone = (fn: () => void): void => {
      if (this.#asks.has(id)) this.#asks.set(id, fn);
      else fn();
    };
    this.bodies.await(id, bodyBytes, (body) => {
      void ask(options, { ...head, body }, { failed: this.failed, gone }).then((answer) => {
        // Nobody waits for it any more.
        if (!this.#asks.has(id)) return;
        if (this.#version < 2 && isStreamed(answer.body)) return this.#cannotStream(id);
        this.#answer(id, answer);
      });
    });
  }

  #answer(id: number, { status, headers, body }: Pick<Answer, 'status' | 'headers' | 'body'>): void {
    const head = { status, headers: Object.fromEntries(headers) };
    if (isStreamed(body)) {
      // The exchange goes on until the edge has opened the stream.
      this.#toStream.set(id, body);
      return this.channel.send(
        Op.ANSWER,
        id,
        pack({ ...head, bodyBytes: 0, filler: body.filler } satisfies AnswerHead),
      );
    }
    this.#asks.delete(id);
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    this.channel.send(Op.ANSWER, id, pack({ ...head, bodyBytes: bytes.length } satisfies AnswerHead));
    this.bodies.send(id, bytes);
  }

  /** The edge is of a release that takes bodies whole. */
  #cannotStream(id: number): void {
    const left = this.#asks.get(id);
    const body = 'The edge is of an older version: poll, or connect elsewhere.\n';
    this.#answer(id, { status: 503, headers: [['content-type', 'text/plain']], body });
    left?.();
  }

  #abort(id: number): void {
    const left = this.#asks.get(id);
    this.#asks.delete(id);
    this.#toStream.delete(id);
    this.bodies.drop(id);
    left?.();
  }

  #refused({ address, limit, times }: Refused): void {
    this.#owner.options.doors.refused(String(address), String(limit), Number(times));
  }

  /** Those that were told `dropped` go on, in turns, as far as there is room. */
  #wake(): void {
    // Those that wait for their own bytes are few, as the window bounds them all; the stalled ones may be thousands.
    for (const socket of this.#waiting) {
      if (this.channel.full) return;
      if (!socket.isStalled && !socket.hasRoom) continue;
      this.#waiting.delete(socket);
      if (!socket.isStalled) socket.sink.drain();
    }
  }

  #closed(why: string): void {
    const { connections } = this;
    const sockets = [...this.#sockets.values()];
    const asks = [...this.#asks.values()];
    this.#sockets.clear();
    this.#streams = 0;
    this.#waiting.clear();
    this.#asks.clear();
    this.#toStream.clear();
    this.#owner.closed(this, { why, connections });
    for (const left of asks) left?.();
    void inTurns(sockets, (socket) => socket.sink.close(1006, 'its edge was lost'));
  }
}
