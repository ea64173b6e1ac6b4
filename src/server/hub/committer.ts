/**
 * Carries one batch at a time into the store until its outcome is known: done, or refused. An
 * unknown outcome is tried again with the same batch before any later one, because nothing may be
 * told that may not have happened. Used by hub.ts.
 */
import { isPromise } from '../../store/promise.js';
import { StoreError, type Batch, type MaybePromise, type Store } from '../../store/store.js';

/** Ms between retries of a commit whose outcome is unknown. */
const RETRY_MS = 50;
const MAX_RETRY_MS = 2_000;

export interface CommitterOptions {
  readonly store: Store;
  readonly after: (ms: number, fn: () => void) => void;
  /** Told when the store stops answering (with why) and when it answers again (undefined). */
  readonly storeFailing: (error: unknown) => void;
}

export class Committer {
  readonly #options: CommitterOptions;
  #healthy = true;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /** False from a commit that failed to the next that succeeds. */
  get healthy(): boolean {
    return this.#healthy;
  }

  /** Calls exactly one of the two: at once when the store answers at once. */
  commit(batch: Batch, done: () => void, refused: (error: unknown) => void, retryMs = RETRY_MS): void {
    const succeeded = (): void => {
      if (!this.#healthy) {
        this.#healthy = true;
        this.#options.storeFailing(undefined);
      }
      done();
    };
    const failed = (error: unknown): void => {
      if (this.#healthy) {
        this.#healthy = false;
        this.#options.storeFailing(error);
      }
      if (!(error instanceof StoreError && error.kind === 'unknown')) return refused(error);
      this.#options.after(retryMs, () => this.commit(batch, done, refused, Math.min(retryMs * 2, MAX_RETRY_MS)));
    };
    let result: MaybePromise<void>;
    try {
      result = this.#options.store.commit(batch);
    } catch (error) {
      return failed(error);
    }
    if (isPromise(result)) result.then(succeeded, failed);
    else succeeded();
  }
}
