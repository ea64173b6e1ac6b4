/**
 * Hooks between a token that was found good and the rights it gives: a program or a plugin may refuse
 * whoever comes, or add to what is known of the user. Asked for HELLO, for AUTH and for each
 * HTTP request of a user, so that a ban holds on every way in.
 */
import { RoomwireError } from '../../protocol/errors.js';
import type { Arrival, ArrivalHook } from '../api.js';
import { problemOfUser, type Identity } from './auth.js';

export interface ArrivalsOptions {
  /** Topics that one session may be in. */
  readonly topics: number;
  /** Throws a TypeError for one that the contract lacks; `field` is where it stood. */
  readonly requireTopic: (topic: string, field: string) => void;
}

export class Arrivals {
  readonly #options: ArrivalsOptions;
  readonly #hooks: ArrivalHook[] = [];

  constructor(options: ArrivalsOptions) {
    this.#options = options;
  }

  add(hook: ArrivalHook): void {
    this.#hooks.push(hook);
  }

  /** The identity with what the hooks made of it. Rejects with what a hook refused with. */
  async admit(identity: Identity, how: Omit<Arrival, 'user' | 'guest' | 'subscribe'>): Promise<Identity> {
    let { user } = identity;
    const topics = new Set<string>();
    const subscribe = (more: readonly string[]): void => {
      more.forEach((topic, i) => this.#options.requireTopic(topic, `topics[${i}]`));
      for (const topic of more) topics.add(topic);
      if (topics.size > this.#options.topics) throw new TypeError(`topics: a session takes ${this.#options.topics}`);
    };
    // One after the other: each is given what those before it added.
    for (const hook of this.#hooks) {
      const changed = (await hook({ ...how, user, guest: identity.guest, subscribe })) ?? user;
      // Sessions, members and keys go by it: nobody may become another.
      if (changed.id !== user.id) throw new RoomwireError('forbidden', 'a hook named another user');
      if (changed !== user) {
        const problem = problemOfUser(changed);
        if (problem !== undefined)
          throw new RoomwireError('handler_failed', `a hook's answer cannot be sent: ${problem}`);
      }
      user = changed;
    }
    if (topics.size > 0) return { ...identity, user, topics: [...topics] };
    return user === identity.user ? identity : { ...identity, user };
  }
}
