/** A topic as those see it who follow it over HTTP: how far it has come, by what they were told. Its log is the topic's own. */
import type { RoomwireError } from '../../protocol/errors.js';
import type { Topic } from '../hub/topic.js';

export interface Follower {
  readonly followed: Followed;
  /** Undefined: a backend's. */
  readonly userId: string | undefined;
  /** There may be something for it. In the block of a commit. */
  grown(): void;
  /** It may follow no longer. */
  end(error: RoomwireError, spreadMs?: number): void;
  /** Nobody waits for its answer any more. */
  closed(): void;
}

export class Followed {
  readonly name: string;
  /** The latest object: the topic may be forgotten while nobody is in it, and be loaded again. */
  topic: Topic;
  epoch: string;
  head: number;
  /** It was deleted: these are its last events. */
  isOver = false;
  readonly followers = new Set<Follower>();

  constructor(topic: Topic) {
    this.name = topic.name;
    this.topic = topic;
    this.epoch = topic.epoch;
    this.head = topic.head;
  }

  grown(topic: Topic, dropped: boolean): void {
    this.topic = topic;
    this.epoch = topic.epoch;
    this.head = topic.head;
    this.isOver = dropped;
    for (const follower of this.followers) follower.grown();
  }
}
