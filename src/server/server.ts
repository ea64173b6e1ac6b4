/**
 * createServer: a server from its parts (parts.ts), as programs and plugins see it (plugin-host.ts), and its life from
 * `listen` to `close`.
 * The way of a message: transport → connection.ts → dispatch.ts → hub/hub.ts (stage, commit, fan-out)
 * → outbox.ts → transport. Sessions live in sessions/life.ts, calls in calls/table.ts.
 */
import type { Contract, ShapeOf } from '../protocol/contract.js';
import { RoomwireError } from '../protocol/errors.js';
import { scanValue } from '../protocol/scan.js';
import { StoreError, type OpenedStore, type Store } from '../store/store.js';
import type { EngineInfo, Plugin, User } from './api.js';
import { keepSweeping } from './calls/keys.js';
import { chooseSubprotocol, isLoopback } from './gate/doorkeeper.js';
import { checkListen, checkOptions } from './option-checks.js';
import type { AnyOptions, CloseOptions, ListenOptions, Role, Server, ServerOptions } from './options.js';
import { build, type Parts } from './parts.js';
import { Host } from './plugin-host.js';
import { answered, pause, settled } from './stopping.js';
import { requireSaneTime } from './time/clock.js';
import { checkEngine, chooseTransport } from './transport/choose.js';
import { readTls } from './transport/tls.js';
import type { Transport, TransportOptions } from './transport/transport.js';

export { isLoopback } from './gate/doorkeeper.js';
export { sha256 } from './gate/sha256.js';
export { exchange, ExchangeError, type Exchanged } from './transport/exchange.js';
export type { Cluster, ClusterNode, ListenOptions, Role, Server, ServerOptions } from './options.js';

/** A socket's own buffer may hold this much before `send` refuses. */
const MAX_BUFFERED = 4 * 1024 * 1024;
const SETTLE_MS = 5_000;
const DRAIN_MS = 5_000;
const DAY_MS = 86_400_000;

export function createServer<const C extends Contract, U extends User = User, const P extends readonly Plugin[] = []>(
  options: ServerOptions<C, U, P>,
): Server<ShapeOf<C>, U, P> {
  checkOptions(options);
  const parts = build(options, { deposed: (error) => server.deposed(error), asked: (node) => server.asked(node) });
  const server = new RoomServer(options, parts);
  return server as unknown as Server<ShapeOf<C>, U, P>;
}

class RoomServer extends Host {
  readonly #options: AnyOptions;
  readonly #parts: Parts;
  #transport: Transport | undefined;
  #opening: Promise<unknown> | undefined;
  #closing: Promise<void> | undefined;
  /** Another node of the cluster is the hub: none of this one's hooks runs any more. */
  #isOver = false;

  constructor(options: AnyOptions, parts: Parts) {
    super(options, parts);
    this.#options = options;
    this.#parts = parts;
  }

  get engine(): EngineInfo['name'] | undefined {
    return this.engineInfo?.name;
  }

  get role(): Role {
    return this.#options.cluster?.report().role ?? 'single';
  }

  onRole(told: (role: Role) => void): void {
    this.#options.cluster?.onRole(told);
  }

  check({ port = 8420, host = '127.0.0.1' }: ListenOptions = {}): void {
    if (!isLoopback(host) && !this.#parts.auth.configured) {
      throw new TypeError(
        `refusing to listen on ${host} without keys: everybody could come in. Set auth.secret or auth.publicKey ` +
          '(ROOMWIRE_JWT_SECRET, ROOMWIRE_JWT_PUBLIC_KEY), or listen on 127.0.0.1',
      );
    }
    checkListen({ port, host });
    checkEngine(this.#options.engine ?? 'auto');
    if (this.#options.tls !== undefined) readTls(this.#options.tls);
  }

  async listen(options: ListenOptions = {}): Promise<{ port: number; host: string; url: string }> {
    if (this.#parts.life.phase !== 'new') throw new Error('listen() can be called once');
    const opening = this.#listen(options);
    this.#opening = opening.catch(() => undefined);
    return opening;
  }

  async #listen({ port = 8420, host = '127.0.0.1' }: ListenOptions): Promise<{
    port: number;
    host: string;
    url: string;
  }> {
    const { life, auth, store, wheel, probe } = this.#parts;
    const { cluster, tls } = this.#options;
    this.check({ port, host });
    auth.guests = isLoopback(host) && !auth.configured;
    life.phase = 'opening';
    life.isNode = cluster !== undefined;
    let opened: OpenedStore | undefined;
    try {
      const transport = (this.#transport = this.#chooseTransport());
      life.engine = transport.engine;
      life.transport = transport;
      const own = await cluster?.start({ host, port, tls });
      opened = await store.open({ readable: isDocument });
      await this.#restore(opened);
      // A node's edge listens already; the one that joins first may be another's.
      const joined = await transport.listen({ host, port });
      const bound = own ?? joined;
      if (this.#isOver) throw new StoreError('unusable', 'another node has become the hub meanwhile');
      life.phase = 'open';
      const secure = tls === undefined ? '' : 's';
      probe.url = `ws${secure}://${reachable(host)}:${bound}/`;
      const url = `http${secure}://${bracketed(host)}:${bound}${this.basePath}`;
      this.log.info({ url, engine: life.engine, store: store.name }, 'listening');
      return { port: bound, host, url };
    } catch (error) {
      life.phase = 'closed';
      wheel.stop();
      auth.close();
      if (opened !== undefined) await store.close();
      await cluster?.close();
      throw error;
    }
  }

  #chooseTransport(): Transport {
    const { entrance, connections, doors, failed, log } = this.#parts;
    const { engine = 'auto', cluster, transport, bodyBytes = 1024 * 1024, httpIdleMs, tls } = this.#options;
    const options: TransportOptions = {
      messageBytes: this.limits.messageBytes,
      bodyBytes,
      maxBufferedBytes: MAX_BUFFERED,
      ...(httpIdleMs === undefined ? {} : { httpIdleMs }),
      tls,
      chooseSubprotocol,
      refuses: (info) => entrance.refuses(info),
      open: (socket, info) => connections.open(socket, info),
      request: (request, gone) => entrance.request(request, gone),
      failed,
    };
    if (cluster !== undefined) return cluster.transport({ ...options, doors });
    if (transport !== undefined) return transport({ ...options, doors });
    return chooseTransport(engine, options, (line) => log.warn({}, line));
  }

  async #restore(opened: OpenedStore): Promise<void> {
    const { life, store, time, clock, hub, sessions, wheel, log } = this.#parts;
    requireSaneTime(time.wall(), opened.meta, this.#options.trustClock === true);
    const days = Math.round((opened.meta.time - time.wall()) / DAY_MS);
    if (days > 0) {
      log.warn({ days }, 'the time of the store is ahead of this clock, which was once wrong: leases are told by it');
    }
    clock.start(opened.meta.time, opened.now);
    hub.open(opened);
    life.isStoreOpen = true;
    for (const restore of [() => sessions.restore(), ...life.restoreHooks]) {
      try {
        await restore();
      } catch (error) {
        throw unreadable(error, store);
      }
    }
    for (const hook of life.openHooks) await hook();
    keepSweeping(hub, (ms, fn) => wheel.after(ms, fn));
  }

  reloadTls(): void {
    const { tls, cluster } = this.#options;
    if (tls === undefined) throw new TypeError('the server has no tls, and so no certificate to reload');
    if (cluster !== undefined) cluster.reloadTls();
    else this.#transport?.reloadTls?.();
  }

  close({ spreadMs = 0, settleMs = SETTLE_MS, unreadyMs = 0, drainMs = DRAIN_MS }: CloseOptions = {}): Promise<void> {
    return (this.#closing ??= this.#close({ spreadMs, settleMs, unreadyMs, drainMs }));
  }

  async #close({ spreadMs, settleMs, unreadyMs, drainMs }: Required<CloseOptions>): Promise<void> {
    const parts = this.#parts;
    const { life, wheel, auth, store, probe, connections, live, sessions } = parts;
    const { cluster } = this.#options;
    cluster?.leave(spreadMs);
    // A standby would wait for its turn.
    if (cluster !== undefined && life.phase === 'opening' && !life.isStoreOpen) await store.close();
    await this.#opening;
    if (this.#isOver && life.phase === 'closing') return this.#abandon();
    if (life.phase !== 'open') {
      wheel.stop();
      life.phase = 'closed';
      return;
    }
    life.phase = 'leaving';
    if (unreadyMs > 0) await pause(unreadyMs);
    // From here on frames are refused, so that what was taken is answered before the connections close.
    life.phase = 'closing';
    this.#transport?.stopListening();
    await live.drain(spreadMs);
    await settled(parts, settleMs);
    await answered(parts, drainMs);
    await settled(parts, settleMs);
    probe.close();
    await connections.drain(spreadMs);
    for (const hook of life.closeHooks) await hook();
    await settled(parts, settleMs);
    await this.#transport?.close();
    wheel.stop();
    sessions.stop();
    auth.close();
    // Before the store: what came in between would be taken and be nowhere.
    life.phase = 'closed';
    await settled(parts, settleMs);
    await store.close();
    await cluster?.close();
  }

  /** Of a hub that was deposed: nothing is said, and nothing run, but what lets go of this process. */
  async #abandon(): Promise<void> {
    const { life, wheel, auth, store, probe, connections, sessions } = this.#parts;
    probe.close();
    await connections.drain(0);
    await this.#transport?.close();
    wheel.stop();
    sessions.stop();
    auth.close();
    life.phase = 'closed';
    await store.close();
    await this.#options.cluster?.close();
  }

  /** Another node of the cluster cannot reach this hub. */
  asked(node: string): void {
    const { asked } = this.#options;
    if (asked !== undefined) return asked(node);
    this.log.warn({ node }, `${node} cannot reach this hub, and asks it to stop`);
    void this.close().then(() => this.#end(new Error(`stopped for ${node}, which could not reach this hub`)));
  }

  /** The store is no longer this server's. */
  deposed(error: StoreError): void {
    const { phase } = this.#parts.life;
    // It stops already.
    if (phase !== 'opening' && phase !== 'open') return;
    if (this.#options.cluster !== undefined) {
      this.#isOver = true;
      // What a client asks is the new hub's to answer.
      this.#parts.life.phase = 'closing';
    }
    // Another may use the store by now: clients are to go there at once.
    this.#transport?.stopListening();
    this.#end(error);
  }

  #end(error: Error): void {
    const { deposed } = this.#options;
    if (deposed !== undefined) return deposed(error);
    setImmediate(() => {
      throw error;
    });
  }
}

/** Where a server that listens on `host` reaches itself. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '[::1]' : bracketed(host);
}

/** As URLs have it. */
function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Whether bytes are one value, as everything is that the hub writes. */
function isDocument(bytes: Uint8Array): boolean {
  return scanValue(bytes, 0) === bytes.length;
}

/** What a store holds has the right form and makes no sense: a disk's fault, or another version's. */
function unreadable(error: unknown, { file }: Store): unknown {
  if (file === undefined || error instanceof StoreError || error instanceof RoomwireError) return error;
  const why = `this server cannot read what it holds (${error instanceof Error ? error.message : String(error)})`;
  return new StoreError(
    'unusable',
    `${file} is damaged or of another version: ${why}: restore a backup, or move its directory away to begin with an empty store`,
    error,
  );
}
