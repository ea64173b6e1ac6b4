/** Does what a component wants, and again after what passes by itself: a lost network, a server that is too busy. */
import type { Client } from '../client/types.js';
import { RoomwireError } from '../protocol/errors.js';

const PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 20_000;

export interface Wish {
  run(): Promise<unknown>;
  /** False ends it, at the latest after the next try. */
  wanted(): boolean;
  /** `again`: it will be tried again. */
  failed(error: RoomwireError, again: boolean): void;
}

/** Resolves when it is done, refused for good, or no longer wanted. */
export async function insist(client: Client, wish: Wish): Promise<void> {
  for (let attempt = 0; wish.wanted(); attempt++) {
    try {
      await wish.run();
      return;
    } catch (thrown) {
      if (!wish.wanted()) return;
      // Others than RoomwireError are misuse, such as fields that have no encoding.
      const error = thrown instanceof RoomwireError ? thrown : new RoomwireError('bad_request', String(thrown));
      const again = isTemporary(error) && client.state.get().status !== 'closed';
      wish.failed(error, again);
      if (!again) return;
      await pause(client, attempt);
    }
  }
}

/** 200–299 asks to retry later, 300–399 to sign in again, which the client does. */
export function isTemporary({ code }: { readonly code: number }): boolean {
  return code >= 200 && code < 400;
}

/** Until the client is live again; live already, for a while. */
function pause(client: Client, attempt: number): Promise<void> {
  return new Promise((resolve) => {
    const ms = Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** attempt) * (0.5 + Math.random() / 2);
    const timer = client.state.get().status === 'live' ? setTimeout(done, ms) : undefined;
    const stop = client.state.subscribe(({ status }) => {
      if (status === 'live' || status === 'closed') done();
    });
    function done(): void {
      clearTimeout(timer);
      stop();
      resolve();
    }
  });
}
