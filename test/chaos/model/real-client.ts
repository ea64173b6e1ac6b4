/** A real SDK client on a line of its own, what its application was told, and what became of what it asked for. */
import type { Client, Lock, Position, Subscription, Value } from '../../../src/client/node.js';
import { Line, type Network } from './line.js';
import { roomIds } from './plan.js';
import { textOf } from './text.js';

/** What an application was told of one topic, in order. */
export type Seen =
  | { readonly kind: 'event'; readonly offset: number; readonly text: string }
  | { readonly kind: 'reset'; readonly at: Position }
  | { readonly kind: 'removed'; readonly code: number };

/** What became of something that was asked for. */
export class Outcome {
  state: 'waiting' | 'done' | 'failed' = 'waiting';
  value: unknown;
  error: { readonly name: string } | undefined;

  constructor(promise: Promise<unknown>) {
    promise.then(
      (value) => {
        this.state = 'done';
        this.value = value;
      },
      (error: { readonly name: string }) => {
        this.state = 'failed';
        this.error = error;
      },
    );
  }
}

export class RealClient {
  readonly name: string;
  readonly line: Line;
  sdk: Client;
  readonly seen = new Map<string, Seen[]>();
  /** The newest volatile value by topic, slot and sender. */
  readonly slots = new Map<string, Value>();
  readonly subscriptions = new Map<string, Subscription>();
  /** By room and target. */
  readonly locks = new Map<string, Lock>();
  readonly #connect: (client: RealClient) => Client;

  constructor(name: string, network: Network, connectAs: (client: RealClient) => Client) {
    this.name = name;
    this.line = new Line(network);
    this.#connect = connectAs;
    this.sdk = this.#begin();
  }

  /** BYE, and another page load by the same user. */
  renew(): void {
    this.sdk.close();
    this.seen.clear();
    this.subscriptions.clear();
    this.locks.clear();
    this.slots.clear();
    this.sdk = this.#begin();
  }

  subscribe(topic: string): Promise<unknown> {
    const subscription = this.sdk.subscribe(topic);
    this.subscriptions.set(topic, subscription);
    this.#hear(topic, subscription);
    return subscription.ready;
  }

  take(topic: string): Seen[] {
    return this.seen.get(topic)?.splice(0) ?? [];
  }

  #begin(): Client {
    const sdk = this.#connect(this);
    for (const id of roomIds) this.#hear(`room:${id}`, sdk.room(id));
    return sdk;
  }

  #hear(topic: string, stream: Pick<Subscription, 'on'>): void {
    const tell = (seen: Seen): void => {
      const all = this.seen.get(topic);
      if (all === undefined) this.seen.set(topic, [seen]);
      else all.push(seen);
    };
    stream.on('*', (data: unknown, { event, from, offset, slot }) => {
      if (offset === null) this.slots.set(`${topic} ${slot} ${from}`, data as Value);
      else tell({ kind: 'event', offset, text: textOf(event, data as Value) });
    });
    stream.on('reset', ({ position }) => tell({ kind: 'reset', at: position }));
    stream.on('removed', ({ code }) => tell({ kind: 'removed', code }));
  }
}
