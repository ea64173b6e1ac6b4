/** What a program gives createServer and gets from it. */
import type { CallInput, CallNames, Contract, Shape } from '../protocol/contract.js';
import type { ClusterReport, NodeReport } from '../protocol/http-answers.js';
import type { Limits } from '../protocol/limits.js';
import type { Store } from '../store/store.js';
import type {
  AtomicHandler,
  AtomicOptions,
  AuditLine,
  CallPolicy,
  EngineInfo,
  Handler,
  Log,
  Plugin,
  PluginApis,
  PluginHost,
  Publish,
  Session,
  TopicPolicy,
  User,
} from './api.js';
import type { LiveOptions } from './following.js';
import type { AuthOptions } from './gate/auth.js';
import type { HubTransportOptions } from './gate/doors.js';
import type { TlsFiles } from './transport/tls.js';
import type { Transport } from './transport/transport.js';
import type { TimeSource } from './time/clock.js';
import type { AdmissionOptions } from './gate/doorkeeper.js';
import type { RateOptions } from './gate/rates.js';

export interface ServerOptions<C extends Contract, U extends User, P extends readonly Plugin[]> {
  readonly contract: C;
  readonly plugins?: P;
  /** Default: memory, which forgets everything when the process ends. */
  readonly store?: Store;
  /** Default `auto`: uWebSockets.js where a native build loads, else ws. */
  readonly engine?: 'auto' | 'uws' | 'ws';
  /** Carries the connections in place of an engine of this process: `linkTransport` and `workers` of `@roomwire/server/link` make one. */
  readonly transport?: ((options: HubTransportOptions) => Transport) | undefined;
  /** Makes this server a node of a cluster: `cluster` of `@roomwire/server/cluster` makes one. It has the store and the transport. */
  readonly cluster?: Cluster | undefined;
  readonly auth?: AuthOptions<U>;
  readonly limits?: Partial<Limits>;
  /** Rules by topic pattern, on top of the contract. */
  readonly policy?: Readonly<Record<string, TopicPolicy>>;
  /** Rules by call or `prefix*`. */
  readonly callPolicy?: Readonly<Record<string, CallPolicy>>;
  /** Narrower rates for namespaces of calls and topics. */
  readonly rates?: RateOptions;
  /** Limits for those who have not said who they are yet, trusted proxies, web origins. */
  readonly admission?: AdmissionOptions;
  /** How many may follow topics over HTTP, and for how long at a stretch. */
  readonly live?: LiveOptions;
  /** Writes the audit trail; it is sampled when flooded. */
  readonly audit?: (line: AuditLine) => void;
  /** Ms of silence before PING. Default 25,000. */
  readonly pingEvery?: number;
  /** Ms to answer it. Default 10,000. */
  readonly pingTimeout?: number;
  /** Names this server in WELCOME. Default: random. */
  readonly node?: string;
  /** Bytes of all rings in memory. Default 64 MiB. */
  readonly ringBytes?: number;
  /** Largest HTTP body, bytes. Default 1 MiB. The rest of a larger one comes at 32 MiB a second, so that events pass between. */
  readonly bodyBytes?: number;
  /** The path that a proxy serves this under, such as `/rt`, passed on as it came: of HTTP, the page and documents. Default: none. */
  readonly basePath?: string | undefined;
  /** Serves `wss` and `https` alone, with this certificate: files, PEM. Default: plain, for a proxy that has the certificate. */
  readonly tls?: TlsFiles | undefined;
  /** Ms an HTTP connection stays open without a request. Default 10,000; another needs the engine `ws`, as uWebSockets.js has no other. */
  readonly httpIdleMs?: number | undefined;
  /** Takes the machine's clock for right though it is more than a year ahead of the store. Default false. */
  readonly trustClock?: boolean;
  readonly log?: Log;
  /**
   * The store is no longer this server's: another has opened it, another node of the cluster is the hub, or its file was removed or replaced. Nothing that this
   * server is asked to write is kept any more, so the process is to end. Default: the error is thrown where nobody
   * catches it, which ends the process.
   */
  readonly deposed?: (error: Error) => void;
  /**
   * Another node of the cluster cannot reach this one, which is the hub, and asks it to stop. Default: it stops in order,
   * and then is as one that was deposed.
   */
  readonly asked?: (node: string) => void;
  /** For tests. */
  readonly time?: TimeSource;
}

/** Without a final slash; empty: none. */
export function basePathOf({ basePath = '' }: Pick<AnyOptions, 'basePath'>): string {
  return basePath.replace(/\/$/, '');
}

/** `single`: of no cluster. `over`: it was the hub, and another is, or it stops. */
export type Role = ClusterReport['role'];

/** What a cluster asks of the server that it makes a node. */
export interface ClusterNode {
  /** What all nodes must have alike, as one text. */
  readonly shape: string;
  /** Without a final slash; empty: none. */
  readonly basePath: string;
  readonly time: TimeSource;
  readonly log: Log;
  /** The hub is asked to stop in order. */
  readonly asked: (node: string) => void;
}

/** The one seam between a server and its cluster. */
export interface Cluster {
  /** In place of the program's: opening it resolves when this node is the hub. */
  store(local: Store, node: ClusterNode): Store;
  transport(options: HubTransportOptions): Transport;
  /** Serves clients through whichever node is the hub. Resolves with the port. */
  start(at: { readonly host: string; readonly port: number; readonly tls?: TlsFiles | undefined }): Promise<number>;
  /** As that of a transport. */
  reloadTls(): void;
  /** Sends the clients of this node elsewhere, and takes no more. */
  leave(spreadMs: number): void;
  report(): ClusterReport;
  /** All nodes, as this one sees them while it is the hub; else none. */
  nodes(): readonly NodeReport[];
  onRole(told: (role: Role) => void): void;
  close(): Promise<void>;
}

export type AnyOptions = ServerOptions<Contract, User, readonly Plugin[]>;

export interface ListenOptions {
  /** 0: any free port. Default 8420. */
  readonly port?: number;
  /** Default 127.0.0.1. Any other than loopback needs keys. */
  readonly host?: string;
}

export interface CloseOptions {
  /** Ms over which the clients' next tries are spread. Default 0. */
  readonly spreadMs?: number;
  /** Ms to wait for a store that does not answer. Default 5,000. */
  readonly settleMs?: number;
  /** Ms in which the server is not ready but serves on, so that a balancer sends nobody here any more. Default 0. */
  readonly unreadyMs?: number;
  /** Ms at most to wait for the answers of calls and HTTP requests under way. Default 5,000. */
  readonly drainMs?: number;
}

/** What a program asks of its server as a plugin does. */
type Shared = Pick<
  PluginHost,
  'ready' | 'stats' | 'edges' | 'drainEdge' | 'transact' | 'call' | 'subscribe' | 'inspect' | 'why' | 'kick'
>;

export interface Server<S extends Shape, U extends User, P extends readonly Plugin[]> extends Shared {
  readonly plugins: PluginApis<P>;
  readonly engine: EngineInfo['name'] | undefined;
  /** The package that is this engine, and its version; undefined before `listen`. */
  readonly engineInfo: EngineInfo | undefined;
  /** Handlers run on the hub only. */
  readonly role: Role;
  /** Called whenever the role changes. */
  onRole(told: (role: Role) => void): void;
  /** Registers a call's handler. Throws a TypeError when the contract has no such call or it has one already. */
  handle<N extends CallNames<S>>(name: N, handler: Handler<CallInput<S, N>, U, S, PluginApis<P>>): void;
  /** Registers a handler that runs inside a transaction; see Transaction. */
  handleAtomic<N extends CallNames<S>>(
    name: N,
    handler: AtomicHandler<CallInput<S, N>, U>,
    options?: AtomicOptions,
  ): void;
  publish: Publish<S>;
  session(sid: string): Session<U> | undefined;
  /** Sessions of a user, also those in their grace. */
  sessionsOf(userId: string): readonly Session<U>[];
  /** Throws what `listen` would refuse for the options alone; opens nothing. */
  check(options?: ListenOptions): void;
  /**
   * Opens the store and listens. Rejects with what to do when it cannot. On a node of a cluster it resolves when the node
   * has become the hub; clients are served through the hub of the time meanwhile, and transact and publish reject with
   * store_unavailable.
   */
  listen(options?: ListenOptions): Promise<{ readonly port: number; readonly host: string; readonly url: string }>;
  /**
   * Shows the certificate that is in the files of `tls` now to those who connect from here on. Throws a TypeError, and keeps the
   * one before, for files that cannot be used.
   */
  reloadTls(): void;
  /**
   * Not ready; then no new work, and what is under way is answered; then GOAWAY to everyone (their next try spread over
   * `spreadMs`), and the store is flushed and closed.
   */
  close(options?: CloseOptions): Promise<void>;
}
