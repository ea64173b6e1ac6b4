/**
 * Plays the 12 steps of protocol/transcript.md against a real server with nothing but `ws` and @msgpack/msgpack.
 * What the client sends is the document's, byte for byte, but for values that the server chose
 * (sids, secrets, epochs, tokens); what comes must have the document's shape.
 */
import { decodeMulti, encode } from '@msgpack/msgpack';
import t from 'tap';
import { WebSocket } from 'ws';
import { memoryStore } from '../../src/store/memory.js';
import { startRooms } from '../support/rooms.js';
import { examples, transcript, type Example } from './examples.js';

type Frame = readonly unknown[];

/** Map entries, and parts of frames, whose values the server chooses anew each time. */
const chosen = new Set([
  ...['session', 'node', 'time', 'epoch', 'id', 'userId', 'name', 'userName', 'order', 'sid'],
  ...['version', 'token', 'timestamp', 'expiresAt', 'expiresInMs', 'message', 'from'],
]);
/** By opcode: names for the elements that are chosen, or for people. */
const parts: Readonly<Record<number, readonly string[]>> = {
  4: ['op', 'stamp', 'time'],
  5: ['op', 'code', 'message'],
  18: ['op', 'request', 'code', 'message'],
  48: ['op', 'topic', 'offset'],
  51: ['op', 'topic', 'epoch'],
};

/** Steps by number, as far as they have frames. */
function steps(): Map<number, Example[]> {
  const found = new Map<number, Example[]>();
  const [, ...texts] = transcript.split(/^\*\*(?=\d+\. )/m);
  for (const text of texts) found.set(parseInt(text, 10), examples(text));
  return found;
}

/** Server values by what stands for them in the document. */
class Learned {
  readonly #values = new Map<unknown, unknown>();

  /** Says where `real` does not look like `written`; learns what differs rightly. */
  compare(written: unknown, real: unknown, name: string, path: string): string | undefined {
    if (Array.isArray(written)) {
      if (!Array.isArray(real) || real.length !== written.length) return `${path}: ${JSON.stringify(real)}`;
      return first(written.map((part, i) => this.compare(part, real[i], name, `${path}[${i}]`)));
    }
    if (typeof written === 'object' && written !== null) {
      if (typeof real !== 'object' || real === null || Array.isArray(real)) return `${path}: ${JSON.stringify(real)}`;
      const map = real as Readonly<Record<string, unknown>>;
      return first(
        Object.entries(written).map(([key, part]) => {
          if (!(key in map)) return `${path}.${key} is missing`;
          // A room's id is the client's own choice; positions hold epochs.
          return this.compare(part, map[key], key === 'id' && part === 'demo' ? 'roomId' : key, `${path}.${key}`);
        }),
      );
    }
    if (written === real) return undefined;
    if (this.#values.has(written)) return this.#values.get(written) === real ? undefined : `${path}: not as before`;
    const isPosition = /positions.*\[0\]$/.test(path);
    if (typeof written !== typeof real || !(chosen.has(name) || isPosition)) return `${path}: ${JSON.stringify(real)}`;
    if (typeof written === 'string' || name === 'token') this.#values.set(written, real);
    return undefined;
  }

  frame(written: Frame, real: Frame): string | undefined {
    const names = parts[written[0] as number] ?? [];
    if (written.length !== real.length) return `${real.length} elements`;
    return first(
      written.map((part, i) => {
        if (names[i] === 'message') return typeof real[i] === 'string' ? undefined : 'the message is no text';
        const isItem = written[0] === 48 && i > 2;
        return isItem
          ? this.#item(part as Frame, real[i] as Frame)
          : this.compare(part, real[i], names[i] ?? '', `${i}`);
      }),
    );
  }

  #item([event, data, from]: Frame, real: Frame): string | undefined {
    if (real[0] !== event) return `event ${String(real[0])}`;
    return this.compare(data, real[1], '', 'data') ?? this.compare(from, real[2], 'from', 'from');
  }

  /** The document's value with the server's own in place. */
  fill(value: unknown): unknown {
    if (this.#values.has(value)) return this.#values.get(value);
    if (Array.isArray(value)) return value.map((part) => this.fill(part));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, this.fill(part)]));
  }
}

function first(problems: readonly (string | undefined)[]): string | undefined {
  return problems.find((problem) => problem !== undefined);
}

/** A WebSocket and the frames that came, in order. */
class Wire {
  readonly socket: WebSocket;
  readonly opened: Promise<unknown>;
  readonly closed: Promise<number>;
  readonly #frames: Frame[] = [];
  #wake: () => void = () => undefined;

  constructor(url: string) {
    this.socket = new WebSocket(url, ['roomwire.v1']);
    this.opened = new Promise((resolve, reject) => this.socket.once('open', resolve).once('error', reject));
    this.closed = new Promise((resolve) => this.socket.once('close', resolve));
    this.socket.on('message', (data: Buffer) => {
      this.#frames.push(...(decodeMulti(data) as Generator<Frame>));
      this.#wake();
    });
  }

  async next(): Promise<Frame> {
    while (this.#frames.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#frames.shift() as Frame;
  }

  get idle(): boolean {
    return this.#frames.length === 0;
  }
}

t.test('the 12 steps of protocol/transcript.md work as they are written', async (t) => {
  const { server, url } = await startRooms(t, { store: memoryStore() });
  const learned = new Learned();
  const all = steps();
  t.same([...all.keys()], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  let wire = new Wire(url);
  t.teardown(() => wire.socket.terminate());
  let asWritten = 0;

  for (const [step, messages] of all) {
    if (step === 10) {
      t.ok(wire.idle, 'all that came was in the document');
      wire.socket.terminate();
      await wire.closed;
      await server.publish('room:demo', 'frame_update', { frame: 7 });
      wire = new Wire(url);
    }
    await wire.opened;
    for (const { side, bytes, frames } of messages) {
      if (side === 'client') {
        const filled = frames.map((frame) => learned.fill(frame));
        const isWritten = JSON.stringify(filled) === JSON.stringify(frames);
        if (isWritten) asWritten++;
        wire.socket.send(isWritten ? bytes : Buffer.concat(filled.map((frame) => encode(frame))));
        continue;
      }
      for (const frame of frames) {
        const real = await wire.next();
        const problem = learned.frame(frame, real);
        t.equal(problem, undefined, `step ${step}: ${JSON.stringify(frame).slice(0, 60)}`);
        if (problem !== undefined) return;
      }
    }
  }
  t.equal(await wire.closed, 4009);
  t.ok(wire.idle, 'nothing came after that');
  t.ok(asWritten > 5, 'most of what is sent is the document, byte for byte');
});
