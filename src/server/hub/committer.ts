/**
 * Carries one batch at a time into the store until its outcome is known: done, or refused. An
 * unknown outcome is tried again with the same batch before any later one, because nothing may be
 * told that may not have happened.
 */
import { isPromise } from '../../store/promise.js';
import { StoreError, type Batch, type MaybePromise, type Store } from '../../store/store.js';

/** Ms between retries of a commit whose outcome is unknown. */
const RETRY_MS = 50;
const MAX_RETRY_MS = 2_000;
/** A disk that is full takes small commits on and off: they show nothing after a larger one was refused… */
const SMALL_BYTES = 16 * 1024;
/** …unless none was refused for so long. */
const CALM_MS = 5_000;

export interface CommitterOptions {
  readonly store: Store;
  readonly after: (ms: number, fn: () => void) => void;
  /** Told when the store stops answering (with why) and when it answers again (undefined). */
  readonly storeFailing: (error: unknown) => void;
  /** The store is no longer this server's. */
  readonly deposed: (error: StoreError) => void;
  /** Ms; never goes back. */
  readonly now: () => number;
}

export class Committer {
  readonly #options: CommitterOptions;
  #healthy = true;
  /** Of the commit that was refused last. */
  #refused = { bytes: 0, at: 0 };

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /** False from a commit that failed to the next that succeeds and shows that the store takes as much again. */
  get healthy(): boolean {
    return this.#healthy;
  }

  /** Calls exactly one of the two: at once when the store answers at once. */
  commit(batch: Batch, done: () => void, refused: (error: unknown) => void, retryMs = RETRY_MS): void {
    const succeeded = (): void => {
      if (!this.#healthy && this.#shows(batch)) {
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
      if (!(error instanceof StoreError && error.kind === 'unknown')) {
        this.#refused = { bytes: bytesOf(batch), at: this.#options.now() };
        return this.#refuse(error, refused);
      }
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

  /** Whether another server could have taken over, and reads need a confirmation. */
  get confirms(): boolean {
    return this.#options.store.confirm !== undefined;
  }

  /** Calls exactly one of the two: at once while no other server can have taken over. */
  confirm(done: () => void, refused: (error: unknown) => void): void {
    const failed = (error: unknown): void => this.#refuse(error, refused);
    let result: MaybePromise<void>;
    try {
      result = this.#options.store.confirm?.();
    } catch (error) {
      return failed(error);
    }
    if (isPromise(result)) result.then(done, failed);
    else done();
  }

  #refuse(error: unknown, refused: (error: unknown) => void): void {
    // First: where the process ends at once, nobody is told anything that another server may know better.
    if (error instanceof StoreError && error.kind === 'unusable') this.#options.deposed(error);
    refused(error);
  }

  #shows(batch: Batch): boolean {
    const { bytes, at } = this.#refused;
    if (bytes < SMALL_BYTES || this.#options.now() - at >= CALM_MS) return true;
    return bytesOf(batch) >= bytes;
  }
}

function bytesOf({ operations }: Batch): number {
  let bytes = 0;
  for (const operation of operations) {
    if (operation.type === 'append') bytes += operation.chunk.frame.length;
    else if (operation.type === 'put') bytes += operation.value.length;
  }
  return bytes;
}
