/**
 * Work of a frame that waits for a policy, or for its turn behind one that does: SUBSCRIBE, a publish, a volatile value.
 * Its data is counted against its user while it waits, and is let go the moment the client is gone, however long the
 * policy takes.
 */
import type { Share } from '../gate/budget.js';

export interface Work {
  readonly run: () => void;
  readonly refuse: (error: unknown) => void;
  /** What it is refused with when the policy says no. */
  readonly denied: () => unknown;
}

/** What waiting takes of memory beside the data: promises and closures, which are there until the policy answers. */
const WAIT_BYTES = 4_096;

export class Deferred {
  readonly #share: Share;
  readonly #bytes: number;
  #work: Work | undefined;

  /** Undefined when the user's share is used up. */
  static of(share: Share, bytes: number, work: Work): Deferred | undefined {
    return share.take(WAIT_BYTES + bytes) ? new Deferred(share, bytes, work) : undefined;
  }

  private constructor(share: Share, bytes: number, work: Work) {
    this.#share = share;
    this.#bytes = bytes;
    this.#work = work;
  }

  /** Does it or refuses it, whichever the policy answered; nothing when it was dropped before. */
  decide(answer: PromiseSettledResult<boolean>): void {
    this.#share.give(WAIT_BYTES);
    const work = this.#take();
    if (work === undefined) return;
    if (answer.status === 'rejected') work.refuse(answer.reason);
    else if (answer.value) work.run();
    else work.refuse(work.denied());
  }

  drop(): void {
    this.#take();
  }

  #take(): Work | undefined {
    const work = this.#work;
    this.#work = undefined;
    if (work !== undefined) this.#share.give(this.#bytes);
    return work;
  }
}
