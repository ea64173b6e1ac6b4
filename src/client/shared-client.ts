/** One `connect()`: a view of the shared connection that undoes its own registrations when it closes. */
import type { Position } from '../protocol/frames.js';
import { call, publish } from './context.js';
import type { Core } from './core.js';
import type { CallHandler } from './handlers.js';
import { Observed } from './observable.js';
import { Owner } from './owned.js';
import { RoomHandle } from './room-handle.js';
import { RoomsHandle } from './rooms-handle.js';
import { TopicSubscription } from './subscription.js';
import type { CallOptions, ClientState, Published } from './types.js';
import { WeakValues } from './weak-values.js';

export class SharedClient {
  /** The connection's, until this client is closed. */
  declare readonly state: Observed<ClientState>;
  declare readonly rooms: RoomsHandle;
  readonly #core: Core;
  readonly #release: () => void;
  readonly #owner = new Owner();
  readonly #rooms = new WeakValues<RoomHandle>();

  /** `release` gives back this client's share of the connection. */
  constructor(core: Core, release: () => void) {
    this.#core = core;
    this.#release = release;
    const { state } = core.connection;
    this.state = new Observed(state.get(), core.settings.report);
    this.#owner.until(state.subscribe((value) => this.state.set(value)));
    this.rooms = new RoomsHandle(core.overview, this.#owner);
  }

  now(): number {
    return this.#core.connection.pulse.storeNow();
  }

  async call(name: string, input: unknown, options?: CallOptions): Promise<unknown> {
    return call(this.#open(), name, input, options);
  }

  handle(name: string, handler: CallHandler): () => void {
    return this.#owner.until(this.#open().handlers.handle(name, handler));
  }

  subscribe(topic: string, { from }: { readonly from?: Position | undefined } = {}): TopicSubscription {
    return new TopicSubscription(this.#open(), topic, { owner: this.#owner, direct: true, from });
  }

  listen(topic: string): TopicSubscription {
    return new TopicSubscription(this.#open(), topic, { owner: this.#owner, direct: false });
  }

  async publish(topic: string, event: string, data: unknown, options?: CallOptions): Promise<Published> {
    return publish(this.#open(), topic, event, data, options);
  }

  volatile(topic: string, event: string, slot: string, data: unknown): void {
    this.#open().requests.volatile(topic, event, slot, data);
  }

  room(id: string): RoomHandle {
    const core = this.#open();
    return this.#rooms.getOrMake(id, () => new RoomHandle(core.room(id), this.#owner));
  }

  reconnect(): void {
    this.#open().reconnect();
  }

  close(): void {
    if (this.#owner.closed) return;
    this.#owner.closed = true;
    this.#core.disown(this.#owner);
    this.#release();
    this.#owner.undo();
    this.state.merge({ status: 'closed', reason: undefined, retryAt: undefined });
  }

  #open(): Core {
    this.#owner.insist();
    return this.#core;
  }
}
