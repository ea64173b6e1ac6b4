/** One connection of a client under test, from the scripted server's side: what came, and what it is sent. */
import type { WebSocket } from 'ws';
import { concat, decodeAll, DecodeError, encode } from '../protocol/codec.js';
import { Op, type Position } from '../protocol/frames.js';
import { scanReason } from '../protocol/scan.js';
import type { Changes } from './changes.js';
import type { Line } from './driver.js';
import { shown, type Frame } from './patterns.js';
import { Mismatch } from './wire.js';

export interface Call {
  readonly id: number;
  readonly data: Line;
  readonly options: Line;
}

export class Peer {
  readonly socket: WebSocket;
  /** Those that the script has not taken. */
  readonly frames: Frame[] = [];
  readonly messages: number[] = [];
  /** Calls that are answered at once, whenever they come. */
  readonly answers = new Map<string, () => unknown>();
  readonly openedAt = performance.now();
  closed: number | undefined;
  last: Uint8Array | undefined;
  helloId = 1;
  readonly #changes: Changes;
  /** Requests without an answer, by id. */
  readonly #waiting = new Map<unknown, Frame>();
  /** This server's own calls that wait, and PINGs. */
  readonly #calls = new Set<unknown>();
  #pings = 0;
  #welcomed = false;
  /** Of each topic, as this server has told it. */
  readonly #positions: Map<unknown, Position>;
  /** What is to leave when nothing stalls any more. */
  #held: Uint8Array[] | undefined;

  constructor(socket: WebSocket, changes: Changes, positions: Map<unknown, Position>) {
    this.socket = socket;
    this.#changes = changes;
    this.#positions = positions;
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer, isBinary) => {
      this.last = data;
      try {
        if (!isBinary) throw new TypeError('RW-CON-3: a text message');
        const frames = decodeAll(new Uint8Array(data));
        this.messages.push(frames.length);
        for (const frame of frames) this.#watch(frame);
      } catch (error) {
        const why =
          error instanceof DecodeError
            ? `RW-ENC-1: frame ${error.frame}: ${scanReason(error.refusal)}`
            : (error as Error).message;
        changes.fail(new Mismatch(why));
      }
      changes.tell();
    });
    socket.on('close', (code) => {
      this.closed = code;
      changes.tell();
    });
  }

  send(...frames: readonly Frame[]): void {
    for (const frame of frames) this.#note(frame);
    const message = concat(frames.map((frame) => encode(frame)));
    if (this.#held) this.#held.push(message);
    else this.socket.send(message);
  }

  /** The next frame of an opcode; others stay. */
  async take(op: number, fits: (frame: Frame) => boolean = () => true): Promise<Frame> {
    const wanted = (frame: Frame): boolean => frame[0] === op && fits(frame);
    await this.#changes.until(
      () => this.frames.some(wanted),
      () => `no frame ${op} came; there are ${shown(this.frames)}`,
    );
    return this.frames.splice(this.frames.findIndex(wanted), 1)[0] as Frame;
  }

  /** The next CALL of a name. */
  async call(name: string): Promise<Call> {
    const [, id, , data, options = {}] = await this.take(Op.CALL, ([, , called]) => called === name);
    return { id: id as number, data: data as Line, options: options as Line };
  }

  /** What the client sent until now has come. */
  async settled(): Promise<void> {
    for (const stamp of ['settled-1', 'settled-2']) {
      this.send([Op.PING, stamp]);
      await this.take(Op.PONG, ([, answer]) => answer === stamp);
    }
  }

  async gone(): Promise<void> {
    await this.#changes.until(
      () => this.closed !== undefined,
      () => 'the client keeps the connection',
    );
  }

  /** GOAWAY, then a close with its code; returns when that was. */
  goaway(code: number, retryAfterMs = 0): number {
    this.send([Op.GOAWAY, code, 'conform', retryAfterMs]);
    return this.close(code);
  }

  close(code: number): number {
    this.socket.close(code, 'conform');
    return performance.now();
  }

  /** Nothing gets through, either way, until `resume`. */
  stall(): void {
    this.#held ??= [];
    this.socket.pause();
  }

  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.socket.resume();
    for (const message of held) this.socket.send(message);
  }

  #note([op, about, ...rest]: Frame): void {
    switch (op) {
      case Op.WELCOME:
        this.#welcomed = true;
        break;
      case Op.PING:
        this.#pings++;
        break;
      case Op.CALL:
        this.#calls.add(about);
        break;
      case Op.ACK:
      case Op.NACK: {
        const [asked, , topic] = this.#waiting.get(about) ?? [];
        this.#waiting.delete(about);
        const { epoch, offset } = (rest[0] ?? {}) as { readonly epoch: string; readonly offset: number };
        if (asked === Op.SUBSCRIBE && op === Op.ACK) this.#positions.set(topic, [epoch, offset]);
        break;
      }
      case Op.SUBSCRIBED:
      case Op.RESET:
        this.#positions.set(about, rest.slice(0, 2) as [string, number]);
        break;
      case Op.EVENTS: {
        const [first, ...items] = rest;
        const [epoch] = this.#positions.get(about) ?? ['e'];
        this.#positions.set(about, [epoch, (first as number) + items.length - 1]);
        break;
      }
      case Op.REMOVED:
        this.#positions.delete(about);
    }
  }

  /** Rules that hold for whatever a client sends. */
  #watch(frame: Frame): void {
    const [op, id, name] = frame;
    if (op !== Op.HELLO && !this.#welcomed) throw new TypeError(`RW-HEL-1: ${shown(frame)} came before WELCOME`);
    if (op === Op.HELLO && this.messages.length > 1) throw new TypeError('RW-HEL-1: a second HELLO');
    if (op === Op.PONG && this.#pings-- === 0) throw new TypeError('RW-CON-9: a PONG that no PING asked for');
    if ((op === Op.ACK || op === Op.NACK) && !this.#calls.delete(id))
      throw new TypeError(`RW-FRM-3: an answer to ${shown(id)}, which does not wait`);
    // No script offers it.
    if (op === Op.POSITION) throw new TypeError('RW-POS-6: POSITION, and the feature was not agreed');
    const asks = [Op.AUTH, Op.CALL, Op.SUBSCRIBE, Op.UNSUBSCRIBE, Op.PUBLISH] as readonly unknown[];
    if (asks.includes(op) && !(op === Op.PUBLISH && id === 0)) {
      if (!Number.isSafeInteger(id) || (id as number) < 1 || (id as number) > 0x7fff_ffff)
        throw new TypeError(`RW-FRM-2: ${shown(id)} is no id`);
      if (this.#waiting.has(id)) throw new TypeError(`RW-FRM-2: the id ${shown(id)} still waits`);
      this.#waiting.set(id, frame);
    }
    const answer = op === Op.CALL ? this.answers.get(name as string) : undefined;
    if (answer) this.send([Op.ACK, id, answer()]);
    else this.frames.push(frame);
  }
}
