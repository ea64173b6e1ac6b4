/**
 * Keyed calls of handlers that are no single transaction: the key is claimed before the handler runs
 * and its result stored after. A repetition meanwhile waits for the same run; one after a crash in
 * between learns `outcome_unknown`, for nobody knows how far the handler came.
 */
import { encode } from '../../protocol/codec.js';
import { RoomwireError } from '../../protocol/errors.js';
import type { Limits } from '../../protocol/limits.js';
import type { Transaction } from '../api.js';
import type { Hub } from '../hub/hub.js';
import { dropKey, fillKey, findKey, keyId, putKey, type Claim, type KeyRecord } from './keys.js';

export class KeyedCalls {
  readonly #hub: Hub;
  readonly #limits: Limits;
  /** Runs of this process by key. */
  readonly #running = new Map<string, Promise<unknown>>();

  constructor(hub: Hub, limits: Limits) {
    this.#hub = hub;
    this.#limits = limits;
  }

  /** Handlers that run. */
  get size(): number {
    return this.#running.size;
  }

  run({ scope, hash, owner }: Claim, handler: () => Promise<unknown>): Promise<unknown> {
    const id = keyId(scope);
    return new Promise((resolve, reject) => {
      this.#hub.perform(
        (tx) => {
          const known = findKey(tx, id, hash);
          if (known !== undefined) return { record: known, isOurs: false };
          const record = { hash, owner, until: tx.now + this.#limits.keyTtlMs };
          putKey(tx, id, record, this.#limits);
          return { record, isOurs: true };
        },
        ({ record, isOurs }: { readonly record: KeyRecord; readonly isOurs: boolean }) => {
          if ('result' in record) return resolve(record.result);
          // In the block of the commit: whoever finds the claim finds the run.
          if (isOurs) this.#running.set(id, this.#run(id, record, handler));
          const run = this.#running.get(id);
          if (run === undefined) return reject(new RoomwireError('outcome_unknown'));
          run.then(resolve, reject);
        },
        reject,
      );
    });
  }

  async #run(id: string, record: KeyRecord, handler: () => Promise<unknown>): Promise<unknown> {
    const write = (work: (tx: Transaction) => void): Promise<unknown> =>
      this.#hub
        // A claim may have expired meanwhile, and the key be another call's.
        .transact((tx) => tx.get<KeyRecord>('keys', id)?.until === record.until && work(tx))
        // Refused: the answer stands, and a repetition will learn that the outcome is not known.
        .catch(() => undefined);
    try {
      const result = (await handler()) ?? null;
      // Or it could be neither kept nor told, and its repetitions would never learn that it failed.
      encode(result, { name: 'reply', level: 1 });
      await write((tx) => fillKey(tx, id, record, result));
      return result;
    } catch (error) {
      // It failed and says so: the same key may be tried again.
      await write((tx) => dropKey(tx, id, record));
      throw error;
    } finally {
      this.#running.delete(id);
    }
  }
}
