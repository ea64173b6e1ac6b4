/** One who polls a topic: waits until there is something after its position, and not for ever. */
import type { RoomwireError } from '../../protocol/errors.js';
import type { Timer } from '../time/wheel.js';
import type { Followed, Follower } from './followed.js';

export class Waiting implements Follower {
  readonly followed: Followed;
  readonly userId: string | undefined;
  /** Resolves when it is to be answered; rejects when it may not be. */
  readonly until: Promise<void>;
  readonly #gone: (waiting: Waiting) => void;
  readonly #timer: Timer;
  #resolve: () => void = () => undefined;
  #reject: (error: RoomwireError) => void = () => undefined;

  constructor(
    followed: Followed,
    userId: string | undefined,
    {
      after,
      ms,
      gone,
    }: {
      readonly after: (ms: number, fn: () => void) => Timer;
      readonly ms: number;
      readonly gone: (waiting: Waiting) => void;
    },
  ) {
    this.followed = followed;
    this.userId = userId;
    this.#gone = gone;
    this.until = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#timer = after(ms, () => this.grown());
  }

  grown(): void {
    this.#leave();
    this.#resolve();
  }

  /** A server that stops answers what it was asked. */
  end(error: RoomwireError): void {
    this.#leave();
    if (error.name === 'draining') this.#resolve();
    else this.#reject(error);
  }

  closed(): void {
    this.grown();
  }

  #leave(): void {
    this.#timer.cancel();
    this.#gone(this);
  }
}
