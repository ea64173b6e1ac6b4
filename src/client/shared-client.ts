/** One `connect()`: a view of the shared connection that undoes its own registrations when it closes. */
import type { Position } from '../protocol/frames.js';
import { RoomwireError } from '../protocol/errors.js';
import { call, publish, sendVolatile } from './context.js';
import type { Core } from './core.js';
import type { CallHandler } from './handlers.js';
import type { Observed } from './observable.js';
import type { Overview } from './overview.js';
import type { FollowedRoom } from './room.js';
import { TopicSubscription } from './subscription.js';
import type { CallOptions, ClientState, Published } from './types.js';

export class SharedClient {
  readonly #core: Core;
  readonly #release: () => void;
  readonly #undo = new Set<() => void>();
  #closed = false;

  /** `release` gives back this client's share of the connection. */
  constructor(core: Core, release: () => void) {
    this.#core = core;
    this.#release = release;
  }

  get state(): Observed<ClientState> {
    return this.#core.connection.state;
  }

  now(): number {
    return this.#core.connection.storeNow();
  }

  get rooms(): Overview {
    return this.#core.overview;
  }

  async call(name: string, input: unknown, options?: CallOptions): Promise<unknown> {
    return call(this.#open(), name, input, options);
  }

  handle(name: string, handler: CallHandler): () => void {
    return this.#until(this.#open().handlers.handle(name, handler));
  }

  subscribe(topic: string, { from }: { readonly from?: Position | undefined } = {}): TopicSubscription {
    return this.#stream(topic, true, from);
  }

  listen(topic: string): TopicSubscription {
    return this.#stream(topic, false);
  }

  async publish(topic: string, event: string, data: unknown, options?: CallOptions): Promise<Published> {
    return publish(this.#open(), topic, event, data, options);
  }

  volatile(topic: string, event: string, slot: string, data: unknown): void {
    sendVolatile(this.#open(), topic, event, slot, data);
  }

  room(id: string): FollowedRoom {
    return this.#open().room(id);
  }

  reconnect(): void {
    this.#open().reconnect();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const undo of this.#undo) undo();
    this.#release();
  }

  #stream(topic: string, direct: boolean, from?: Position): TopicSubscription {
    const subscription = new TopicSubscription(this.#open(), topic, direct, from);
    this.#until(() => subscription.unsubscribe());
    return subscription;
  }

  #until(undo: () => void): () => void {
    this.#undo.add(undo);
    return () => {
      this.#undo.delete(undo);
      undo();
    };
  }

  #open(): Core {
    if (this.#closed) throw new RoomwireError('disconnected', 'this client is closed');
    return this.#core;
  }
}
