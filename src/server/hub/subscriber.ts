/**
 * What the hub knows of a session: the topics it is in, which are the truth of its membership, and the outbox of its
 * connection while it has one. A cursor is the connected part of a membership.
 */
import type { Session } from '../api.js';
import type { Outbox } from './outbox.js';

export interface Attached {
  readonly outbox: Outbox;
}

export interface Subscriber extends Session {
  readonly connection: Attached | undefined;
  /** In the block of a commit's effects. `epoch`: the topic's, where it is known. */
  enter(topic: string, epoch: string | undefined): void;
  /** In the block of a commit's effects. `code`: of the error that ends it; 0: none does. False when it was not there. */
  leave(topic: string, code: number): boolean;
}

/** Who is in which topic, connected or not. */
export interface Membership {
  in(topic: string): readonly Subscriber[];
  /** The epoch that was told to those who are in the topic. */
  epochOf(topic: string): string | undefined;
}
