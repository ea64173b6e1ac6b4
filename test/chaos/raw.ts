/**
 * Clients that know nothing of the SDK, through the fault proxy: some speak bare frames (subscribe, resume, publish with keys),
 * one publishes over REST with keys. What each asks until it is answered, and what it is told, is recorded, and judged. They
 * work against a host that others end and begin again, until that is over.
 */
import { WebSocket } from 'ws';
import { concat, decodeAll, encode } from '../../src/protocol/codec.js';
import { errors } from '../../src/protocol/codes.js';
import { Op, SUBPROTOCOL, type Position, type Value } from '../../src/protocol/frames.js';
import { textOf } from './history.js';
import type { Recorder } from './recorder.js';
import { PATIENCE_MS, Run, type RunOptions, type RunResult } from './run.js';
import { tokenFor } from '../support/tokens.js';
import { within } from './within.js';

export interface RawOptions extends RunOptions {
  readonly clients: number;
  readonly topics: number;
  readonly apiKey: string;
}

const EVENT = 'message';
const AGAIN_MS = 50;
const LOOK_MS = 5_000;

export const runRaw = (options: RawOptions): Promise<RunResult> => new Raw(options).result();

class Raw extends Run<RawOptions> {
  #restSeq = 0;

  protected override async play(): Promise<void> {
    const { clients: count, topics, shared } = this.options;
    if (shared === undefined) throw new Error('bare clients need a host that others end');
    await this.startHost(() => {
      throw new Error('no server of its own');
    });
    const expected = 1_000_000;
    await this.expose(this.host.port, expected);
    const names = Array.from({ length: topics }, (_, i) => `chat:raw-${i}`);
    const clients: RawClient[] = [];
    for (let i = 0; i < count; i++) {
      const { port } = this.proxy;
      const name = `w${i}`;
      clients.push(new RawClient({ name, port, token: await tokenFor(name), topics: names, recorder: this.recorder }));
    }
    await Promise.all(clients.map((client) => within(PATIENCE_MS, () => client.isLive, `${client.name} is live`)));

    const publishAll = async (publish: (topic: string) => Promise<void>): Promise<void> => {
      while (!this.isOver) {
        await publish(names[this.random.below(topics)] as string);
        this.strikeAt(this.recorder.asked);
        await this.did();
      }
    };
    await Promise.all([
      ...clients.map((client) => publishAll((topic) => client.publish(topic))),
      publishAll((topic) => this.#publishByRest(topic).then(() => undefined)),
    ]);
    this.proxy.calm();
    const heads = new Map<string, Position>();
    for (const topic of names) heads.set(topic, await this.#publishByRest(topic));
    const isBehind = ({ positions }: RawClient): boolean =>
      names.some((topic) => (positions.get(topic)?.[1] ?? 0) < (heads.get(topic)?.[1] ?? 0));
    // Whoever does not come so far is judged as it is.
    await within(PATIENCE_MS, () => !clients.some(isBehind)).catch(() => undefined);
    for (const [topic, at] of heads) this.recorder.note({ kind: 'head', topic, at });
    for (const client of clients) client.close();
    if (this.host.crashed) this.recorder.problem('a node ended by itself');
  }

  /** Until it is answered: with its key it is published once, however often it is asked for. */
  #publishByRest(topic: string): Promise<Position> {
    const data = { w: 'rest', s: this.#restSeq++ };
    const key = `rest-${data.s}`;
    return this.recorder.observe(
      { who: 'rest', call: 'publish', of: topic, text: textOf(EVENT, data) },
      async () => {
        const deadline = performance.now() + PATIENCE_MS;
        for (;;) {
          const answer = await this.#post({ topic, event: EVENT, data, key });
          if (answer !== undefined) return answer;
          if (performance.now() > deadline) throw Object.assign(new Error('no answer'), { code: errors.deadline });
          await pause(AGAIN_MS);
        }
      },
      (at) => ({ at }),
    );
  }

  /** Undefined: nobody can say what became of it. Rejects for a refusal, which is a problem. */
  async #post(body: object): Promise<Position | undefined> {
    const response = await fetch(`http://127.0.0.1:${this.proxy.port}/api/publish`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.options.apiKey}` },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(LOOK_MS),
    }).catch(() => undefined);
    const text = await response?.text().catch(() => undefined);
    if (response === undefined || text === undefined || response.status >= 500) return undefined;
    const { epoch, offset, code } = JSON.parse(text) as { epoch: string; offset: number; code?: number };
    if (response.ok) return [epoch, offset];
    this.recorder.problem(`REST was refused: ${response.status} ${text}`);
    throw Object.assign(new Error(text), { code: code ?? errors.bad_request });
  }
}

interface RawClientOptions {
  readonly name: string;
  readonly port: number;
  readonly token: string;
  readonly topics: readonly string[];
  readonly recorder: Recorder;
}

interface Asked {
  readonly bytes: Uint8Array;
  answered(data: Value): void;
  refused(code: number, message: string): void;
}

interface WelcomeTopic {
  readonly epoch: string;
  readonly offset: number;
  readonly recovered: boolean;
  readonly code?: number;
}

/** One session over all the connections that it takes. */
class RawClient {
  readonly name: string;
  readonly positions = new Map<string, Position>();
  isLive = false;
  readonly #options: RawClientOptions;
  readonly #asked = new Map<number, Asked>();
  #ticket: Value | undefined;
  #socket: WebSocket | undefined;
  #id = 1;
  #seq = 0;
  #isOver = false;

  constructor(options: RawClientOptions) {
    this.#options = options;
    this.name = options.name;
    this.#connect();
  }

  close(): void {
    this.#isOver = true;
    this.#socket?.terminate();
  }

  /** Resolves when it is answered; a refusal is a problem. */
  publish(topic: string): Promise<void> {
    const { recorder } = this.#options;
    const data = { w: this.name, s: this.#seq++ };
    const key = `${this.name}-${data.s}`;
    return new Promise((resolve) => {
      const op = recorder.ask({ who: this.name, call: 'publish', of: topic, text: textOf(EVENT, data) });
      const id = this.#id++;
      const timer = setTimeout(() => this.#asked.get(id)?.refused(errors.deadline, 'no answer'), PATIENCE_MS);
      this.#asked.set(id, {
        bytes: encode([Op.PUBLISH, id, topic, EVENT, key, data]),
        // At once, so that what comes after it in the same message is noted after it.
        answered: (answer) => {
          const { epoch, offset } = answer as unknown as { epoch: string; offset: number };
          clearTimeout(timer);
          recorder.answer(op, { at: [epoch, offset] });
          resolve();
        },
        refused: (code, message) => {
          clearTimeout(timer);
          recorder.answer(op, { code });
          // A server that stops in order takes nothing new.
          if (code !== errors.draining) recorder.problem(`${this.name} was refused: ${code} ${message}`);
          resolve();
        },
      });
      if (this.isLive) this.#socket?.send(this.#asked.get(id)?.bytes as Uint8Array);
    });
  }

  #connect(): void {
    if (this.#isOver) return;
    const { port, token, recorder } = this.#options;
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, [SUBPROTOCOL], { perMessageDeflate: false });
    socket.binaryType = 'nodebuffer';
    this.#socket = socket;
    // As a client does that hears nothing: what is stalled is given up.
    let heard = performance.now();
    const watch = setInterval(() => {
      if (performance.now() - heard > LOOK_MS) socket.terminate();
    }, AGAIN_MS);
    socket.on('open', () => {
      const resume = Object.fromEntries(this.positions);
      const session = this.#ticket === undefined ? {} : { session: this.#ticket };
      const hello = { token, instance: this.name, resume, grace: PATIENCE_MS, ...session };
      socket.send(encode([Op.HELLO, this.#id++, hello]));
    });
    socket.on('message', (data: Buffer) => {
      heard = performance.now();
      if (this.#isOver) return;
      for (const frame of decodeAll(new Uint8Array(data))) this.#take(socket, frame);
    });
    socket.on('error', () => undefined);
    socket.on('close', (code) => {
      clearInterval(watch);
      this.isLive = false;
      if (code >= 4000 && code < 4100 && code !== 4008) recorder.problem(`${this.name} was closed with ${code}`);
      setTimeout(() => this.#connect(), AGAIN_MS);
    });
  }

  #take(socket: WebSocket, [op, first, second, third, fourth, ...more]: readonly Value[]): void {
    const { recorder, topics } = this.#options;
    switch (op) {
      case Op.WELCOME: {
        const { session, topics: told } = second as unknown as {
          readonly session: Value;
          readonly topics: Readonly<Record<string, WelcomeTopic>>;
        };
        this.#ticket = session;
        for (const [topic, { epoch, offset, recovered, code }] of Object.entries(told)) {
          if (code !== undefined) recorder.problem(`${this.name} was refused ${topic}: ${code}`);
          else if (!this.positions.has(topic)) this.#begin(topic, [epoch, offset]);
          else if (!recovered) this.#reset(topic, [epoch, offset]);
        }
        recorder.note({ kind: 'live', who: this.name });
        // What the server is asked first lets it forget the ticket before.
        socket.send(encode([Op.PING, 0]));
        for (const topic of topics) if (!this.positions.has(topic)) this.#subscribe(topic, socket);
        this.#resend();
        return;
      }
      case Op.PING:
        socket.send(encode([Op.PONG, first ?? null]));
        return;
      case Op.ACK:
      case Op.NACK: {
        const asked = this.#asked.get(first as number);
        this.#asked.delete(first as number);
        if (op === Op.ACK) asked?.answered(second ?? null);
        else asked?.refused(second as number, third as string);
        return;
      }
      case Op.EVENTS:
        return this.#events(first as string, second as number, [third, fourth, ...more]);
      case Op.RESET:
        return this.#reset(first as string, [second as string, third as number]);
      default:
      // PONG, GOAWAY: nothing to tell.
    }
  }

  #events(topic: string, firstOffset: number, items: readonly (Value | undefined)[]): void {
    const { recorder } = this.#options;
    const epoch = this.positions.get(topic)?.[0];
    if (epoch === undefined) return recorder.problem(`${this.name} hears ${topic}, and is not in it`);
    for (const [i, item] of items.filter((item) => item !== undefined).entries()) {
      const [event, data, by] = item as unknown as readonly [string, Value, string | null];
      const at: Position = [epoch, firstOffset + i];
      this.positions.set(topic, at);
      recorder.heard++;
      recorder.note({ kind: 'event', who: this.name, topic, at, by, text: textOf(event, plain(data)) });
    }
  }

  #reset(topic: string, at: Position): void {
    this.positions.set(topic, at);
    this.#options.recorder.note({ kind: 'reset', who: this.name, topic, at });
  }

  #begin(topic: string, at: Position): void {
    this.positions.set(topic, at);
    this.#options.recorder.note({ kind: 'begin', who: this.name, topic, at });
  }

  /** Once it is in all its topics: who is not may not publish there. */
  #resend(): void {
    if (this.isLive || this.positions.size < this.#options.topics.length) return;
    this.isLive = true;
    const waiting = [...this.#asked.values()].map(({ bytes }) => bytes);
    if (waiting.length > 0) this.#socket?.send(concat(waiting));
  }

  /** Asked again on another connection if the answer is lost. */
  #subscribe(topic: string, socket: WebSocket): void {
    const { recorder } = this.#options;
    const id = this.#id++;
    this.#asked.set(id, {
      bytes: new Uint8Array(),
      answered: (data) => {
        const { epoch, offset } = data as unknown as { epoch: string; offset: number };
        this.#begin(topic, [epoch, offset]);
        this.#resend();
      },
      refused: (code, message) => recorder.problem(`${this.name} cannot subscribe to ${topic}: ${code} ${message}`),
    });
    socket.send(encode([Op.SUBSCRIBE, id, topic, null]));
  }
}

/** As JSON has it: objects of a decoder have no prototype. */
const plain = (value: Value): unknown => JSON.parse(JSON.stringify(value));

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
