/**
 * The other half of a check of a client: a server that does as its script says, and the driver program that has the client
 * under test do things. The driver reads commands as JSON lines and writes what it saw; docs/conform.md has both.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { WebSocketServer, type WebSocket } from 'ws';
import { concat, decodeAll, DecodeError, encode } from '../protocol/codec.js';
import { Op, SUBPROTOCOL } from '../protocol/frames.js';
import { scanReason } from '../protocol/scan.js';
import { shown, type Frame } from './patterns.js';
import { hexOf, Mismatch } from './wire.js';

/** A line of the driver: an answer has `id`, what the client saw has `saw`. */
export type Line = Readonly<Record<string, unknown>>;

export class Script {
  readonly #server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    handleProtocols: (offered) => offered.has(SUBPROTOCOL) && SUBPROTOCOL,
  });
  readonly #driver: ChildProcess;
  readonly #peers: Peer[] = [];
  readonly #lines: Line[] = [];
  readonly #changed = new Set<() => void>();
  readonly #timeoutMs: number;
  #met = 0;
  #asked = 0;
  #secrets = 0;
  #wrong: Error | undefined;
  #errors = '';

  /** `timeoutMs`: for anything that the client is to do. */
  constructor([program = '', ...args]: readonly string[], timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#server.on('connection', (socket) => {
      this.#peers.push(new Peer(socket, () => this.#tell()));
      this.#tell();
    });
    this.#driver = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#driver.on('error', (error) => this.#fail(`the driver does not start: ${error.message}`));
    this.#driver.on('exit', (code) =>
      this.#fail(`the driver ended with ${code ?? 'a signal'}: ${this.#errors.slice(-500)}`),
    );
    this.#driver.stdin?.on('error', () => undefined);
    this.#driver.stderr?.on('data', (text: Buffer) => (this.#errors = (this.#errors + text.toString()).slice(-2_000)));
    if (this.#driver.stdout) {
      createInterface(this.#driver.stdout).on('line', (text) => {
        try {
          this.#lines.push(JSON.parse(text) as Line);
        } catch {
          this.#fail(`the driver wrote what is no JSON: ${text.slice(0, 200)}`);
        }
        this.#tell();
      });
    }
  }

  /** The last message of the client. */
  get last(): string | undefined {
    return hexOf(this.#peers.at(-1)?.last);
  }

  async listen(): Promise<string> {
    if (this.#server.address() === null) await once(this.#server, 'listening');
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  end(): void {
    this.#driver.removeAllListeners('exit');
    this.#driver.kill('SIGKILL');
    for (const { socket } of this.#peers) socket.terminate();
    this.#server.close();
  }

  /** Has the client do something; returns how to get its answer. */
  ask(command: string, parts: Line = {}): () => Promise<Line> {
    const id = ++this.#asked;
    this.#driver.stdin?.write(`${JSON.stringify({ id, do: command, ...parts })}\n`);
    return () => this.line((line) => line['id'] === id, `an answer to ${command}`);
  }

  /** Fails unless the client could. */
  async done(command: string, parts: Line = {}): Promise<unknown> {
    const answer = await this.ask(command, parts)();
    if (answer['error'] !== undefined) throw new Mismatch(`${command}: ${shown(answer['error'])}`);
    return answer['ok'];
  }

  saw(what: string, parts: Line = {}): Promise<Line> {
    const fits = (line: Line): boolean =>
      line['saw'] === what && Object.entries(parts).every(([key, value]) => shown(line[key]) === shown(value));
    return this.line(fits, `${what} ${shown(parts)}`);
  }

  /** How often a line like this was seen by now and not taken. */
  count(what: string): number {
    return this.#lines.filter((line) => line['saw'] === what).length;
  }

  async line(fits: (line: Line) => boolean, what: string): Promise<Line> {
    await this.until(
      () => this.#lines.some(fits),
      () => `the client did not tell ${what}; it told ${shown(this.#lines)}`,
    );
    return this.#lines.splice(this.#lines.findIndex(fits), 1)[0] as Line;
  }

  /** The next connection, and its HELLO. */
  async hello(): Promise<{ readonly peer: Peer; readonly hello: Line }> {
    const at = this.#met++;
    await this.until(
      () => this.#peers.length > at,
      () => 'the client does not connect',
    );
    const peer = this.#peers[at] as Peer;
    peer.script = this;
    await this.until(
      () => peer.frames.length > 0,
      () => 'no HELLO',
    );
    if (peer.messages[0] !== 1) throw new Mismatch('RW-HEL-1: HELLO is not alone in its message');
    const [op, id, hello] = peer.frames.shift() as [number, number, Line];
    if (op !== Op.HELLO) throw new Mismatch(`RW-HEL-1: the first frame is ${op}`);
    peer.helloId = id;
    if (typeof hello['instance'] !== 'string') throw new Mismatch('RW-HEL-1: HELLO has no instance');
    return { peer, hello };
  }

  /** The next connection, let in. `topics` and the rest are WELCOME's. */
  async welcome(parts: Line = {}): Promise<{ readonly peer: Peer; readonly hello: Line; readonly secret: string }> {
    const { peer, hello } = await this.hello();
    const secret = `secret-${++this.#secrets}`;
    peer.send([
      Op.WELCOME,
      peer.helloId,
      {
        session: ['sid-1', secret],
        resumed: false,
        user: { id: 'u1', name: 'Ann' },
        expiresAt: null,
        node: 'conform',
        time: Date.now(),
        limits: { messageBytes: 1_048_576, helloBytes: 16_384, pendingCalls: 256 },
        pingEvery: 25_000,
        features: [],
        topics: {},
        ...parts,
      },
    ]);
    return { peer, hello, secret };
  }

  async until(condition: () => boolean, late: () => string): Promise<void> {
    while (!condition()) {
      const broken = this.#wrong ?? this.#peers.find(({ broken }) => broken)?.broken;
      if (broken) throw broken;
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Mismatch(late())), this.#timeoutMs);
        this.#changed.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #fail(message: string): void {
    this.#wrong ??= new Mismatch(message);
    this.#tell();
  }

  #tell(): void {
    const waiting = [...this.#changed];
    this.#changed.clear();
    for (const run of waiting) run();
  }
}

/** One connection of the client. */
export class Peer {
  readonly socket: WebSocket;
  /** Those that the script has not taken; PONGs are none of them. */
  readonly frames: Frame[] = [];
  readonly messages: number[] = [];
  closed: number | undefined;
  last: Uint8Array | undefined;
  broken: Mismatch | undefined;
  script: Script | undefined;
  helloId = 1;
  readonly #waiting = new Set<unknown>();

  constructor(socket: WebSocket, tell: () => void) {
    this.socket = socket;
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
        this.broken ??= new Mismatch(why);
      }
      tell();
    });
    socket.on('close', (code) => {
      this.closed = code;
      tell();
    });
  }

  send(...frames: readonly Frame[]): void {
    for (const [op, id] of frames) if (op === Op.ACK || op === Op.NACK) this.#waiting.delete(id);
    this.socket.send(concat(frames.map((frame) => encode(frame))));
  }

  /** The next frame of an opcode; others stay. */
  async take(op: number, fits: (frame: Frame) => boolean = () => true): Promise<Frame> {
    const wanted = (frame: Frame): boolean => frame[0] === op && fits(frame);
    await this.script?.until(
      () => this.frames.some(wanted),
      () => `no frame ${op} came; there are ${shown(this.frames)}`,
    );
    return this.frames.splice(this.frames.findIndex(wanted), 1)[0] as Frame;
  }

  /** The next CALL of a name. */
  async call(name: string): Promise<{ readonly id: number; readonly data: Line; readonly options: Line }> {
    const [, id, , data, options = {}] = await this.take(Op.CALL, ([, , called]) => called === name);
    return { id: id as number, data: data as Line, options: options as Line };
  }

  async gone(): Promise<void> {
    await this.script?.until(
      () => this.closed !== undefined,
      () => 'the client keeps the connection',
    );
  }

  /** As a cable that is cut. */
  cut(): void {
    this.socket.terminate();
  }

  /** Rules that hold for whatever a client sends. */
  #watch(frame: Frame): void {
    const [op, id] = frame;
    const asks = [Op.AUTH, Op.CALL, Op.SUBSCRIBE, Op.UNSUBSCRIBE, Op.PUBLISH] as readonly unknown[];
    if (asks.includes(op) && !(op === Op.PUBLISH && id === 0)) {
      if (!Number.isSafeInteger(id) || (id as number) < 1 || (id as number) > 0x7fff_ffff)
        throw new TypeError(`RW-FRM-2: ${shown(id)} is no id`);
      if (this.#waiting.has(id)) throw new TypeError(`RW-FRM-2: the id ${shown(id)} still waits`);
      this.#waiting.add(id);
    }
    this.frames.push(frame);
  }
}
