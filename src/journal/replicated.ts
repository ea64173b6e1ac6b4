/**
 * A store whose commits are in a shared log before they are in the store of this node. Opening it makes this node a standby,
 * which applies what the hub of the time writes; `open` resolves when this node has become the hub itself. It never
 * stops being the hub but by its end (invariant 6): the process is to be started anew then.
 */
import type { NodeReport } from '../protocol/http-answers.js';
import {
  StoreError,
  type Batch,
  type MaybePromise,
  type OpenedStore,
  type OpenOptions,
  type Store,
} from '../store/store.js';
import { Follower } from './follower.js';
import { HubLog } from './hub-log.js';
import type { Journal } from './journal.js';
import { settle, type ReplicatedOptions, type Settled } from './settings.js';
import type { ClusterStatus, Role } from './status.js';
import { Nodes } from './nodes.js';
import type { View } from './view.js';

export interface ReplicatedStore extends Store {
  /** Resolves when this node has become the hub. Rejects when it cannot take part any more: the process is to be started anew. */
  open(options?: OpenOptions): Promise<OpenedStore>;
  commit(batch: Batch): Promise<void>;
  close(): Promise<void>;
  readonly role: Role;
  status(): ClusterStatus;
  /** All nodes, as this one sees them while it is the hub; else none. */
  nodes(): readonly NodeReport[];
  /** Called when this node's role changes. */
  onRole(told: (role: Role) => void): void;
  /** Called when another node, or this one, has become the hub, with what it said of itself; and at once, when there is one. */
  onHub(told: (view: View) => void): void;
  /** Called when a node that cannot reach this hub's link asks it to stop in order. */
  onClaim(told: (node: string) => void): void;
  /** Asks the hub to yield: this node cannot reach its link. Once in its life. */
  claim(): Promise<void>;
}

/** `openJournal` makes a handle of the log; it is called again where one has become of no use. */
export function replicatedStore(local: Store, openJournal: () => Journal, options: ReplicatedOptions): ReplicatedStore {
  return new Replicated(local, openJournal, settle(options));
}

class Replicated implements ReplicatedStore {
  readonly name: string;
  readonly durable = true;
  readonly file?: string;
  readonly #local: Store;
  readonly #options: Settled;
  readonly #follower: Follower;
  #hub: HubLog | undefined;
  #role: Role = 'standby';
  #lost: StoreError | undefined;
  #onLost: ((why: StoreError) => void) | undefined;
  readonly #roles: ((role: Role) => void)[] = [];
  readonly #claims: ((node: string) => void)[] = [];
  #hasClaimed = false;
  #closing: Promise<void> | undefined;
  #nodes: Nodes | undefined;

  constructor(local: Store, openJournal: () => Journal, options: Settled) {
    this.#local = local;
    this.#options = options;
    this.name = `replicated ${local.name}`;
    if (local.file !== undefined) this.file = local.file;
    this.#follower = new Follower(local, openJournal, options);
  }

  get role(): Role {
    return this.#role;
  }

  async open(options?: OpenOptions): Promise<OpenedStore> {
    this.#nodes = new Nodes({
      ...{ settled: this.#options, journal: () => this.#follower.journal, status: () => this.status() },
    });
    const won = await this.#follower.run(options).catch((error: unknown) => {
      this.#nodes?.stop();
      throw error;
    });
    const { time } = this.#options;
    const { meta, view } = won.position;
    const now = won.now ?? Math.max(meta.time, time.wall());
    this.#hub = new HubLog(won, this.#options, now, {
      lost: (error) => this.#lose(error),
      claimed: (node) => this.#claims.forEach((told) => told(node)),
    });
    this.#local.onLost?.((error) => this.#lose(error));
    this.#become('hub');
    return { generation: view.generation, meta, now };
  }

  #become(role: Role): void {
    if (this.#role === role) return;
    this.#role = role;
    for (const told of this.#roles) told(role);
  }

  #lose(error: StoreError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#become('over');
    this.#onLost?.(error);
  }

  commit(batch: Batch): Promise<void> {
    return this.#current().commit(batch);
  }

  confirm(): MaybePromise<void> {
    return this.#current().confirm();
  }

  #current(): HubLog {
    if (this.#hub === undefined) throw new Error('the store is not open');
    return this.#hub;
  }

  topic(name: string): ReturnType<Store['topic']> {
    return this.#local.topic(name);
  }

  read(topic: string, from: number, maxBytes: number): ReturnType<Store['read']> {
    return this.#local.read(topic, from, maxBytes);
  }

  get(table: string, key: string): ReturnType<Store['get']> {
    return this.#local.get(table, key);
  }

  list(table: string, options: Parameters<Store['list']>[1]): ReturnType<Store['list']> {
    return this.#local.list(table, options);
  }

  topics(options: Parameters<Store['topics']>[0]): ReturnType<Store['topics']> {
    return this.#local.topics(options);
  }

  snapshot(): AsyncIterable<Uint8Array> {
    return this.#local.snapshot();
  }

  restore(): Promise<void> {
    return Promise.reject(new StoreError('refused', 'a node of a cluster is filled from its log'));
  }

  onLost(told: (why: StoreError) => void): void {
    this.#onLost = told;
    if (this.#lost !== undefined) told(this.#lost);
  }

  onRole(told: (role: Role) => void): void {
    this.#roles.push(told);
  }

  onHub(told: (view: View) => void): void {
    this.#follower.onHub(told);
  }

  onClaim(told: (node: string) => void): void {
    this.#claims.push(told);
  }

  async claim(): Promise<void> {
    if (this.#hasClaimed || this.#role !== 'standby') return;
    this.#hasClaimed = true;
    await this.#follower.claim();
  }

  status(): ClusterStatus {
    const { node } = this.#options;
    const follower = this.#follower;
    const hub = this.#hub;
    if (hub === undefined) {
      const { view, seq, head, lastBeatMs, logMs, problem } = follower;
      return { role: this.#role, node, view, applied: seq, head, lastBeatMs, logMs, problem };
    }
    const { seq, view, lastBeatMs } = hub;
    const problem = this.#lost?.message;
    return { role: this.#role, node, view, applied: seq, head: seq, lastBeatMs, logMs: lastBeatMs, problem };
  }

  nodes(): readonly NodeReport[] {
    return this.#nodes?.all ?? [];
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    if (this.#hub !== undefined) await this.#hub.close();
    this.#become('over');
    await this.#nodes?.close();
    await this.#follower.close();
    await this.#local.close();
  }
}
