/** What one client registered with things that it shares, so that it can be undone when that client closes. */
import { RoomwireError } from '../protocol/errors.js';
import type { Observable } from './types.js';

export class Owner {
  closed = false;
  readonly #undo = new Set<() => void>();

  /** Throws once it is closed. */
  insist(): void {
    if (this.closed) throw new RoomwireError('disconnected', 'this client is closed');
  }

  /** `undo` runs at the latest when the owner closes. Returns how to run it before. */
  until(undo: () => void): () => void {
    const once = (): void => {
      if (this.#undo.delete(once)) undo();
    };
    this.#undo.add(once);
    if (this.closed) once();
    return once;
  }

  /** Undoes what is left, once it is closed. */
  undo(): void {
    for (const undo of this.#undo) undo();
  }
}

/** An observable as one client sees it. */
export class Owned<T> implements Observable<T> {
  readonly #observed: Observable<T>;
  readonly #owner: Owner;

  constructor(observed: Observable<T>, owner: Owner) {
    this.#observed = observed;
    this.#owner = owner;
  }

  get(): T {
    return this.#observed.get();
  }

  subscribe(listener: (value: T) => void): () => void {
    return this.#owner.until(this.#observed.subscribe(listener));
  }
}
