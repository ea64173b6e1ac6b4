/** How many follow topics at once: of one user, from one address, in all (rule 4). Each holds a place until it has gone. */
import { knownNames, LONGEST_MS, wholeNumber } from '../../protocol/setting.js';
import type { HttpCaller, LiveOptions } from '../api.js';
import { tooMany } from '../gate/rates.js';
import { networkOf } from '../transport/addresses.js';

export const defaultLive = { readers: 10_000, readersPerUser: 100, readersPerAddress: 0, maxMs: 600_000 } as const;

const TRY_AGAIN_MS = 1_000;

export class Places {
  readonly limits: Required<LiveOptions>;
  readonly #held = new Map<string, number>();
  taken = 0;

  /** Throws a TypeError for a limit that is none. */
  constructor(given: LiveOptions) {
    knownNames('live', given, Object.keys(defaultLive));
    this.limits = { ...defaultLive, ...given };
    for (const [name, value] of Object.entries(this.limits)) {
      if (name === 'maxMs') wholeNumber('live.maxMs', value, 1, LONGEST_MS);
      else wholeNumber(`live.${name}`, value);
    }
  }

  /** Returns what gives the place back, once. Throws too_many. */
  take({ kind, user, keyOwner }: HttpCaller, address: string): () => void {
    const { readers, readersPerUser, readersPerAddress } = this.limits;
    requireBelow('readers', this.taken, readers);
    // A backend follows for whomever it serves.
    const [owner, place] = kind === 'key' ? [] : [`user ${keyOwner ?? user.id}`, `at ${networkOf(address)}`];
    const keys: string[] = [];
    if (owner !== undefined && readersPerUser > 0) {
      requireBelow('readersPerUser', this.#held.get(owner) ?? 0, readersPerUser);
      keys.push(owner);
    }
    if (place !== undefined && readersPerAddress > 0) {
      requireBelow('readersPerAddress', this.#held.get(place) ?? 0, readersPerAddress);
      keys.push(place);
    }
    this.taken++;
    for (const key of keys) this.#held.set(key, (this.#held.get(key) ?? 0) + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.taken--;
      for (const key of keys) {
        const left = (this.#held.get(key) ?? 0) - 1;
        if (left > 0) this.#held.set(key, left);
        else this.#held.delete(key);
      }
    };
  }
}

function requireBelow(limit: string, taken: number, most: number): void {
  if (most > 0 && taken >= most) throw tooMany(TRY_AGAIN_MS, `live.${limit}: ${most} follow already`);
}
