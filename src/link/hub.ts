/**
 * The hub's transport: its sockets are held by edges, other processes that carry bytes and decide nothing. Edges dial the
 * hub, or are started by it (workers.ts); beside them an engine of this process may serve too.
 */
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import type { EdgeReport, EngineInfo } from '../protocol/http-answers.js';
import { isLoopback } from '../server/gate/doorkeeper.js';
import type { HubTransportOptions } from '../server/gate/doors.js';
import { chooseTransport } from '../server/transport/choose.js';
import type { ListenAt, Transport } from '../server/transport/transport.js';
import { packageVersion } from './version.js';
import { addressText, checkSecurity, isLocal, listenAt, type Address, type Security } from './address.js';
import { Op, pack, Stop } from './frames.js';
import { HubLink, type HubLinkOwner } from './hub-link.js';
import type { Join, Settings, Share } from './messages.js';

/** Edges at once; all that they may be: each costs its window. */
const EDGES = 256;
/** Sessions that come back in a second after a hub's end: see docs/performance.md. */
const BACK_PER_MS = 3;
const LEAST_SPREAD_MS = 500;
/** For answers that are on their way when the hub closes. */
const LAST_MS = 1_000;

export interface LinkOptions {
  /** Where edges dial. */
  readonly at?: readonly Address[];
  readonly security?: Security;
  /** Edges that this process starts, for the port that `listen` is given. Without them an engine of this process serves it. */
  readonly owned?: OwnedEdges;
  /** That engine. Default `auto`. */
  readonly engine?: 'auto' | 'uws' | 'ws';
  /** Of several hubs the one with the highest is obeyed. Asked as edges join. */
  readonly term?: number | (() => number);
}

export interface OwnedEdges {
  /** Their ends of a link go to `accept`. Rejects when none can be started. */
  start(place: ListenAt, accept: (stream: Duplex) => void, options: HubTransportOptions): Promise<void>;
  /** As that of a transport. */
  reloadTls?(): void;
  /** No more of them are started. */
  stop(): void;
  /** They end with their links; resolves when they have. */
  close(): Promise<void>;
}

/** For `createServer({ transport })`. Throws a TypeError for what would let others in. */
export function linkTransport(options: LinkOptions): (transport: HubTransportOptions) => Transport {
  checkSecurity(options.at ?? [], options.security ?? {});
  return (transport) => new LinkTransport(options, transport);
}

class LinkTransport implements Transport, HubLinkOwner {
  readonly options: HubTransportOptions;
  readonly #link: LinkOptions;
  readonly #beside: Transport | undefined;
  readonly #links = new Set<HubLink>();
  readonly #servers: Server[] = [];
  #isStopping = false;
  #closing: Promise<void> | undefined;
  #port: { resolve(port: number): void; reject(error: Error): void } | undefined;
  readonly #told = new WeakMap<HubLink, { readonly share: string; readonly spreadMs: number }>();

  constructor(link: LinkOptions, options: HubTransportOptions) {
    this.#link = link;
    this.options = options;
    const { owned, engine = 'auto' } = link;
    if (owned === undefined)
      this.#beside = chooseTransport(engine, options, (line) => options.doors.log.warn({}, line));
    options.doors.onShun((address, ms) => {
      const text = Buffer.from(address);
      for (const { channel, joined } of this.#links) if (joined !== undefined) channel.send(Op.SHUN, ms, text);
    });
  }

  get engine(): EngineInfo {
    const own = { name: 'link', package: '@roomwire/server', version: packageVersion(), origin: 'official' } as const;
    return this.#beside?.engine ?? own;
  }

  async listen(place: ListenAt): Promise<number> {
    const { at = [], security = {}, owned } = this.#link;
    const { log } = this.options.doors;
    try {
      for (const address of at) {
        const listening = await listenAt(address, security, {
          taken: (socket) => {
            const text = 'path' in address ? 'this machine' : (socket.remoteAddress ?? 'unknown');
            this.#accept(socket, { text, isOwned: false });
          },
          failed: (reason) => log.warn({}, `link: ${reason}`),
        }).catch((error: unknown) => {
          throw new Error(`cannot wait for edges at ${addressText(address)}: ${(error as Error).message}`);
        });
        this.#servers.push(listening.server);
        log.info({ address: addressText(listening.address) }, 'waiting for edges');
      }
      if (this.#beside !== undefined) return await this.#beside.listen(place);
      const port = new Promise<number>((resolve, reject) => (this.#port = { resolve, reject }));
      await owned?.start(
        place,
        (stream) => this.#accept(stream, { text: 'this machine', isOwned: true }),
        this.options,
      );
      return await port;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  #accept(stream: Duplex, from: { readonly text: string; readonly isOwned: boolean }): void {
    if (this.#isStopping || this.#links.size >= EDGES) return void stream.destroy();
    this.#links.add(new HubLink(stream, from, this));
  }

  // ---- HubLinkOwner ----------------------------------------------------------------------------

  join(link: HubLink, { name: wanted, run, host, package: version }: Join): Settings | Error {
    const { doors, messageBytes, bodyBytes, maxBufferedBytes, endMs, httpIdleMs } = this.options;
    if (doors.guests && !(isLoopback(host) && isHere(link.from))) {
      return new Error('everybody is let in as a guest here, so edges must be on this machine: set keys at the hub');
    }
    for (const other of this.#links) {
      // It came back before its end was noticed here.
      if (other.joined?.name === wanted && other.joined.run === run) other.channel.close('it has joined anew');
    }
    const taken = new Set([...this.#links].map(({ name }) => name));
    let name = wanted;
    for (let i = 2; taken.has(name); i++) name = `${wanted}-${i}`;
    doors.log.info({ edge: name, address: link.from, version }, 'edge joined');
    const limits = {
      ...{ messageBytes, bodyBytes, maxBufferedBytes },
      ...(endMs === undefined ? {} : { endMs }),
      ...(httpIdleMs === undefined ? {} : { httpIdleMs }),
    };
    const { term = 0 } = this.#link;
    queueMicrotask(() => this.second(link));
    return {
      version: 0,
      term: typeof term === 'function' ? term() : term,
      name,
      limits,
      admission: doors.admission,
      share: this.#share(link),
      ownKey: doors.ownKey,
    };
  }

  /** What is free is shared out evenly: what has been granted is never more than may be. */
  #share({ connections: own }: HubLink): Share {
    const { connections: most = 0, upgradesPerSecond = 0 } = this.options.doors.admission;
    const sharers = this.#links.size + (this.#beside === undefined ? 0 : 1);
    const free = Math.max(0, most - this.options.doors.connections());
    return {
      connections: most === 0 ? 0 : Math.max(1, own + Math.floor(free / sharers)),
      upgradesPerSecond: upgradesPerSecond / sharers,
    };
  }

  listening(link: HubLink, port: number, problem: string): void {
    if (problem === '') {
      link.port = port;
      link.state = 'open';
      return this.#port?.resolve(port);
    }
    const { code, message } = JSON.parse(problem) as { readonly code?: string; readonly message: string };
    this.#port?.reject(Object.assign(new Error(message), code === undefined ? {} : { code }));
    this.options.doors.log.error({ edge: link.name }, `an edge cannot listen: ${message}`);
  }

  second(link: HubLink): void {
    if (link.joined === undefined || !link.channel.open) return;
    const { doors } = this.options;
    const share = this.#share(link);
    const spreadMs = Math.max(LEAST_SPREAD_MS, Math.ceil(doors.connections() / BACK_PER_MS));
    const told = this.#told.get(link);
    const text = JSON.stringify(share);
    if (told !== undefined && told.share !== text) link.channel.send(Op.SETTINGS, 0, pack({ share }));
    const isOff = told === undefined || Math.abs(spreadMs - told.spreadMs) > told.spreadMs / 5;
    if (isOff) {
      const { code, bytes } = doors.farewell(spreadMs);
      link.channel.send(Op.FAREWELL, code, bytes);
    }
    this.#told.set(link, { share: text, spreadMs: isOff ? spreadMs : told.spreadMs });
  }

  closed(link: HubLink, { why, connections }: { readonly why: string; readonly connections: number }): void {
    this.#links.delete(link);
    if (this.#isStopping) return;
    const { log } = this.options.doors;
    if (link.joined === undefined) log.warn({ address: link.from }, `link: who dialled ${why}`);
    else log.warn({ edge: link.name, connections }, `edge lost: ${why}`);
  }

  // ---- Transport -----------------------------------------------------------------------------------

  edges(): readonly EdgeReport[] {
    return [...this.#links].filter(({ joined }) => joined !== undefined).map((link) => link.report());
  }

  drainEdge(name: string, spreadMs: number): boolean {
    const link = [...this.#links].find((one) => one.name === name);
    if (link === undefined) return false;
    link.channel.send(Op.STOP, Stop.DRAIN);
    link.leave(spreadMs);
    return true;
  }

  reloadTls(): void {
    this.#beside?.reloadTls?.();
    this.#link.owned?.reloadTls?.();
  }

  stopListening(): void {
    this.#isStopping = true;
    this.#beside?.stopListening();
    this.#link.owned?.stop();
    for (const server of this.#servers) server.close();
    for (const link of this.#links) link.stop();
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.stopListening();
    const until = performance.now() + LAST_MS;
    while ([...this.#links].some(({ bodies }) => !bodies.idle) && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    for (const link of [...this.#links]) link.channel.close('the hub closes');
    await Promise.all([this.#beside?.close(), this.#link.owned?.close()]);
  }
}

function isHere(from: string): boolean {
  return from === 'this machine' || isLocal({ host: from.replace(/^::ffff:/, ''), port: 0 });
}
