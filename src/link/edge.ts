/**
 * An edge: an engine on a port, whose sockets and requests are answered by a hub elsewhere. It dials all hubs that it
 * knows, obeys the one with the newest term, and needs nothing of the application.
 */
import { randomBytes } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import type { Socket as NetSocket } from 'node:net';
import { defaultLimits } from '../protocol/limits.js';
import { chooseSubprotocol, Doorkeeper } from '../server/gate/doorkeeper.js';
import { sha256 } from '../server/gate/sha256.js';
import { chooseTransport, engineOf } from '../server/transport/choose.js';
import type { TlsFiles } from '../server/transport/tls.js';
import type { HttpRequest, HttpResponse, Transport, UpgradeInfo } from '../server/transport/transport.js';
import { Sampler, type Log } from '../server/watch/log.js';
import { away, EdgeLink, type EdgeLinkOwner } from './edge-link.js';
import { Stop, VERSIONS } from './frames.js';
import type { EngineLimits, Gauges, Join, Settings } from './messages.js';
import { packageVersion } from './version.js';
import { WaitingClients } from './waiting.js';

const BACKOFF_MS = [100, 5_000] as const;
/** Refusals a second of one kind that the hub is told one by one. */
const REFUSALS = 50;
const LOOP_RESOLUTION_MS = 20;
/** How long clients have to take their goodbye, and the answers that came last. */
const GOODBYE_MS = 50;
const POLL_MS = 20;
/** A hub is told where this edge listens before it is given those who waited. */
const SETTLE_MS = 50;

const ALIVE: HttpResponse = { status: 200, headers: { 'content-type': 'application/json' }, body: '{"status":"ok"}' };

export interface EdgeOptions {
  readonly name: string;
  /** Each gives a stream to its hub; it rejects with an Error that says why there is none. */
  readonly hubs: readonly EdgeHub[];
  readonly host: string;
  readonly port: number;
  readonly engine: 'auto' | 'uws' | 'ws';
  readonly log: Log;
  /** The certificate that it shows to clients. */
  readonly tls?: TlsFiles | undefined;
  /** Started by a hub: ends with its link. */
  readonly isOwned?: boolean;
  /** Other edges listen on this port, too. */
  readonly shared?: boolean;
  /** Another process accepts connections and hands them over: see `adopt`. */
  readonly isFed?: boolean;
  /** So many ms a client that connects while there is no hub waits for the next. Default: it is refused. */
  readonly waitMs?: number;
  /** What the process answers itself, whether there is a hub or not; undefined: the hub does. */
  readonly answers?: (path: string) => HttpResponse | undefined;
  /** It takes no more connections: the hub says so. */
  readonly stopped?: () => void;
  /** For tests. */
  readonly monotonic?: () => number;
}

/** Where a hub is. */
export interface EdgeHub {
  readonly text: string;
  /** Known before it is reached, where the hubs of a cluster follow each other. */
  readonly term?: number;
  dial(): Promise<Duplex>;
}

export interface Edge {
  /** Resolves with the port once it listens, which an edge with an owner does as soon as it knows its settings. */
  readonly listening: Promise<number>;
  /** Resolves when it has ended, with why. */
  readonly ended: Promise<string>;
  adopt(connection: NetSocket): void;
  /** As that of a transport. */
  reloadTls(): void;
  /** A hub of a higher term is there: what comes from those before is dropped, and they are dialled no more. */
  meet(hub: EdgeHub & { readonly term: number }): void;
  /** Whether a hub takes its clients. */
  readonly serves: boolean;
  /** Sends its clients elsewhere, spread over so many ms, and ends. */
  leave(spreadMs: number, mostMs: number): Promise<void>;
  close(): Promise<void>;
}

export function runEdge(options: EdgeOptions): Edge {
  return new RunningEdge(options);
}

/** Until a hub says otherwise. */
const START: EngineLimits = {
  messageBytes: defaultLimits.messageBytes,
  bodyBytes: 1024 * 1024,
  maxBufferedBytes: 4 * 1024 * 1024,
};

class RunningEdge implements Edge, EdgeLinkOwner {
  readonly listening: Promise<number>;
  readonly ended: Promise<string>;
  readonly #options: EdgeOptions;
  readonly #join: Join;
  readonly #monotonic: () => number;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  readonly #refusals: Sampler<string>;
  readonly #links = new Set<EdgeLink>();
  /** Each engine that still has connections; the last takes new ones. */
  readonly #transports: Transport[] = [];
  #transport: Transport | undefined;
  /** What the engine was made with. */
  #limits = '';
  #door: Doorkeeper;
  #ownKey: Buffer = Buffer.alloc(0);
  /** The one that is obeyed. */
  #hub: EdgeLink | undefined;
  /** Not for now: the hub stops. */
  #isRefusing = false;
  #isLeaving = false;
  readonly #waiting = new WaitingClients((ms, fn) => this.#after(ms, fn));
  /** The highest that is known of, from a hub or from others. */
  #term = 0;
  #isClosed = false;
  /** Until clients of the links that have ended are told so. */
  #goodbyes: Promise<void> = Promise.resolve();
  #port = 0;
  #listened!: { resolve(port: number): void; reject(error: unknown): void };
  #end!: (why: string) => void;

  constructor(options: EdgeOptions) {
    this.#options = options;
    const { name, engine, host, monotonic = () => performance.now() } = options;
    this.#monotonic = monotonic;
    this.#door = new Doorkeeper({}, monotonic);
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.listening = new Promise((resolve, reject) => (this.#listened = { resolve, reject }));
    // Whoever does not ask for it hears of it in `ended`.
    this.listening.catch(() => undefined);
    this.#join = {
      versions: VERSIONS,
      name,
      run: randomBytes(9).toString('base64url'),
      package: packageVersion(),
      engine: engineOf(engine),
      host,
    };
    this.#refusals = new Sampler({
      most: REFUSALS,
      after: (ms, fn) => ({ cancel: () => true, ...{ timer: this.#after(ms, fn) } }),
      leftOut: (limit, times) => this.#hub?.refused({ address: '', limit, times }),
    });
    this.#delay.enable();
    if (options.isOwned !== true) void this.#serve(START);
    for (const hub of options.hubs) void this.#dial(hub, BACKOFF_MS[0]);
  }

  get serves(): boolean {
    return this.#hub?.serves === true && !this.#isRefusing;
  }

  // ---- to the hub ------------------------------------------------------------------------------------

  meet(hub: EdgeHub & { readonly term: number }): void {
    if (hub.term <= this.#term) return;
    this.#term = hub.term;
    for (const link of [...this.#links]) link.channel.close('a newer hub is there');
    void this.#dial(hub, BACKOFF_MS[0]);
  }

  async #dial(hub: EdgeHub, backoffMs: number): Promise<void> {
    const { log } = this.#options;
    const isOver = (): boolean => this.#isClosed || (hub.term ?? this.#term) < this.#term;
    if (isOver()) return;
    try {
      const stream = await hub.dial();
      if (isOver()) return void stream.destroy();
      const link = new EdgeLink(stream, { join: this.#join, isOwned: this.#options.isOwned === true }, this);
      this.#links.add(link);
      this.#texts.set(link, hub);
    } catch (error) {
      const { message } = error as Error;
      if (backoffMs === BACKOFF_MS[0]) log.warn({ hub: hub.text }, `no hub at ${hub.text}: ${message}`);
      this.#again(hub, backoffMs);
    }
  }

  readonly #texts = new WeakMap<EdgeLink, EdgeHub>();
  readonly #backoff = new Map<EdgeHub, number>();

  #again(hub: EdgeHub, backoffMs: number): void {
    const next = Math.min(2 * backoffMs, BACKOFF_MS[1]);
    this.#backoff.set(hub, next);
    this.#after(backoffMs * (0.5 + Math.random() / 2), () => void this.#dial(hub, next));
  }

  #after(ms: number, fn: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      fn();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  settings(link: EdgeLink, settings: Settings): void {
    const { log } = this.#options;
    const { share, admission, ownKey, limits, term } = settings;
    if (link === this.#hub) return this.#door.limit(share);
    if (term < this.#term) return link.channel.close('a newer hub is known of');
    this.#term = term;
    const current = this.#hub;
    if (current?.settings !== undefined && current.channel.open) {
      if (term <= current.settings.term) return link.channel.close('another hub is obeyed');
      // What comes from it any more is dropped with the link.
      current.channel.close('a newer hub is there');
    }
    this.#hub = link;
    this.#isRefusing = false;
    this.#backoff.delete(this.#texts.get(link) as EdgeHub);
    this.#door = new Doorkeeper({ ...admission, ...share }, this.#monotonic);
    this.#ownKey = Buffer.from(ownKey);
    log.info({ hub: this.#texts.get(link)?.text, name: settings.name }, 'joined the hub');
    void this.#serve(limits).then(() => this.#after(SETTLE_MS, () => this.#endWait()));
  }

  shun(address: string, ms: number): void {
    this.#door.shun(address, ms);
  }

  stop(link: EdgeLink, how: number): void {
    if (link !== this.#hub) return;
    this.#isRefusing = true;
    if (how === Stop.REFUSE) return;
    this.#transport?.stopListening();
    this.#options.stopped?.();
    // One that is drained makes room for another; its connections end first.
    if (how === Stop.DRAIN && this.#options.isOwned === true) void this.#endEmpty(link);
  }

  async #endEmpty(link: EdgeLink): Promise<void> {
    while (link.channel.open && !link.isEmpty) await pause(POLL_MS);
    await this.#leaveWith('it was drained');
  }

  gauges(): Omit<Gauges, 'connections' | 'inFlightBytes'> {
    const { user, system } = process.cpuUsage();
    const late = (percent: number): number =>
      this.#delay.count === 0 ? 0 : Math.max(0, this.#delay.percentile(percent) / 1e9 - LOOP_RESOLUTION_MS / 1e3);
    const loopDelay = [late(50), late(99), late(100)] as const;
    this.#delay.reset();
    return { cpuSeconds: (user + system) / 1e6, rssBytes: process.memoryUsage.rss(), loopDelay };
  }

  closed(link: EdgeLink, why: string, goodbyes: Promise<void>): void {
    this.#links.delete(link);
    this.#goodbyes = this.#goodbyes.then(() => goodbyes);
    if (link === this.#hub) this.#hub = undefined;
    const hub = this.#texts.get(link);
    if (this.#isClosed || hub === undefined) return;
    const wasJoined = link.settings !== undefined;
    if (this.#options.isOwned === true) return void this.#leaveWith(why);
    const backoffMs = wasJoined ? BACKOFF_MS[0] : (this.#backoff.get(hub) ?? BACKOFF_MS[0]);
    if (wasJoined || backoffMs === BACKOFF_MS[0]) {
      this.#options.log.warn({ hub: hub.text }, `${wasJoined ? 'lost the hub' : 'not joined'}: ${why}`);
    }
    this.#again(hub, backoffMs);
  }

  failed(error: unknown): void {
    this.#options.log.error({ err: error }, 'internal error');
  }

  // ---- to clients ------------------------------------------------------------------------------------

  /** Makes an engine with these limits and listens, unless there is one. Connections of the one before stay until they end. */
  async #serve(limits: EngineLimits): Promise<void> {
    const text = JSON.stringify(limits);
    const { host, port, shared = false, isFed = false } = this.#options;
    const before = this.#transport;
    if (before !== undefined && this.#limits === text) return this.#hub?.listening(this.#port);
    this.#limits = text;
    try {
      const made = this.#engineFor(limits);
      this.#transport = made;
      this.#transports.push(made);
      before?.stopListening();
      this.#port = isFed ? port : await made.listen({ host, port: this.#port === 0 ? port : this.#port, shared });
      this.#listened.resolve(this.#port);
      this.#hub?.listening(this.#port);
    } catch (error) {
      this.#hub?.listening(0, error as Error);
      this.#listened.reject(error);
      await this.#leaveWith((error as Error).message);
    }
  }

  #engineFor(limits: EngineLimits): Transport {
    const { engine, tls, log } = this.#options;
    return chooseTransport(
      engine,
      {
        ...limits,
        tls,
        // The hub stops at its own limit; a client that goes beyond this one is cut, for nothing may be discarded.
        maxBufferedBytes: 2 * (limits.maxBufferedBytes + limits.messageBytes),
        chooseSubprotocol,
        refuses: (info) => this.#refuses(info),
        open: (socket, info) => {
          const at = { address: this.#door.addressOf(info.address, info.forwardedFor), door: this.#door };
          if (this.#hub?.serves === true && !this.#isRefusing) return this.#hub.open(socket, info, at);
          return this.#waiting.add({ socket, info, ...at }, this.#options.waitMs ?? 0);
        },
        request: (request, gone) => this.#request(request, gone),
        failed: (error) => this.failed(error),
      },
      (line) => log.warn({}, line),
    );
  }

  #endWait(): void {
    this.#waiting.go(({ socket, info, address }) =>
      this.#hub?.serves === true ? this.#hub.open(socket, info, { address, door: this.#door }) : undefined,
    );
  }

  #refuses(info: UpgradeInfo): HttpResponse | undefined {
    const waits = this.#options.waitMs !== undefined && !this.#waiting.full && !this.#isLeaving;
    if (!this.serves && !waits) return away('there is no hub yet, or it stops');
    // The hub's own probe, which comes with a secret of the hub's.
    if (sha256(info.authorization.replace(/^Bearer /, '')).equals(this.#ownKey)) return undefined;
    const address = this.#door.addressOf(info.address, info.forwardedFor);
    const hold = this.#door.refuses(address);
    if (hold === undefined) return undefined;
    const { status, limit, retryAfterMs } = hold;
    if (this.#refusals.takes(limit)) this.#hub?.refused({ address, limit, times: 1 });
    const headers = { 'content-type': 'text/plain', 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) };
    return { status, headers, body: `${limit}: try again later.\n` };
  }

  async #request(request: HttpRequest, gone: (fn: () => void) => void): Promise<HttpResponse> {
    if (['GET', 'HEAD'].includes(request.method)) {
      const own = request.path === '/health/live' ? ALIVE : this.#options.answers?.(request.path);
      if (own !== undefined) return own;
    }
    if (this.#hub?.serves !== true) return away('there is no hub yet, or it restarts');
    return this.#hub.request(request, gone);
  }

  adopt(connection: NetSocket): void {
    if (this.#transport?.adopt === undefined) connection.destroy();
    else this.#transport.adopt(connection);
  }

  reloadTls(): void {
    this.#transport?.reloadTls?.();
  }

  // ---- the end -----------------------------------------------------------------------------------------

  async leave(spreadMs: number, mostMs: number): Promise<void> {
    this.#isLeaving = true;
    this.#isRefusing = true;
    this.#transport?.stopListening();
    this.#hub?.leave(spreadMs);
    const until = performance.now() + mostMs;
    while (this.#hub?.isEmpty === false && performance.now() < until) await pause(POLL_MS);
    await this.close();
  }

  close(): Promise<void> {
    return this.#leaveWith('it was told to');
  }

  #leaving: Promise<void> | undefined;

  #leaveWith(why: string): Promise<void> {
    return (this.#leaving ??= this.#leave(why));
  }

  async #leave(why: string): Promise<void> {
    this.#isClosed = true;
    this.#delay.disable();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#transport?.stopListening();
    for (const link of [...this.#links]) link.channel.close('the edge ends');
    await this.#goodbyes;
    await pause(GOODBYE_MS);
    await Promise.all(this.#transports.map((transport) => transport.close()));
    this.#end(why);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
