/**
 * Plays the sequences of protocol/vectors against a server: a client that knows frames and patterns, and nothing of rooms
 * or sessions. protocol/README.md says what each step means.
 */
import { randomBytes } from 'node:crypto';
import { Op, SUBPROTOCOL } from '../protocol/frames.js';
import { filled, framePattern, problem, shown, type Frame, type Names } from './patterns.js';
import { bytesOf, valueOf, type Sequence, type Step } from './vectors.js';
import { hexOf, Mismatch, Wire } from './wire.js';

/** What only the server's side can do; what is missing is a need that cannot be met. */
export interface Host {
  publish(topic: string, event: string, data: unknown): Promise<unknown>;
  delete(room: string): Promise<unknown>;
  kick(user: string): Promise<unknown>;
  call(sid: string, name: string, data: unknown, timeoutMs?: number): Promise<unknown>;
  token(
    user: string,
    claims: { readonly seconds?: number | undefined; readonly groups?: readonly string[] | undefined },
  ): Promise<string>;
  drain(): Promise<unknown>;
  /** Returns where it listens then. */
  restart(): Promise<string>;
  pass(ms: number): Promise<void>;
}

export interface PlayOptions {
  readonly url: string;
  /** What a sequence needs of it is there; who plays sees to that. */
  readonly host: Partial<Host>;
  /** For a frame, a close or an answer. */
  readonly timeoutMs?: number;
}

/** Throws an error that names the step. */
export async function play({ steps }: Sequence, options: PlayOptions): Promise<void> {
  const player = new Player(options);
  try {
    for (const [i, step] of steps.entries()) {
      try {
        await player.step(step);
      } catch (error) {
        const { message } = error as Error;
        const told = new Mismatch(`step ${i + 1}, ${JSON.stringify(step).slice(0, 300)}: ${message}`, { cause: error });
        told.bytes = player.lastOf(step);
        throw told;
      }
    }
    player.check();
  } finally {
    player.end();
  }
}

class Player {
  readonly #host: Host;
  readonly #timeoutMs: number;
  readonly #names: Names = new Map<string, unknown>([['run', randomBytes(4).toString('hex')]]);
  readonly #wires = new Map<string, Wire>();
  readonly #all: Wire[] = [];
  readonly #results = new Map<string, Promise<unknown>>();
  #url: string;

  constructor({ url, host, timeoutMs = 10_000 }: PlayOptions) {
    this.#url = url;
    this.#host = host as Host;
    this.#timeoutMs = timeoutMs;
  }

  end(): void {
    for (const wire of this.#all) wire.socket.terminate();
  }

  check(): void {
    for (const wire of this.#all) wire.check();
  }

  /** What came last on the connection of a step. */
  lastOf(step: Step): string | undefined {
    return hexOf(this.#wires.get('on' in step ? step.on : 'open' in step ? step.open : '')?.last);
  }

  async step(step: Step): Promise<void> {
    if ('open' in step) return this.#open(step);
    if ('send' in step) return this.#send(step);
    if ('hex' in step) return this.#wire(step.on).write(bytesOf(step.hex));
    if ('text' in step) return this.#wire(step.on).write(step.text);
    if ('expect' in step) return this.#expect(step.on, step.expect);
    if ('never' in step) return this.#never(step.on, step.never);
    if ('closed' in step) return this.#closed(step);
    if ('cut' in step) return this.#wire(step.cut).cut();
    if ('shut' in step) return void this.#wire(step.shut).socket.close(step.code ?? 1000);
    if ('pause' in step) return this.#wire(step.pause).socket.pause();
    if ('read' in step) return this.#wire(step.read).socket.resume();
    if ('pass' in step) return this.#host.pass(this.#filled(step.pass) as number);
    if ('result' in step) {
      const result = await this.#inTime(this.#results.get(step.result) as Promise<unknown>, () => 'no result');
      return this.#match(step.is, result);
    }
    if ('http' in step) return this.#http(step);
    return this.#do(step);
  }

  async #open(step: Extract<Step, { open: string }>): Promise<void> {
    const {
      open: name,
      hello = {},
      protocols = [SUBPROTOCOL],
      query = '',
      headers = {},
      refused,
      silent = false,
    } = step;
    const [wanted, more, with_] = this.#filled([protocols, query, headers]) as [
      string[],
      string,
      Record<string, string>,
    ];
    const wire = new Wire(`${this.#url}/${more}`, { protocols: wanted, headers: with_, silent });
    this.#all.push(wire);
    this.#wires.set(name, wire);
    const { status, headers: head } = await this.#inTime(wire.opened, () => 'neither opened nor refused');
    if (status !== (refused ?? 101)) throw new Mismatch(`the upgrade was answered with ${status}`);
    if (step.head !== undefined) this.#match(step.head, head);
    if (hello === null || refused !== undefined) return;
    const instance = `i-${name}-${String(this.#names.get('run'))}`;
    wire.send([Op.HELLO, 1, { instance, ...(this.#filled(hello) as object) }]);
    const [[, , welcome]] = (await this.#take(wire, [[Op.WELCOME, 1, step.welcome ?? '$_']])) as [[0, 0, Welcome]];
    const { session, user, time } = welcome;
    for (const [key, value] of Object.entries({ sid: session[0], secret: session[1], user: user.id, time }))
      this.#names.set(`${name}.${key}`, value);
  }

  /** What is sent often is sent as fast as the server takes it, and no more once it has ended the connection. */
  async #send({ on, send, times = 1 }: Extract<Step, { send: unknown }>): Promise<void> {
    const wire = this.#wire(on);
    const frames = this.#filled(send) as Frame[];
    const deadline = performance.now() + this.#timeoutMs;
    for (let i = 0; i < times && isOpen(wire); i++) {
      wire.send(...frames);
      while (times > 1 && wire.socket.bufferedAmount > 0 && performance.now() < deadline && isOpen(wire))
        await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  async #expect(on: string, patterns: readonly Frame[]): Promise<void> {
    await this.#take(this.#wire(on), patterns);
  }

  async #take(wire: Wire, patterns: readonly Frame[]): Promise<Frame[]> {
    const taken: Frame[] = [];
    let from = 0;
    for (const pattern of patterns) {
      const found = async (): Promise<Frame> => {
        for (; ; await wire.more()) {
          for (let i = from; i < wire.frames.length; i++) {
            const names = new Map(this.#names);
            if (problem(framePattern(pattern, wire.frames[i]), wire.frames[i], names) !== undefined) continue;
            for (const [key, value] of names) this.#names.set(key, value);
            from = i;
            return wire.frames.splice(i, 1)[0] as Frame;
          }
        }
      };
      const frame = await this.#inTime(found(), () => {
        const near = wire.frames.find(([op]) => op === pattern[0]);
        const why = near && problem(framePattern(pattern, near), near, new Map(this.#names));
        return `no ${shown(pattern)} came${why === undefined ? '' : ` (${why})`}; there are ${shown(wire.frames)}`;
      });
      taken.push(frame);
    }
    return taken;
  }

  async #never(on: string, patterns: readonly Frame[]): Promise<void> {
    const wire = this.#wire(on);
    const stamp = randomBytes(4).toString('hex');
    wire.send([Op.PING, stamp]);
    await this.#take(wire, [[Op.PONG, stamp]]);
    for (const pattern of patterns) {
      const found = wire.frames.find(
        (frame) => problem(framePattern(pattern, frame), frame, new Map(this.#names)) === undefined,
      );
      if (found !== undefined) throw new Mismatch(`${shown(found)} came`);
    }
  }

  async #closed({ on, closed, reason = '' }: Extract<Step, { closed: unknown }>): Promise<void> {
    const wire = this.#wire(on);
    const ending = await this.#inTime(wire.closed, () => `open still; there are ${shown(wire.frames)}`);
    if (![closed].flat().includes(ending.code) || !ending.reason.startsWith(reason))
      throw new Mismatch(`closed with ${ending.code} ${ending.reason}`);
    const goaway = wire.frames.find(([op]) => op === Op.GOAWAY);
    if (goaway !== undefined && goaway[1] !== ending.code) throw new Mismatch(`GOAWAY says ${String(goaway[1])}`);
  }

  async #http(step: Extract<Step, { http: string }>): Promise<void> {
    const [request, token, body, headers] = this.#filled([step.http, step.token, step.body, step.headers ?? {}]) as [
      string,
      string | undefined,
      unknown,
      Record<string, string>,
    ];
    const [method = '', path = ''] = request.split(' ');
    const answer = await this.#inTime(
      fetch(this.#url.replace(/^ws/, 'http') + path, {
        method,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
      () => 'no answer',
    );
    const text = await answer.text();
    if (answer.status !== step.status) throw new Mismatch(`${answer.status} ${text}`);
    if (step.head !== undefined) this.#match(step.head, Object.fromEntries(answer.headers));
    if (step.is !== undefined) this.#match(step.is, JSON.parse(text));
  }

  async #do(step: Extract<Step, { do: string }>): Promise<void> {
    switch (step.do) {
      case 'publish': {
        const [topic, data] = this.#filled([step.topic, step.data]) as [string, unknown];
        for (let i = 0; i < (step.times ?? 1); i++) await this.#host.publish(topic, step.event, data);
        break;
      }
      case 'delete':
        await this.#host.delete(this.#filled(step.room) as string);
        break;
      case 'kick':
        await this.#host.kick(this.#filled(step.user) as string);
        break;
      case 'call': {
        const [sid, data] = this.#filled([step.sid, step.data]) as [string, unknown];
        const asked = this.#host.call(sid, step.name, data, step.timeoutMs);
        const result = asked.then(
          (ok) => ({ ok }),
          ({ code }: { code: number }) => ({ code }),
        );
        this.#results.set(step.as, result);
        break;
      }
      case 'token': {
        const { user, ...claims } = this.#filled(step) as typeof step;
        this.#names.set(step.as, await this.#host.token(user, claims));
        break;
      }
      case 'drain':
        // Ends when all connections have; the steps that follow see to it.
        void this.#host.drain();
        break;
      case 'restart':
        this.#url = await this.#host.restart();
    }
  }

  #wire(name: string): Wire {
    const wire = this.#wires.get(name);
    if (wire === undefined) throw new TypeError(`no connection ${name} was opened`);
    return wire;
  }

  #match(pattern: unknown, value: unknown): void {
    const wrong = problem(pattern, value, this.#names);
    if (wrong !== undefined) throw new Mismatch(`${wrong}: ${shown(value)}`);
  }

  #filled(value: unknown): unknown {
    return valueOf(filled(value, this.#names));
  }

  #inTime<T>(promise: Promise<T>, late: () => string): Promise<T> {
    let timer: NodeJS.Timeout;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Mismatch(late())), this.#timeoutMs);
    });
    return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
  }
}

function isOpen({ socket }: Wire): boolean {
  return socket.readyState === socket.OPEN;
}

interface Welcome {
  readonly session: readonly [string, string];
  readonly user: { readonly id: string };
  readonly time: number;
}
