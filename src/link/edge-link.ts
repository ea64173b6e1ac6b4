/** The edge's end of a link: engine's sockets and requests to the hub, and back. Decides nothing and keeps nothing. */
import type { Duplex } from 'node:stream';
import { closes } from '../protocol/codes.js';
import type { Doorkeeper } from '../server/gate/doorkeeper.js';
import type {
  Gone,
  HttpRequest,
  HttpResponse,
  Socket,
  SocketEvents,
  StreamedBody,
  UpgradeInfo,
} from '../server/transport/transport.js';
import { Bodies } from './bodies.js';
import { Channel } from './channel.js';
import { ending, LinkError, number, Op, pack, readEnding, unpack } from './frames.js';
import { InFlight } from './in-flight.js';
import { ASKS, type AnswerHead, type Gauges, type Join, type Refused, type Settings } from './messages.js';
import { inTurns } from '../server/transport/turns.js';

/** A hub is believed: this bounds what a broken one can do. */
const FRAME_BYTES = 64 * 1024 * 1024;
/**
 * Messages that the hub has not taken. An engine cannot be told to stop reading, so a burst within a client's limits, or of
 * many clients while the hub is busy for a moment, is held here, in the edge; the hub reads as it can.
 */
const INBOUND = 64 * 1024 * 1024;
const LAST_CONNECTION = 0xffff_ffff;

export interface EdgeLinkOwner {
  /** The first time, or anew. */
  settings(link: EdgeLink, settings: Settings): void;
  shun(address: string, ms: number): void;
  /** Take no connection any more. `how`: a Stop. */
  stop(link: EdgeLink, how: number): void;
  gauges(): Omit<Gauges, 'connections' | 'inFlightBytes'>;
  /** `goodbyes`: until all of its clients have been told. */
  closed(link: EdgeLink, why: string, goodbyes: Promise<void>): void;
  failed(error: unknown): void;
}

const NOBODY: SocketEvents = { message: () => undefined, drained: () => undefined, closed: () => undefined };

interface Asked {
  head: AnswerHead | undefined;
  answer(response: HttpResponse): void;
}

/** Where a client is counted: who reads an answer in parts is not. */
interface At {
  readonly address: string;
  readonly door: Doorkeeper;
}

/** One client, as the hub knows it, or the answer that one reads in parts. */
class EdgeSocket implements SocketEvents {
  readonly id: number;
  readonly socket: Socket;
  readonly #at: At | undefined;
  readonly inFlight = new InFlight();
  stalled = false;
  /** The hub has ended it: it needs not be told. */
  isOver = false;
  readonly #link: EdgeLink;

  constructor(link: EdgeLink, id: number, socket: Socket, at: At | undefined) {
    this.#link = link;
    this.id = id;
    this.socket = socket;
    this.#at = at;
    at?.door.opened(at.address);
  }

  get isStream(): boolean {
    return this.#at === undefined;
  }

  message(bytes: Uint8Array, binary: boolean): void {
    this.#link.message(this, bytes, binary);
  }

  drained(): void {
    this.#link.drained(this);
  }

  closed(code: number, reason: string): void {
    this.#at?.door.closed(this.#at.address);
    this.#link.ended(this, code, reason);
  }
}

export class EdgeLink {
  readonly channel: Channel;
  readonly #owner: EdgeLinkOwner;
  readonly #bodies: Bodies;
  readonly #sockets = new Map<number, EdgeSocket>();
  readonly #asked = new Map<number, Asked>();
  settings: Settings | undefined;
  #lastConnection = 0;
  #lastAsk = 0;
  #farewell: { readonly code: number; readonly bytes: Uint8Array } | undefined;

  constructor(
    stream: Duplex,
    { join, isOwned }: { readonly join: Join; readonly isOwned: boolean },
    owner: EdgeLinkOwner,
  ) {
    this.#owner = owner;
    this.channel = new Channel({
      stream,
      frame: (op, a, payload) => this.#frame(op, a, payload),
      taken: () => undefined,
      second: () => this.#second(),
      closed: (why) => this.#closed(why),
      // An engine has a callback for each message: those of one turn leave together.
      later: (write) => void setImmediate(write),
      failed: (error) => owner.failed(error),
      // A hub that is stopped for a while, with all of its machine or by itself, goes on where it was; its end closes the pipe.
      isPatient: isOwned,
    });
    this.#bodies = new Bodies(this.channel);
    this.channel.trust(FRAME_BYTES);
    this.channel.send(Op.JOIN, 0, pack(join));
  }

  /** Whether the hub may be given connections. */
  get serves(): boolean {
    return this.channel.open && this.settings !== undefined;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Nobody is left here. */
  get isEmpty(): boolean {
    return this.#sockets.size === 0 && this.#asked.size === 0;
  }

  // ---- what the engine tells ---------------------------------------------------------------------

  open(socket: Socket, info: UpgradeInfo, at: At): SocketEvents {
    return this.#open(Op.OPEN, pack(info), socket, at);
  }

  #open(op: number, payload: Uint8Array, socket: Socket, at?: At): SocketEvents {
    const id = ++this.#lastConnection;
    const opened = new EdgeSocket(this, id, socket, at);
    this.#sockets.set(id, opened);
    this.channel.send(op, id, payload);
    // No number is used twice on one link.
    if (id === LAST_CONNECTION) this.channel.close('all numbers of connections are used up');
    return opened;
  }

  message(from: EdgeSocket, bytes: Uint8Array, binary: boolean): void {
    const { channel } = this;
    if (from.isOver || !channel.open) return;
    if (channel.inFlight > INBOUND) {
      // The hub reads nothing: those who fill the window with most make room.
      let worst = from;
      for (const one of this.#sockets.values()) {
        if (one.inFlight.count(channel.acked) > worst.inFlight.count(channel.acked)) worst = one;
      }
      this.#cut(worst);
      if (worst === from) return;
      if (channel.inFlight > 2 * INBOUND) return channel.close('the hub takes nothing');
    }
    channel.send(binary ? Op.MESSAGE : Op.TEXT, from.id, binary ? bytes : undefined);
    from.inFlight.add(bytes.length, channel.sent, channel.acked);
  }

  #cut(socket: EdgeSocket): void {
    socket.socket.end(closes.overloaded, 'more is under way to the server than it takes');
  }

  drained(socket: EdgeSocket): void {
    if (!socket.stalled || socket.isOver) return;
    socket.stalled = false;
    this.channel.send(Op.DRAIN, socket.id);
  }

  ended(socket: EdgeSocket, code: number, reason: string): void {
    this.#sockets.delete(socket.id);
    if (!socket.isOver) this.channel.send(Op.CLOSED, socket.id, ending(code, reason));
  }

  request({ body, ...head }: HttpRequest, gone: Gone): Promise<HttpResponse> {
    if (this.#asked.size >= ASKS) return Promise.resolve(away('too many requests are under way'));
    const id = ++this.#lastAsk;
    return new Promise((answer) => {
      this.#asked.set(id, { head: undefined, answer });
      this.channel.send(Op.ASK, id, pack({ ...head, bodyBytes: body.length }));
      this.#bodies.send(id, body);
      gone(() => {
        if (!this.#asked.delete(id)) return;
        this.#bodies.drop(id);
        this.channel.send(Op.ABORT, id);
      });
    });
  }

  refused(refused: Refused): void {
    this.channel.send(Op.REFUSED, 0, pack(refused));
  }

  listening(port: number, problem?: Error): void {
    const text = problem && JSON.stringify({ code: (problem as NodeJS.ErrnoException).code, message: problem.message });
    this.channel.send(Op.LISTENING, port, Buffer.from(text ?? ''));
  }

  leave(spreadMs: number): void {
    this.channel.send(Op.LEAVING, spreadMs);
  }

  // ---- what the hub tells ------------------------------------------------------------------------

  #frame(op: number, a: number, payload: Buffer): void {
    switch (op) {
      case Op.SEND:
        return this.#send(a, payload);
      case Op.MULTI:
        return this.#sendMany(a, payload);
      case Op.END:
        return this.#end(a, payload);
      case Op.CUT: {
        const socket = this.#over(a);
        return socket?.socket.terminate();
      }
      case Op.ANSWER:
        return this.#answer(a, unpack<AnswerHead>(payload));
      case Op.PART:
        return this.#bodies.part(a, payload);
      case Op.CREDIT:
        return this.#bodies.credit(a, payload);
      case Op.SHUN:
        return this.#owner.shun(payload.toString(), a);
      case Op.SETTINGS:
        this.settings = { ...this.settings, ...unpack<Settings>(payload) };
        return this.#owner.settings(this, this.settings);
      case Op.FAREWELL:
        this.#farewell = { code: a, bytes: Buffer.from(payload) };
        return;
      case Op.STOP:
        return this.#owner.stop(this, a);
      case Op.REFUSE:
        throw new LinkError(`refused this edge: ${payload.toString()}`);
    }
  }

  #send(id: number, bytes: Buffer): void {
    const to = this.#sockets.get(id);
    if (to === undefined || to.isOver) return;
    const result = to.socket.send(bytes);
    if (result === 'sent') return;
    // Never discarded: the hub has counted it as sent. It comes again, and is fed from where it was.
    if (result === 'dropped') return to.socket.terminate();
    if (to.stalled) return;
    to.stalled = true;
    this.channel.send(Op.STALL, id, number(to.socket.bufferedBytes()));
  }

  #sendMany(count: number, payload: Buffer): void {
    if (count * 4 > payload.length) throw new LinkError('sent a group without its numbers');
    const bytes = payload.subarray(count * 4);
    for (let i = 0; i < count; i++) this.#send(payload.readUInt32LE(i * 4), bytes);
  }

  #over(id: number): EdgeSocket | undefined {
    const socket = this.#sockets.get(id);
    if (socket === undefined || socket.isOver) return undefined;
    socket.isOver = true;
    this.#sockets.delete(id);
    return socket;
  }

  #end(id: number, payload: Buffer): void {
    const { code, reason } = readEnding(payload);
    this.#over(id)?.socket.end(code, reason);
  }

  #answer(id: number, head: AnswerHead): void {
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    asked.head = head;
    const { status, headers, filler } = head;
    if (filler !== undefined) return asked.answer({ status, headers, body: this.#streamed(id, filler) });
    this.#bodies.await(id, head.bodyBytes, (body) => {
      this.#asked.delete(id);
      asked.answer({ status, headers, body });
    });
  }

  /** Until it is opened the exchange goes on: who leaves is an ABORT. */
  #streamed(id: number, filler: Uint8Array): StreamedBody {
    return {
      // A copy: the view would keep its whole piece.
      filler: new Uint8Array(filler),
      open: (socket) => {
        if (this.#asked.delete(id)) return this.#open(Op.STREAM, number(id), socket);
        // Its reader, or the hub, has gone meanwhile: the link would end over an exchange that is over.
        socket.terminate();
        return NOBODY;
      },
    };
  }

  #second(): void {
    if (this.settings === undefined) return;
    const { connections } = this;
    this.channel.send(
      Op.GAUGES,
      0,
      pack({ ...this.#owner.gauges(), connections, inFlightBytes: this.channel.inFlight } satisfies Gauges),
    );
  }

  /** The hub is gone: clients are told to come again, and when. */
  #closed(why: string): void {
    const sockets = [...this.#sockets.values()];
    this.#sockets.clear();
    for (const asked of this.#asked.values()) asked.answer(away('the hub went away while it answered', 502));
    this.#asked.clear();
    const { code = closes.draining, bytes } = this.#farewell ?? {};
    for (const socket of sockets) socket.isOver = true;
    const goodbyes = inTurns(sockets, ({ socket, isStream }) => {
      if (bytes !== undefined && !isStream) socket.send(bytes);
      socket.end(code, 'the server is restarting');
    });
    this.#owner.closed(this, why, goodbyes);
  }
}

/** What HTTP gets while there is no hub to answer. 502: it may have been executed. */
export function away(detail: string, status: 502 | 503 = 503): HttpResponse {
  const headers = { 'content-type': 'application/problem+json', 'retry-after': '1' };
  return { status, headers, body: JSON.stringify({ type: 'about:blank', title: 'the hub is away', status, detail }) };
}
