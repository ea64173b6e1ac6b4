/**
 * A TCP proxy on loopback that does to connections what networks do: cuts, stalls, delays, dribbles, half closes,
 * and bytes that arrive long after their sender has gone. What it does is drawn from a seeded PRNG or asked for by
 * the test; `did` counts it. The target may change: a server that restarted may be elsewhere.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Random } from '../random.js';

/** `up`: from the client to the server. */
export type Direction = 'up' | 'down';
export const faults = ['rst', 'fin', 'stall', 'delay', 'trickle', 'dropAfter', 'halfClose', 'linger'] as const;
export type Fault = (typeof faults)[number];

/** Bytes that may wait in one direction before its source is read no further. */
const HIGH_WATER = 256 * 1024;

/** One direction of one connection. */
class Link {
  forwarded = 0;
  /** Ms before each piece goes on. */
  delayMs = 0;
  /** Bytes of a piece; each goes in a turn of its own. */
  pieceBytes = Infinity;
  readonly #from: Socket;
  readonly #to: Socket;
  #queue: Buffer[] = [];
  #queued = 0;
  #stalled = false;
  #muted = false;
  #ended = false;
  #busy = false;
  #left = Infinity;
  #spent: () => void = () => undefined;

  constructor(from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
    from.on('data', (chunk: Buffer) => {
      if (this.#muted) return;
      this.#queue.push(chunk);
      this.#queued += chunk.length;
      if (this.#queued > HIGH_WATER) from.pause();
      this.#pump();
    });
    from.on('end', () => {
      this.#ended = true;
      this.#pump();
    });
    to.on('drain', () => this.#pump());
  }

  set stalled(stalled: boolean) {
    this.#stalled = stalled;
    this.#pump();
  }

  /** What comes from here on is thrown away. */
  mute(): void {
    this.#muted = true;
    this.#from.resume();
  }

  /** Says `spent` when so many more bytes have gone. */
  budget(bytes: number, spent: () => void): void {
    this.#left = bytes;
    this.#spent = spent;
    if (bytes === 0) spent();
  }

  #pump(): void {
    while (!this.#busy && !this.#stalled && this.#left > 0 && !this.#to.destroyed) {
      const [first] = this.#queue;
      if (first === undefined) {
        if (this.#ended) this.#to.end();
        return;
      }
      if (this.delayMs > 0 || this.pieceBytes < Infinity) {
        // Busy until the piece has gone: the order is kept whatever the wait.
        this.#busy = true;
        const send = (): void => {
          this.#busy = false;
          if (this.#stalled) return;
          this.#forward();
          this.#pump();
        };
        if (this.delayMs > 0) setTimeout(send, this.delayMs);
        else setImmediate(send);
        return;
      }
      if (!this.#forward()) return;
    }
  }

  /** The next piece; false when the other side takes no more for now. */
  #forward(): boolean {
    const first = this.#queue[0];
    if (first === undefined || this.#to.destroyed) return false;
    const size = Math.min(first.length, this.pieceBytes, this.#left);
    if (size === first.length) this.#queue.shift();
    else this.#queue[0] = first.subarray(size);
    this.#queued -= size;
    this.forwarded += size;
    this.#left -= size;
    const more = size === 0 || this.#to.write(first.subarray(0, size));
    if (this.#left === 0) this.#spent();
    if (this.#from.isPaused() && this.#queued <= HIGH_WATER / 2) this.#from.resume();
    return more;
  }
}

/** With RST; Node cannot where there is no connection yet, and leaves a socket open that sends FIN at that moment. */
function reset(socket: Socket): void {
  if (socket.connecting || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** One client's connection through the proxy. */
export class Proxied {
  readonly up: Link;
  readonly down: Link;
  readonly #client: Socket;
  readonly #server: Socket;
  /** A fault that lasts is under way. */
  troubled = false;

  constructor(client: Socket, server: Socket, gone: () => void) {
    this.#client = client;
    this.#server = server;
    this.up = new Link(client, server);
    this.down = new Link(server, client);
    let open = 2;
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.setNoDelay(true);
      // An error is the end as the other side made it: it is passed on as one.
      socket.on('error', () => reset(other));
      socket.on('close', () => {
        if (--open === 0) gone();
      });
    }
  }

  get open(): boolean {
    return !this.#client.destroyed && !this.#server.destroyed;
  }

  /** Both sides at once. */
  cut(how: 'rst' | 'fin' = 'rst'): void {
    for (const socket of [this.#client, this.#server]) {
      if (how === 'rst') reset(socket);
      else {
        socket.end();
        // A peer that never answers FIN would keep the pair for ever.
        socket.destroySoon();
      }
    }
  }

  link(direction: Direction): Link {
    return direction === 'up' ? this.up : this.down;
  }

  stall(directions: readonly Direction[] = ['up', 'down']): void {
    for (const direction of directions) this.link(direction).stalled = true;
  }

  resume(): void {
    for (const link of [this.up, this.down]) link.stalled = false;
  }

  delay(ms: number): void {
    this.up.delayMs = this.down.delayMs = ms;
  }

  trickle(bytes: number): void {
    this.up.pieceBytes = this.down.pieceBytes = bytes;
  }

  /** Resets both sides when so many more bytes have gone in this direction. */
  dropAfter(direction: Direction, bytes: number): void {
    this.link(direction).budget(bytes, () => this.cut('rst'));
  }

  /** This direction ends with FIN; the other goes on. */
  halfClose(direction: Direction): void {
    const to = direction === 'up' ? this.#server : this.#client;
    this.link(direction).mute();
    to.end();
  }

  /**
   * The client is cut, but what it sent is on its way still: the server gets it, and the end of the connection, when
   * `release` is called.
   */
  linger(): () => void {
    this.up.stalled = true;
    this.down.mute();
    reset(this.#client);
    return () => {
      this.up.stalled = false;
      this.#server.end();
    };
  }

  /** Whatever lasts is over. */
  heal(): void {
    this.delay(0);
    this.trickle(Infinity);
    this.resume();
    this.troubled = false;
  }
}

export type Did = Record<Fault | 'connections' | 'refused', number>;

export class FaultProxy {
  /** Where the server is. */
  target: number;
  /** New connections are reset at once. */
  refusing = false;
  readonly did: Did;
  readonly connections = new Set<Proxied>();
  /** Called for each new connection, before any byte. */
  onConnection: (connection: Proxied) => void = () => undefined;
  readonly #server: Server;
  readonly #random: Random;
  readonly #healing = new Map<NodeJS.Timeout, () => void>();

  private constructor(target: number, random: Random) {
    this.target = target;
    this.#random = random;
    this.did = Object.fromEntries([...faults, 'connections', 'refused'].map((name) => [name, 0])) as Did;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#take(client));
  }

  static async start(options: { readonly target: number; readonly random: Random }): Promise<FaultProxy> {
    const proxy = new FaultProxy(options.target, options.random);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #take(client: Socket): void {
    this.did.connections++;
    client.on('error', () => undefined);
    if (this.refusing) {
      this.did.refused++;
      reset(client);
      return;
    }
    const server = connect({ port: this.target, host: '127.0.0.1', allowHalfOpen: true });
    server.once('error', () => {
      if (server.connecting || server.bytesRead === 0) this.did.refused++;
    });
    const connection: Proxied = new Proxied(client, server, () => this.connections.delete(connection));
    this.connections.add(connection);
    this.onConnection(connection);
  }

  /** Does one thing, drawn from the PRNG, to one connection. What lasts ends by itself after `lastMs` at most. */
  strike({ only = faults, lastMs = 200 }: { readonly only?: readonly Fault[]; readonly lastMs?: number } = {}): void {
    const well = [...this.connections].filter(({ open, troubled }) => open && !troubled);
    const connection = well[this.#random.below(well.length)];
    const fault = only[this.#random.below(only.length)];
    if (connection !== undefined && fault !== undefined) this.#inflict(connection, fault, lastMs);
  }

  #inflict(connection: Proxied, fault: Fault, lastMs: number): void {
    const random = this.#random;
    const direction: Direction = random.chance(0.5) ? 'up' : 'down';
    this.did[fault]++;
    switch (fault) {
      case 'rst':
      case 'fin':
        connection.cut(fault);
        return;
      case 'halfClose':
        connection.halfClose(direction);
        return;
      case 'dropAfter':
        connection.dropAfter(direction, random.below(2_000));
        return;
      case 'linger':
        this.#until(lastMs, connection.linger());
        return;
      case 'stall':
        connection.stall(random.chance(0.5) ? ['up', 'down'] : [direction]);
        break;
      case 'delay':
        connection.delay(1 + random.below(20));
        break;
      case 'trickle':
        connection.trickle(1 + random.below(40));
        break;
    }
    connection.troubled = true;
    this.#until(lastMs, () => connection.heal());
  }

  #until(lastMs: number, heal: () => void): void {
    const timer = setTimeout(
      () => {
        this.#healing.delete(timer);
        heal();
      },
      1 + this.#random.below(lastMs),
    );
    this.#healing.set(timer, heal);
  }

  cutAll(how: 'rst' | 'fin' = 'rst'): void {
    for (const connection of this.connections) connection.cut(how);
    this.did[how] += this.connections.size;
  }

  /** Nothing lasts any more, and nothing is refused. */
  calm(): void {
    this.refusing = false;
    for (const [timer, heal] of this.#healing) {
      clearTimeout(timer);
      heal();
    }
    this.#healing.clear();
    for (const connection of this.connections) connection.heal();
  }

  async close(): Promise<void> {
    this.calm();
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const connection of [...this.connections]) connection.cut('rst');
    await closed;
  }
}
