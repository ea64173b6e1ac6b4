/**
 * Hostile frames by the million, through raw sockets: valid frames with parts replaced, messages with bytes flipped,
 * cut or made up, in fragments and with pings between them, and breaches of the WebSocket framing itself. Each is
 * judged: a breach ends the connection; a message that breaks the encoding does nothing and closes with 4000; in any
 * other every frame that asks gets its one answer, and BYE and a second HELLO close with their codes. Somebody who does
 * nothing wrong is answered throughout.
 */
import * as v from 'valibot';
import { concat, decodeAll, encode } from '../../src/protocol/codec.js';
import { closes } from '../../src/protocol/codes.js';
import { defineContract } from '../../src/protocol/contract.js';
import { Op, SUBPROTOCOL, type Value } from '../../src/protocol/frames.js';
import { defaultLimits } from '../../src/protocol/limits.js';
import { MAX_DEPTH } from '../../src/protocol/sizes.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { scanMessage } from '../../src/protocol/scan.js';
import { rooms } from '../../src/rooms/rooms.js';
import { createServer } from '../../src/server/server.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { memoryStore } from '../../src/store/memory.js';
import { random as seeded, type Random } from '../random.js';
import { unrated } from '../support/unrated.js';
import { WireClient } from '../support/wire-client.js';
import { breachesOf, type Breach } from '../transport/breaches.js';
import { frame as rawFrame, opcodes, RawClient } from '../transport/raw-client.js';
import type { EngineName, StoreName } from './child.js';
import { hostileFrame, spoil } from './hostile-frames.js';
import { suiteTransport } from '../support/edge.js';

export interface HostileOptions {
  readonly seed: number;
  readonly engine: EngineName;
  readonly store: StoreName;
  readonly path: string;
  readonly frames: number;
  /** Frames of one message. */
  readonly batch: number;
  readonly attackers: number;
  readonly progress?: (line: string) => void;
}

export interface HostileResult {
  readonly seed: number;
  readonly frames: number;
  readonly messages: number;
  /** By close code. */
  readonly closes: Readonly<Record<string, number>>;
  readonly answers: number;
  /** Breaches of the framing. */
  readonly breaches: number;
  /** Bytes of the heap after all of it, less those after a twentieth. */
  readonly grown: number;
  /** The longest that the bystander waited, ms. */
  readonly bystanderMs: number;
  readonly complaints: readonly string[];
  readonly seconds: number;
}

const PATIENCE_MS = 30_000;
/** What a run may leave behind: histories of the topics it published to. */
const MAX_GROWN = 64 * 1024 * 1024;
const ASKING: ReadonlySet<number> = new Set([Op.AUTH, Op.CALL, Op.SUBSCRIBE, Op.UNSUBSCRIBE, Op.PUBLISH]);
const SILENT: ReadonlySet<number> = new Set([Op.PING, Op.PONG, Op.ACK, Op.NACK, Op.CANCEL, Op.VOLATILE, Op.POSITION]);
const contract = defineContract({
  use: [roomsContract()],
  topics: { 'chat:{id}': { events: { message: { schema: v.unknown(), publish: 'subscribers' } } } },
  calls: { echo: { input: v.unknown() } },
});

export async function runHostile(options: HostileOptions): Promise<HostileResult> {
  const { seed, engine, store, path, frames, batch, attackers, progress } = options;
  const began = performance.now();
  const complaints: string[] = [];
  const complain = (text: string): void => void (complaints.length < 20 && complaints.push(text));
  const server = createServer({
    contract,
    plugins: [rooms()] as const,
    store: store === 'lmdb' ? lmdbStore({ path }) : memoryStore(),
    engine,
    ...suiteTransport({ engine }),
    limits: { ...unrated, historyEvents: 200 },
    log: {
      debug() {},
      info() {},
      warn() {},
      error: (fields, message) =>
        complain(`the server logged: ${message}: ${String((fields as { err?: unknown }).err)}`),
    },
  });
  server.handle('echo', ({ input }) => input);
  const { port } = await server.listen({ port: 0 });
  const bystander = new WireClient(`ws://127.0.0.1:${port}`);
  await bystander.hello({ instance: 'bystander' });
  const breaches = breachesOf((server.edges()[0]?.engine ?? server.engineInfo)?.name, defaultLimits.messageBytes);
  const crowd = Array.from({ length: attackers }, (_, i) => new Attacker(port, seeded(seed + i), { batch, breaches }));
  const heap = (): number => {
    (globalThis as { gc?: () => void }).gc?.();
    return process.memoryUsage().heapUsed;
  };
  let [sent, base, bystanderMs, told] = [0, 0, 0, 0];
  const attack = async (attacker: Attacker): Promise<void> => {
    while (sent < frames && complaints.length === 0) {
      sent += batch;
      const complaint = (await attacker.message()) ?? (await attacker.breach());
      if (complaint !== undefined) complain(complaint);
    }
  };
  let over = false;
  const stand = (async () => {
    while (!over) {
      const asked = performance.now();
      const echo = await bystander.call('echo', sent);
      // Nothing is kept of what it hears.
      bystander.frames.length = 0;
      bystander.messages.length = 0;
      if (Number(echo) > sent) complain('the bystander got another answer');
      bystanderMs = Math.max(bystanderMs, performance.now() - asked);
      if (base === 0 && sent > frames / 20) base = heap();
      if (sent - told >= 1_000_000) progress?.(`${(told = sent)} hostile frames`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })().catch((error: unknown) => complain(`the bystander: ${String(error)}`));
  await Promise.all(crowd.map(attack));
  over = true;
  await stand;
  for (const attacker of crowd) attacker.leave();
  await bystander.barrier().catch((error: unknown) => complain(`the bystander: ${String(error)}`));
  const counts = new Map<string, number>();
  let [answers, messages, breached] = [0, 0, 0];
  for (const attacker of crowd) {
    answers += attacker.answers;
    messages += attacker.messages;
    breached += attacker.breached;
    for (const [code, count] of attacker.closes) counts.set(String(code), (counts.get(String(code)) ?? 0) + count);
  }
  crowd.length = 0;
  const grown = base === 0 ? 0 : heap() - base;
  if (grown > MAX_GROWN) complain(`the heap has grown by ${Math.round(grown / 1e6)} MB`);
  bystander.cut();
  await server.close();
  const seconds = (performance.now() - began) / 1000;
  return {
    seed,
    frames: sent,
    messages,
    closes: Object.fromEntries(counts),
    answers,
    breaches: breached,
    grown,
    bystanderMs,
    complaints,
    seconds,
  };
}

/** What a message must come to, from the rules alone. */
interface Expected {
  /** Close code, if it closes. */
  readonly close: number | undefined;
  /** How many answers each id gets; after a close nobody counts. */
  readonly answers: Map<number, number>;
}

function expected(bytes: Uint8Array): Expected {
  const answers = new Map<number, number>();
  let frames: readonly Value[][];
  try {
    frames = decodeAll(bytes);
    // A client takes one level more than a server: only the scanner knows of the server's bound.
    if (typeof scanMessage(bytes, [], MAX_DEPTH - 1) !== 'number') return { close: closes.bad_frame, answers };
  } catch {
    return { close: closes.bad_frame, answers };
  }
  for (const [op, id] of frames) {
    if (op === Op.BYE) return { close: closes.bye, answers };
    if (op === Op.HELLO) return { close: closes.hello_expected, answers };
    const known = ASKING.has(op as number);
    if (!known && SILENT.has(op as number)) continue;
    if (typeof id === 'number' && Number.isInteger(id) && id >= 1 && id <= 0x7fff_ffff) {
      answers.set(id, (answers.get(id) ?? 0) + 1);
    }
  }
  return { close: undefined, answers };
}

class Attacker {
  readonly closes = new Map<number, number>();
  answers = 0;
  messages = 0;
  breached = 0;
  readonly #port: number;
  readonly #random: Random;
  readonly #batch: number;
  readonly #breaches: readonly Breach[];
  #client: RawClient | undefined;
  #id = 1;

  constructor(
    port: number,
    random: Random,
    { batch, breaches }: { readonly batch: number; readonly breaches: readonly Breach[] },
  ) {
    this.#port = port;
    this.#random = random;
    this.#batch = batch;
    this.#breaches = breaches;
  }

  leave(): void {
    this.#client?.destroy();
  }

  /** Sends one message and judges what comes of it; the complaint, if any. */
  async message(): Promise<string | undefined> {
    const client = (this.#client ??= await this.#open());
    this.messages++;
    const stamp = ++this.#id;
    const parts = Array.from({ length: this.#batch }, () => encode(hostileFrame(this.#random, this.#nextId())));
    const good = this.#random.chance(0.8);
    const bytes = good ? concat([...parts, encode([Op.PING, stamp])]) : spoil(this.#random, concat(parts));
    const { close, answers } = expected(bytes);
    this.#send(client, bytes);
    // What is whole by chance has no PING of its own.
    if (!good && close === undefined) client.send(opcodes.binary, encode([Op.PING, stamp]));
    const hex = (): string => Buffer.from(bytes.subarray(0, 2_000)).toString('hex');
    let ponged = false;
    let left = [...answers.values()].reduce((sum, count) => sum + count, 0);
    for (;;) {
      const frame = await inTime(client.next());
      if (frame === 'late') return `nothing came in ${PATIENCE_MS} ms, ${left} answers are missing: ${hex()}`;
      if (frame?.opcode === opcodes.pong) continue;
      if (frame === undefined || frame.opcode === opcodes.close) {
        const code = frame === undefined ? 1006 : frame.payload.readUInt16BE(0);
        this.closes.set(code, (this.closes.get(code) ?? 0) + 1);
        this.#client = undefined;
        client.destroy();
        if (code !== close) return `closed with ${code} instead of ${close ?? 'staying open'}: ${hex()}`;
        return undefined;
      }
      for (const [op, id] of decodeAll(new Uint8Array(frame.payload))) {
        if (op === Op.PONG && id === stamp) ponged = true;
        if ((op !== Op.ACK && op !== Op.NACK) || id === 0) continue;
        this.answers++;
        if (close === closes.bad_frame) return `a message that breaks the encoding was answered: ${hex()}`;
        if (close !== undefined) continue;
        const wanted = answers.get(id as number) ?? 0;
        if (wanted === 0) return `an answer to id ${id as number}, which nobody asked: ${hex()}`;
        answers.set(id as number, wanted - 1);
        left--;
      }
      if (close === undefined && ponged && left === 0) return undefined;
    }
  }

  /** Now and then breaks the framing: nothing of it is heard, and the connection ends. */
  async breach(): Promise<string | undefined> {
    const random = this.#random;
    if (!random.chance(0.1)) return undefined;
    const [title, bytes] = this.#breaches[random.below(this.#breaches.length)] as Breach;
    const client = (this.#client ??= await this.#open());
    this.breached++;
    this.#client = undefined;
    // In pieces, as the network may bring it.
    const at = random.chance(0.5) ? random.below(bytes.length) : 0;
    if (at > 0) client.write(bytes.subarray(0, at));
    client.write(bytes.subarray(at));
    for (;;) {
      const frame = await inTime(client.next());
      if (frame === 'late') return `the connection did not end in ${PATIENCE_MS} ms after ${title}`;
      if (frame === undefined || frame.opcode === opcodes.close) break;
      // What others publish may be on its way, and the answer to a ping between fragments.
      if (frame.opcode === opcodes.pong) continue;
      if (frame.opcode !== opcodes.binary) return `a frame with opcode ${frame.opcode} came after ${title}`;
      const answered = decodeAll(new Uint8Array(frame.payload)).some(
        ([op, id]) => op === Op.PONG || ((op === Op.ACK || op === Op.NACK) && id !== 0),
      );
      if (answered) return `an answer came after ${title}`;
    }
    client.destroy();
    return undefined;
  }

  /** A message in one frame, or in fragments with a ping in between. */
  #send(client: RawClient, bytes: Uint8Array): void {
    const random = this.#random;
    if (random.chance(0.8)) return client.send(opcodes.binary, bytes);
    const cuts = Array.from({ length: 1 + random.below(4) }, () => random.below(bytes.length + 1)).sort(
      (a, b) => a - b,
    );
    let from = 0;
    for (const [index, to] of cuts.entries()) {
      client.send(index === 0 ? opcodes.binary : opcodes.continuation, bytes.subarray(from, to), { fin: false });
      if (random.chance(0.3)) client.send(opcodes.ping, 'between');
      from = to;
    }
    client.send(opcodes.continuation, bytes.subarray(from));
  }

  async #open(): Promise<RawClient> {
    const client = await RawClient.tcp(this.#port);
    client.write(
      'GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n\r\n`,
    );
    await client.readHead();
    client.write(
      rawFrame(opcodes.binary, encode([Op.HELLO, 1, { instance: `x${this.#random.below(1e9)}`, grace: 0 }])),
    );
    await client.next();
    return client;
  }

  #nextId(): number {
    return (this.#id = (this.#id % 0x7fff_fff0) + 1);
  }
}

async function inTime<T>(coming: Promise<T>): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => (timer = setTimeout(() => resolve('late'), PATIENCE_MS)));
  try {
    return await Promise.race([coming, late]);
  } finally {
    clearTimeout(timer);
  }
}
