/**
 * A scriptable server for tests of the SDK: it takes frames apart, answers HELLO, and does nothing
 * else unless told to. A test waits for a frame, looks at it, and sends what it likes.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { WebSocketServer, type WebSocket } from 'ws';
import { connect as connectInNode } from '../../src/client/node.js';
import type { Client, ConnectOptions } from '../../src/client/types.js';
import { concat, decodeAll, encode } from '../../src/protocol/codec.js';
import type { Contract, ShapeOf } from '../../src/protocol/contract.js';
import { Op, type Hello, type Value, type Welcome } from '../../src/protocol/frames.js';
import { shown, within } from '../support/until.js';

export type Frame = Value[];
export type Matcher = (frame: Frame) => boolean;

/** One connection of a client. */
export class Peer {
  readonly socket: WebSocket;
  readonly frames: Frame[] = [];
  /** Code of the client's close. */
  closed: number | undefined;
  readonly #changed = new Set<() => void>();

  constructor(socket: WebSocket, onFrame: (peer: Peer, frame: Frame) => void) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => {
      for (const frame of decodeAll(new Uint8Array(data))) {
        this.frames.push(frame);
        onFrame(this, frame);
      }
      this.#tell();
    });
    socket.on('close', (code) => {
      this.closed = code;
      this.#tell();
    });
  }

  /** All frames in one message. */
  send(...frames: readonly (readonly unknown[])[]): void {
    this.socket.send(concat(frames.map((frame) => encode(frame))));
  }

  close(code: number, reason = ''): void {
    this.socket.close(code, reason);
  }

  /** As a cut cable: no close frame. */
  cut(): void {
    this.socket.terminate();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#changed.add(resolve));
  }

  /** The next frame that fits and was not taken before. */
  async take(matches: Matcher | number): Promise<Frame> {
    const fits: Matcher = typeof matches === 'number' ? ([op]) => op === matches : matches;
    await this.until(() => this.frames.some(fits));
    return this.frames.splice(this.frames.findIndex(fits), 1)[0] as Frame;
  }

  /** The next CALL of this name: its id, input and options. */
  async call(name: string): Promise<{ id: number; input: Value; options: Value }> {
    const [, id, , input = null, options = null] = await this.take(
      ([op, , called]) => op === Op.CALL && called === name,
    );
    return { id: id as number, input, options };
  }

  #tell(): void {
    const waiting = [...this.#changed];
    this.#changed.clear();
    for (const run of waiting) run();
  }
}

export class FakeServer {
  readonly #http = createServer((request, response) => this.onRequest(request, response));
  readonly #sockets = new WebSocketServer({ server: this.#http });
  readonly peers: Peer[] = [];
  readonly hellos: Hello[] = [];
  /** Answers HELLO; a test may replace it. */
  onHello: (peer: Peer, hello: Hello, id: number) => void = (peer, _hello, id) =>
    peer.send([Op.WELCOME, id, welcome()]);
  onRequest: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => response.end();
  readonly #waiting = new Set<() => void>();

  get url(): string {
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  async listen(): Promise<void> {
    this.#sockets.on('connection', (socket) => {
      this.peers.push(
        new Peer(socket, (peer, frame) => {
          if (frame[0] !== Op.HELLO) return;
          this.hellos.push(frame[2] as unknown as Hello);
          this.onHello(peer, frame[2] as unknown as Hello, frame[1] as number);
        }),
      );
      for (const run of this.#waiting) run();
      this.#waiting.clear();
    });
    await new Promise<void>((resolve) => this.#http.listen(0, '127.0.0.1', resolve));
  }

  /** The connection of this number, counted from 0, when it has said HELLO. */
  async peer(number = 0): Promise<Peer> {
    while (this.peers[number] === undefined) await new Promise<void>((resolve) => this.#waiting.add(resolve));
    const peer = this.peers[number];
    await peer.take(Op.HELLO);
    return peer;
  }

  async close(): Promise<void> {
    for (const { socket } of this.peers) socket.terminate();
    this.#sockets.close();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }
}

/** A server on its own port that ends with the test. */
export async function fakeServer(t: Test): Promise<FakeServer> {
  const server = new FakeServer();
  await server.listen();
  t.teardown(() => server.close());
  return server;
}

/** A client that ends with the test; its reconnects are immediate, and what it reports fails the test. */
export function client<C extends Contract = Contract>(
  t: Test,
  { url }: { readonly url: string },
  options: ConnectOptions = {},
): Client<ShapeOf<C>> {
  const connected = connectInNode<C>(url, {
    random: () => 0,
    onError: (error) => t.fail('reported an error', { error }),
    ...options,
  });
  t.teardown(() => connected.close());
  return connected;
}

let secrets = 0;

export function welcome(parts: Partial<Welcome> = {}): Welcome {
  return {
    session: ['s1', `secret${++secrets}`],
    resumed: false,
    user: { id: 'u1', name: 'Ann' },
    expiresAt: null,
    node: 'n1',
    time: 1_000_000,
    limits: { messageBytes: 1024 * 1024, helloBytes: 16 * 1024 },
    pingEvery: 25_000,
    features: [],
    topics: {},
    ...parts,
  };
}

/** Resolves when the observable satisfies the condition. */
export async function until<T>(
  observable: { get(): T; subscribe(listener: (value: T) => void): () => void },
  condition: (value: T) => boolean,
): Promise<T> {
  while (!condition(observable.get())) {
    const changed = new Promise<void>((resolve) => {
      const stop = observable.subscribe(() => {
        stop();
        resolve();
      });
    });
    await within(changed, shown(condition));
  }
  return observable.get();
}

export function live(client: Pick<Client, 'state'>): Promise<unknown> {
  return until(client.state, ({ status }) => status === 'live');
}

/** Grants the subscription that the client asks for next. */
export async function answerSubscribe(peer: Peer, topic: string, offset: number, recovered = false): Promise<void> {
  const [, id] = await peer.take(([op, , name]) => op === Op.SUBSCRIBE && name === topic);
  peer.send([Op.ACK, id, { epoch: 'e', offset, recovered }]);
}

/** Everything sent before has been handled. */
export async function settled(peer: Peer): Promise<void> {
  peer.send([Op.PING, 'settled']);
  await peer.take(Op.PONG);
}
