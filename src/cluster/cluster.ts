/**
 * A server as a node of a cluster: its store is in the log that the nodes share, and its port is served by an edge of this
 * process, which leads to whichever node is the hub. The log says where that is; a node that cannot get there asks it to yield.
 */
import { hkdfSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Journal } from '../journal/journal.js';
import { journalAt } from '../journal/open.js';
import { replicatedStore, type ReplicatedStore } from '../journal/replicated.js';
import { reportOf } from '../journal/status.js';
import type { View } from '../journal/view.js';
import {
  addressText,
  checkSecurity,
  dial,
  listenAt,
  readAddress,
  type Address,
  type Security,
} from '../link/address.js';
import { runEdge, type Edge } from '../link/edge.js';
import { linkTransport } from '../link/hub.js';
import type { HubTransportOptions } from '../server/gate/doors.js';
import type { ClusterReport, NodeReport } from '../protocol/http-answers.js';
import type { Cluster, ClusterNode, Role } from '../server/options.js';
import { sha256 } from '../server/gate/sha256.js';
import type { HttpResponse, Transport } from '../server/transport/transport.js';
import type { Store } from '../store/store.js';

export interface ClusterOptions {
  /** Address of the log that the nodes share, such as postgres://…; or what makes a handle of it. */
  readonly journal: string | (() => Journal);
  /** 32 characters or more, the same at all nodes, and in no other cluster. */
  readonly secret: string;
  /** HOST:PORT at which the other nodes reach this one while it is the hub. Without it they ask it to yield. */
  readonly advertise?: string | undefined;
  /** Where to listen for that. Default: `advertise` itself. */
  readonly link?: string | undefined;
  /** What guards it. Default: the secret of the cluster. */
  readonly security?: Security | undefined;
  /** Names this node. Default: from the host's name and the port. */
  readonly node?: string | undefined;
  readonly engine?: 'auto' | 'uws' | 'ws';
  /** It gave way to a node that could not reach it, and asks none to give way itself. */
  readonly mayClaim?: boolean;
  readonly leaseMs?: number;
  /** Bytes of the log after which a snapshot is taken. Default 64 MiB. */
  readonly snapshotBytes?: number;
}

/** Ms for which a hub that writes to the log cannot be reached until it is asked to yield. */
const CLAIM_MS = 8_000;
const LOOK_MS = 500;
/** Longer than a failover takes. */
const WAIT_MS = 8_000;
const LEAVE_MS = 10_000;

/** As it said of itself. */
type Hub = Pick<View, 'term' | 'link' | 'node'>;

/** For `createServer({ cluster })`. Throws a TypeError for what would let others in. */
export function cluster(options: ClusterOptions): Cluster {
  return new Node(options);
}

class Node implements Cluster {
  readonly #options: ClusterOptions;
  readonly #security: Security;
  readonly #at: readonly Address[];
  /** Of the socket at which the edge of this process reaches the hub. */
  #folder: string | undefined;
  readonly #roles: ((role: Role) => void)[] = [];
  #name = '';
  #store: ReplicatedStore | undefined;
  #node: ClusterNode | undefined;
  #edge: Edge | undefined;
  #leaving: Promise<void> | undefined;
  #looking: NodeJS.Timeout | undefined;
  #awayMs = 0;
  #hub: Hub | undefined;

  constructor(options: ClusterOptions) {
    const { secret, advertise, link = advertise, security } = options;
    if (secret.length < 32) {
      throw new TypeError('a cluster needs a secret of 32 characters or more, such as `openssl rand -hex 32`');
    }
    // Throws for an address of no engine.
    if (typeof options.journal === 'string') journalAt(options.journal);
    this.#options = options;
    this.#security = security ?? { secret };
    if (advertise !== undefined) checkAdvertised(advertise);
    this.#at = link === undefined ? [] : [readAddress(link)];
    checkSecurity(this.#at, this.#security);
  }

  get #own(): Address {
    return { path: join((this.#folder ??= mkdtempSync(join(tmpdir(), 'roomwire-'))), 'hub') };
  }

  store(local: Store, node: ClusterNode): Store {
    const { journal, secret, advertise = '', leaseMs, snapshotBytes } = this.#options;
    const tell = (line: string): void => node.log.warn({}, line);
    this.#node = node;
    this.#name = this.#options.node ?? advertise;
    if (this.#name === '') this.#name = `${hostname()}:${process.pid}`;
    const store = replicatedStore(local, typeof journal === 'string' ? () => journalAt(journal, { tell }) : journal, {
      node: this.#name,
      link: advertise,
      check: Buffer.from(hkdfSync('sha256', secret, '', 'roomwire cluster', 16)).toString('hex'),
      digest: () => sha256(node.shape).toString('hex'),
      tell,
      time: node.time,
      ...(leaseMs === undefined ? {} : { leaseMs }),
      ...(snapshotBytes === undefined ? {} : { snapshotBytes }),
    });
    this.#store = store;
    store.onRole((role) => this.#roles.forEach((told) => told(role)));
    store.onHub((view) => this.#meet(view));
    store.onClaim((claimant) => node.asked(claimant));
    return store;
  }

  #meet({ term, link, node }: View): void {
    const hub = { term, link, node };
    this.#awayMs = 0;
    this.#hub = hub;
    this.#edge?.meet({ term, text: node, dial: () => this.#dial(hub) });
  }

  /** This node's own hub is behind a socket of this machine; another's where it said. */
  #dial({ term, link, node }: Hub): Promise<Duplex> {
    const store = this.#store as ReplicatedStore;
    const isOwn = store.role === 'hub' && store.status().view.term === term;
    if (isOwn) return dial(this.#own, {});
    if (link === '') return Promise.reject(new Error(`${node} says of no address at which it can be reached`));
    return dial(readAddress(link), this.#security);
  }

  transport(options: HubTransportOptions): Transport {
    const { engine = 'auto' } = this.#options;
    const at = [this.#own, ...this.#at];
    return linkTransport({
      at,
      security: this.#security,
      engine,
      term: () => this.#store?.status().view.term ?? 0,
      // The port is the edge's, which dials this node as those of other nodes do.
      owned: { start: () => Promise.resolve(), stop: () => undefined, close: () => Promise.resolve() },
    })(options);
  }

  async start({ host, port, tls }: Parameters<Cluster['start']>[0]): Promise<number> {
    const { engine = 'auto' } = this.#options;
    const node = this.#node as ClusterNode;
    await this.#tryLink();
    const edge = runEdge({
      name: this.#name.replace(/[^\w.-]/g, '-').slice(0, 64),
      ...{ hubs: [], host, port, engine, tls, waitMs: WAIT_MS },
      answers: (path) => (path === `${node.basePath}/health/node` ? this.#health() : undefined),
      log: node.log,
    });
    this.#edge = edge;
    const hub = this.#hub;
    if (hub !== undefined) edge.meet({ ...hub, text: hub.node, dial: () => this.#dial(hub) });
    this.#looking = setInterval(() => this.#look(), LOOK_MS).unref();
    return edge.listening;
  }

  /** Where the others are to reach this node it listens as the hub only: what stands in the way is better known now. */
  async #tryLink(): Promise<void> {
    for (const address of this.#at) {
      const at = { taken: (socket: Duplex) => void socket.destroy(), failed: () => undefined };
      const { server } = await listenAt(address, this.#security, at).catch((error: unknown) => {
        throw new Error(`cannot wait for other nodes at ${addressText(address)}: ${(error as Error).message}`);
      });
      await new Promise((resolve) => server.close(resolve));
    }
  }

  reloadTls(): void {
    this.#edge?.reloadTls();
  }

  /** A hub that lives, and that this node cannot reach, is asked to yield. */
  #look(): void {
    const store = this.#store as ReplicatedStore;
    const { role, view, lastBeatMs = Infinity } = store.status();
    const isAway = role === 'standby' && view.isHeld && lastBeatMs < 2_000 && this.#edge?.serves !== true;
    this.#awayMs = isAway ? this.#awayMs + LOOK_MS : 0;
    if (this.#awayMs < CLAIM_MS || this.#options.mayClaim === false) return;
    this.#awayMs = 0;
    this.#node?.log.warn({ hub: view.node }, `${view.node} is the hub and cannot be reached: it is asked to yield`);
    store.claim().catch((error: unknown) => this.#node?.log.error({ err: error }, 'cannot ask the hub to yield'));
  }

  leave(spreadMs: number): void {
    clearInterval(this.#looking);
    this.#leaving ??= this.#edge?.leave(spreadMs, LEAVE_MS) ?? Promise.resolve();
  }

  report(): ClusterReport {
    const store = this.#store;
    if (store !== undefined) return reportOf(store.status());
    return { role: 'standby', node: this.#name, term: 0, hub: '', lag: 0, lastBeatMs: null, logMs: null };
  }

  /** Of this node itself: the hub answers everything else. */
  #health(): HttpResponse {
    const report = this.report();
    const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
    return { status: report.problem === undefined ? 200 : 503, headers, body: JSON.stringify(report) };
  }

  nodes(): readonly NodeReport[] {
    return this.#store?.nodes() ?? [];
  }

  onRole(told: (role: Role) => void): void {
    this.#roles.push(told);
  }

  async close(): Promise<void> {
    clearInterval(this.#looking);
    await this.#edge?.close();
    await this.#leaving;
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Throws a TypeError for what leads other machines nowhere, or each to itself. */
function checkAdvertised(text: string): void {
  const address = readAddress(text);
  if ('path' in address || (address.port !== 0 && !['0.0.0.0', '::', '::0'].includes(address.host))) return;
  throw new TypeError(
    `other nodes cannot reach '${text}': advertise a name or an address of this machine, with a port; where it listens may ` +
      'be another (--link)',
  );
}
