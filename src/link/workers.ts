/**
 * Edges of one machine: processes that this one starts and that end with it, all behind one port. Their links are pipes that
 * they inherit, so there is no address, no secret and no file; one that dies is started anew.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { HubTransportOptions } from '../server/gate/doors.js';
import { chooseTransport, engineOf } from '../server/transport/choose.js';
import { readTls, type TlsFiles } from '../server/transport/tls.js';
import type { ListenAt, Transport } from '../server/transport/transport.js';
import { linkTransport, type LinkOptions, type OwnedEdges } from './hub.js';

export interface WorkersOptions extends Pick<LinkOptions, 'at' | 'security' | 'term'> {
  /** How many. `auto`: one for each core but one, which the hub has; none on a single core. */
  readonly count: number | 'auto';
  readonly engine?: 'auto' | 'uws' | 'ws';
}

/** What a worker is told: worker.ts. */
export interface WorkerSettings {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly engine: 'auto' | 'uws' | 'ws';
  readonly isFed: boolean;
  readonly tls?: TlsFiles | undefined;
}

/** What a worker is told later. */
export const RELOAD_TLS = 'reload tls';

const MOST = 128;
/** Ms until one that died is started anew; more for one that dies at once. */
const RESTART_MS = [50, 5_000] as const;
const END_MS = 5_000;
/** For one that lost its link. One that hangs would keep its share of the port, and clients would wait there for an answer. */
const LOST_MS = 2_000;
/** A pipe's place among what a worker inherits. */
export const LINK_FD = 4;

/** For `createServer({ transport })`. Without workers, an engine of this process. Throws a TypeError for a count that is none. */
export function workers(options: WorkersOptions): (transport: HubTransportOptions) => Transport {
  const { count: wanted, engine = 'auto', at = [], ...link } = options;
  const count = wanted === 'auto' ? availableParallelism() - 1 : wanted;
  if (!Number.isInteger(count) || count < 0 || count > MOST) {
    throw new TypeError(`workers: takes auto, or a number from 0 to ${MOST}`);
  }
  if (count > 0) return linkTransport({ ...link, at, engine, owned: new Workers(count, engine) });
  if (at.length > 0) return linkTransport({ ...link, at, engine });
  return (transport) => chooseTransport(engine, transport, (line) => transport.doors.log.warn({}, line));
}

class Workers implements OwnedEdges {
  readonly #count: number;
  readonly #engine: 'auto' | 'uws' | 'ws';
  readonly #children = new Map<string, ChildProcess>();
  /** Those that take connections, in turns. */
  #up: ChildProcess[] = [];
  #port: Server | undefined;
  #tls: TlsFiles | undefined;
  #isStopping = false;

  constructor(count: number, engine: 'auto' | 'uws' | 'ws') {
    this.#count = count;
    this.#engine = engine;
  }

  async start(
    { host, port: wanted }: ListenAt,
    accept: (stream: Duplex) => void,
    options: HubTransportOptions,
  ): Promise<void> {
    const { tls } = options;
    this.#tls = tls;
    const { log } = options.doors;
    const isUws = engineOf(this.#engine).name === 'uws';
    const isFed = !isUws || process.platform !== 'linux';
    if (isUws && isFed) {
      log.warn({}, `workers run on ws: on ${process.platform} uWebSockets.js cannot share a port`);
    }
    // Nobody else may have it: the workers' own sockets would share it with another program's without a word.
    const server = createServer({ pauseOnConnect: true }, (socket) => this.#feed(socket));
    server.listen({ host, port: wanted, exclusive: true });
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    if (isFed) {
      this.#port = server;
      server.on('error', (error) => options.failed(error));
    } else {
      server.close();
      await once(server, 'close');
    }
    const settings = { host, port, engine: isFed ? 'ws' : this.#engine, isFed, tls } as const;
    const started = Array.from({ length: this.#count }, (_, i) =>
      this.#fork({ ...settings, name: `worker-${i + 1}` }, { accept, options, backoffMs: RESTART_MS[0] }),
    );
    const settled = await Promise.allSettled(started);
    const failed = settled.filter((worker) => worker.status === 'rejected');
    // One that ended is started anew.
    if (failed.length === settled.length) throw failed[0]?.reason as Error;
  }

  /** Resolves when it takes connections; rejects when it ends before. */
  #fork(
    settings: WorkerSettings,
    how: {
      readonly accept: (stream: Duplex) => void;
      readonly options: HubTransportOptions;
      readonly backoffMs: number;
    },
  ): Promise<void> {
    const { name } = settings;
    const own = import.meta.url;
    // From the sources, as tests run them, or built.
    const program = fileURLToPath(new URL(`./worker${own.slice(own.lastIndexOf('.'))}`, own));
    const child = fork(program, [JSON.stringify(settings)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
      execArgv: process.execArgv.filter((arg) => !arg.startsWith('--inspect')),
    });
    this.#children.set(name, child);
    const stream = child.stdio[LINK_FD] as Duplex;
    how.accept(stream);
    let late: NodeJS.Timeout | undefined;
    stream.on('close', () => {
      if (!this.#isStopping) late = setTimeout(() => child.kill('SIGKILL'), LOST_MS).unref();
    });
    return new Promise((resolve, reject) => {
      let wasUp = false;
      child.on('message', (told) => {
        this.#up = this.#up.filter((other) => other !== child);
        if (told !== 'up') return;
        wasUp = true;
        this.#up.push(child);
        resolve();
      });
      // `exit` follows, or there never was a process.
      child.on('error', (error) => reject(error));
      child.on('exit', (code, signal) => {
        clearTimeout(late);
        this.#up = this.#up.filter((other) => other !== child);
        this.#children.delete(name);
        reject(new Error(`${name} ended (${signal ?? code}) before it took connections`));
        if (this.#isStopping) return;
        how.options.doors.log.warn({ edge: name }, `${name} ended (${signal ?? code}): another is started`);
        const backoffMs = wasUp ? RESTART_MS[0] : Math.min(2 * how.backoffMs, RESTART_MS[1]);
        setTimeout(() => {
          if (!this.#isStopping) this.#fork(settings, { ...how, backoffMs }).catch(() => undefined);
        }, how.backoffMs);
      });
    });
  }

  /** To the next in turn. Where the engine shares the port, none comes here but in the moment before the workers have it. */
  #feed(socket: Socket): void {
    const child = this.#up.shift();
    if (child === undefined) return void socket.destroy();
    this.#up.push(child);
    child.send('connection', socket, (error) => {
      if (error !== null) socket.destroy();
    });
  }

  /** Each says in its log what it cannot use that could be used here. */
  reloadTls(): void {
    if (this.#tls === undefined) return;
    readTls(this.#tls);
    for (const child of this.#children.values()) child.send(RELOAD_TLS, () => undefined);
  }

  stop(): void {
    this.#isStopping = true;
    this.#port?.close();
  }

  /** They end with their links, which the hub has closed. */
  async close(): Promise<void> {
    this.stop();
    const gone = [...this.#children.values()].map(async (child) => {
      const late = setTimeout(() => child.kill('SIGKILL'), END_MS);
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      clearTimeout(late);
    });
    await Promise.all(gone);
  }
}
