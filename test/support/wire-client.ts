/** A client that speaks bare frames, for tests of the protocol itself: it knows nothing of the SDK. */
import { WebSocket } from 'ws';
import { concat, decodeAll, encode } from '../../src/protocol/codec.js';
import { Op, SUBPROTOCOL, type Hello, type Value } from '../../src/protocol/frames.js';

export interface Welcome {
  readonly session: readonly [string, string];
  readonly resumed: boolean;
  readonly user: { readonly id: string; readonly name: string };
  readonly topics: Readonly<Record<string, { epoch: string; offset: number; recovered: boolean; code?: number }>>;
  readonly limits: Readonly<Record<string, number>>;
}

interface Waiter {
  readonly wanted: (frame: Value[]) => boolean;
  readonly found: (frame: Value[]) => void;
}

export class WireClient {
  readonly socket: WebSocket;
  /** Every frame received, in order. */
  readonly frames: Value[][] = [];
  /** Frames per WebSocket message. */
  readonly messages: number[] = [];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly #waiters: Waiter[] = [];
  #id = 1;

  /** `ca`: who signed the server's certificate. */
  constructor(url: string, protocols: string[] = [SUBPROTOCOL], headers: Record<string, string> = {}, ca?: string) {
    this.socket = new WebSocket(url, protocols, {
      headers,
      perMessageDeflate: false,
      ...(ca === undefined ? {} : { ca }),
    });
    this.socket.binaryType = 'nodebuffer';
    this.socket.on('message', (data: Buffer) => {
      const frames = decodeAll(new Uint8Array(data));
      this.messages.push(frames.length);
      for (const frame of frames) {
        this.frames.push(frame);
        for (const waiter of [...this.#waiters]) {
          if (!waiter.wanted(frame)) continue;
          this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
          waiter.found(frame);
        }
      }
    });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
      this.socket.on('error', () => {});
    });
  }

  async open(): Promise<this> {
    if (this.socket.readyState !== WebSocket.OPEN) {
      await new Promise((resolve, reject) => {
        this.socket.once('open', resolve);
        this.socket.once('error', reject);
      });
    }
    return this;
  }

  nextId(): number {
    return this.#id++;
  }

  /** Several frames go as one message. */
  send(...frames: readonly (readonly unknown[])[]): void {
    this.socket.send(concat(frames.map((frame) => encode(frame))));
  }

  /** The first frame, past or to come, that fits; each frame is found by its content, so order of asking is free. */
  frame(wanted: (frame: Value[]) => boolean): Promise<Value[]> {
    const known = this.frames.find(wanted);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((found, reject) => {
      this.#waiters.push({ wanted, found });
      void this.closed.then(({ code, reason }) => reject(new Error(`closed with ${code} ${reason}`)));
    });
  }

  async hello(hello: Partial<Hello> = {}): Promise<Welcome> {
    await this.open();
    const id = this.nextId();
    this.send([Op.HELLO, id, { instance: 'test', ...hello }]);
    const frame = await this.frame(([op, reply]) => op === Op.WELCOME && reply === id);
    return frame[2] as unknown as Welcome;
  }

  /** The ACK's data; rejects with `{code, message, details}` for a NACK. */
  async answer(id: number): Promise<Value> {
    const frame = await this.frame(([op, reply]) => (op === Op.ACK || op === Op.NACK) && reply === id);
    if (frame[0] === Op.ACK) return frame[2] ?? null;
    throw Object.assign(new Error(frame[3] as string), { code: frame[2], details: frame[4] });
  }

  request(op: number, ...parts: readonly unknown[]): Promise<Value> {
    const id = this.nextId();
    this.send([op, id, ...parts]);
    return this.answer(id);
  }

  call<T = Record<string, Value>>(name: string, data: unknown = {}, options?: unknown): Promise<T> {
    return (
      options === undefined ? this.request(Op.CALL, name, data) : this.request(Op.CALL, name, data, options)
    ) as Promise<T>;
  }

  publish(topic: string, event: string, data: unknown, key: string | null = null) {
    return this.request(Op.PUBLISH, topic, event, key, data) as Promise<
      Value & { epoch: string; offset: number; matched: number }
    >;
  }

  subscribe(topic: string, from: readonly [string, number] | null = null) {
    return this.request(Op.SUBSCRIBE, topic, from) as Promise<
      Value & { epoch: string; offset: number; recovered: boolean }
    >;
  }

  /** `[offset, event, data, from]` of every event received of a topic. */
  events(topic: string): [number, string, Value, string | null][] {
    const events: [number, string, Value, string | null][] = [];
    for (const [op, name, first, ...items] of this.frames) {
      if (op !== Op.EVENTS || name !== topic) continue;
      items.forEach((item, i) => {
        const [event, data, from] = item as [string, Value, string | null];
        events.push([(first as number) + i, event, data, from]);
      });
    }
    return events;
  }

  /** Waits until an event of this name has come `count` times. */
  async event(topic: string, event: string, count = 1): Promise<Value> {
    const have = () => this.events(topic).filter(([, name]) => name === event);
    while (have().length < count) {
      const seen = this.frames.length;
      await this.frame((frame) => this.frames.indexOf(frame) >= seen);
    }
    return have()[count - 1]?.[2] ?? null;
  }

  /** All that was sent before this has been answered when it resolves. */
  async barrier(): Promise<void> {
    const stamp = `barrier ${this.nextId()}`;
    this.send([Op.PING, stamp]);
    await this.frame(([op, echoed]) => op === Op.PONG && echoed === stamp);
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }

  cut(): void {
    this.socket.terminate();
  }
}
