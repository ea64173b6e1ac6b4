/**
 * One end of a link: frames out, written once a turn; frames in; the window, which bounds what the other end has not taken
 * yet; and the heartbeat. Both sides use it: hub-link.ts and edge.ts.
 */
import type { Duplex } from 'node:stream';
import { FrameReader, HEADER, LinkError, Op } from './frames.js';
import { Outgoing } from './outgoing.js';

/** Bytes under way in one direction. What must not wait (an end, an answer's head) may go beyond it. */
export const WINDOW = 8 * 1024 * 1024;
/** Bytes taken are told at the latest after so many. */
const TELL = 64 * 1024;
const PING_MS = 1_000;
/** Without a byte. Less than a third of the shortest usual grace, so that clients are back within it. */
const DEAD_MS = 5_000;
/** What a peer may send before it is known. */
const STRANGER_BYTES = 4 * 1024;
const MOST_IN_ONE = 65_536;

export interface ChannelOptions {
  readonly stream: Duplex;
  /** Throws a LinkError for what the peer must not send. */
  readonly frame: (op: number, a: number, payload: Buffer) => void;
  /** The peer took something. */
  readonly taken: () => void;
  /** Once a second while it is open. */
  readonly second: () => void;
  /** The other end is known to live as long as the stream is open: it is not given up for its silence. */
  readonly isPatient?: boolean;
  /** Ms the other end may take to begin: its process is still to start. */
  readonly startMs?: number;
  /** Exactly once. */
  readonly closed: (why: string) => void;
  /** Runs `write` when this turn's frames are together. */
  readonly later: (write: () => void) => void;
  readonly failed: (error: unknown) => void;
}

export class Channel {
  readonly #options: ChannelOptions;
  readonly #reader: FrameReader;
  readonly #timer: NodeJS.Timeout;
  readonly #outgoing: Outgoing;
  #isScheduled = false;
  /** Connections that get the same bytes, one after the other. */
  #group: number[] = [];
  #groupBytes: Uint8Array | undefined;
  /** Bytes ever queued here, and those of them that the peer has taken. */
  #sent = 0;
  #acked = 0;
  /** Bytes taken here and not told yet. */
  #untold = 0;
  #heardAt = performance.now();
  #lookedAt = this.#heardAt;
  #problem = '';
  #isOpen = true;

  constructor(options: ChannelOptions) {
    this.#options = options;
    const { stream } = options;
    this.#outgoing = new Outgoing(stream);
    this.#reader = new FrameReader(STRANGER_BYTES, (op, a, payload) => this.#take(op, a, payload));
    stream.on('data', (piece: Buffer) => this.#read(piece));
    stream.on('error', (error) => (this.#problem ||= error.message));
    stream.on('end', () => this.close('the other end closed it'));
    stream.on('close', () => this.close('the connection was lost'));
    this.#heardAt += Math.max(0, (this.#options.startMs ?? 0) - DEAD_MS);
    this.#timer = setInterval(() => this.#second(), PING_MS).unref();
  }

  get open(): boolean {
    return this.#isOpen;
  }

  /** The number of the next byte. */
  get sent(): number {
    return this.#sent;
  }

  get acked(): number {
    return this.#acked;
  }

  get inFlight(): number {
    return this.#sent - this.#acked;
  }

  get full(): boolean {
    return this.inFlight >= WINDOW || !this.#isOpen;
  }

  /** The peer is known. `maxBytes`: of a frame's payload from now on. */
  trust(maxBytes: number): void {
    this.#reader.maxBytes = maxBytes;
  }

  /** Copies the payload. */
  send(op: number, a: number, payload?: Uint8Array): void {
    if (!this.#isOpen) return;
    this.#closeGroup();
    this.#sent += this.#outgoing.frame(op, a, payload);
    this.#schedule();
  }

  /**
   * The same bytes for one more connection: sends of one object that follow one another leave as one frame. The bytes are
   * kept until the turn's end and must not change.
   */
  deliver(connection: number, bytes: Uint8Array): void {
    if (!this.#isOpen) return;
    if (bytes === this.#groupBytes && this.#group.length < MOST_IN_ONE) {
      // The first of a group is named in the head itself.
      this.#sent += this.#group.length === 1 ? 8 : 4;
      this.#group.push(connection);
      return;
    }
    this.#closeGroup();
    this.#groupBytes = bytes;
    this.#group.push(connection);
    this.#sent += HEADER + bytes.length;
    this.#schedule();
  }

  #closeGroup(): void {
    const bytes = this.#groupBytes;
    if (bytes === undefined) return;
    this.#groupBytes = undefined;
    this.#outgoing.delivery(this.#group, bytes);
    this.#group = [];
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#options.later(this.#write);
  }

  readonly #write = (): void => {
    this.#isScheduled = false;
    if (!this.#isOpen) return;
    this.#closeGroup();
    if (this.#untold > 0) {
      this.#sent += this.#outgoing.frame(Op.TAKEN, this.#untold, undefined);
      this.#untold = 0;
    }
    this.#outgoing.write();
  };

  #read(piece: Buffer): void {
    if (!this.#isOpen) return;
    this.#heardAt = performance.now();
    try {
      this.#reader.push(piece);
    } catch (error) {
      if (!(error instanceof LinkError)) this.#options.failed(error);
      return this.close(error instanceof LinkError ? error.message : 'it could not be served: internal error');
    }
    // After the frames' own effects: a STALL stands before what says that its bytes were taken.
    this.#untold += piece.length;
    if (this.#untold >= TELL) this.#schedule();
  }

  #take(op: number, a: number, payload: Buffer): void {
    if (!this.#isOpen || op === Op.PING) return;
    if (op !== Op.TAKEN) return this.#options.frame(op, a, payload);
    if (a > this.inFlight) throw new LinkError('took bytes that were never sent');
    this.#acked += a;
    this.#options.taken();
  }

  #second(): void {
    const now = performance.now();
    // A process that was stopped itself has not looked: what came meanwhile is still to be read.
    const wasAway = now - this.#lookedAt > 2 * PING_MS;
    this.#lookedAt = now;
    if (wasAway) this.#heardAt = Math.max(this.#heardAt, now - DEAD_MS + 2 * PING_MS);
    const isSilent = now - this.#heardAt > DEAD_MS && this.#options.isPatient !== true;
    if (isSilent) {
      this.close(`silent for ${DEAD_MS / 1_000} s`);
      // Nobody is there to take what is queued.
      return void this.#options.stream.destroy();
    }
    this.#options.second();
    this.send(Op.PING, 0);
  }

  /** What is queued still leaves, then the stream ends. Reports `closed` before it returns. */
  close(why: string): void {
    if (!this.#isOpen) return;
    this.#write();
    this.#isOpen = false;
    clearInterval(this.#timer);
    const { stream } = this.#options;
    stream.end();
    // A peer that takes nothing must not hold it.
    setTimeout(() => stream.destroy(), DEAD_MS).unref();
    this.#options.closed(this.#problem === '' ? why : `${why} (${this.#problem})`);
  }
}
