/**
 * `connect`: after the token was found good, the backend lets the user in, with more than the token
 * knows, or refuses. HTTP requests come too often to be asked about each: for them an answer is
 * remembered for a while.
 */
import { RoomwireError } from '../protocol/errors.js';
import { requireCarriable } from '../protocol/validate.js';
import type { Arrival, User } from '../server/api.js';
import { Admission, bodyOf, failureOf, reasonOf } from './backend-answers.js';
import type { Backend } from './backend.js';
import { BackendError } from './post.js';
import { Remembered } from './remembered.js';

export interface ConnectOptions {
  readonly cacheMs: number;
  readonly whenDown: 'refuse' | 'allow';
  readonly now: () => number;
}

const REMEMBERED = 10_000;
/** Characters of JSON of what a user may become: it is kept with every session. */
const USER_LENGTH = 8 * 1024;
/** `[WELCOME, id, { user }]`. */
const LEVELS_AROUND = 2;

export class Greeter {
  readonly #backend: Backend;
  readonly #options: ConnectOptions;
  readonly #known: Remembered<User | RoomwireError>;

  constructor(backend: Backend, options: ConnectOptions) {
    this.#backend = backend;
    this.#options = options;
    this.#known = new Remembered(REMEMBERED, options.now);
  }

  /** Rejects with forbidden, and with backend_unavailable. */
  async admit(arrival: Arrival): Promise<User> {
    const key = JSON.stringify(arrival.user);
    const isRequest = arrival.via === 'http';
    const known = isRequest ? this.#known.get(key) : undefined;
    const ask = (): Promise<User | RoomwireError> => this.#ask(arrival, key);
    const answer = known ?? (await (isRequest ? this.#known.together(key, ask) : ask()));
    if (answer instanceof RoomwireError) throw answer;
    return answer;
  }

  async #ask(arrival: Arrival, key: string): Promise<User | RoomwireError> {
    const { via, user, guest, sid, address } = arrival;
    const { cacheMs, whenDown } = this.#options;
    try {
      const answer = await this.#backend.ask({
        type: 'connect',
        body: { via, user, guest, sid, address },
        userId: user.id,
        read: (given) => {
          const { allow, reason, user: more, topics } = bodyOf(Admission, given);
          if (!allow) return new RoomwireError('forbidden', reasonOf(reason));
          enter(arrival, topics);
          return more === undefined ? user : withMore(user, more);
        },
      });
      this.#known.set(key, answer, cacheMs);
      return answer;
    } catch (error) {
      if (whenDown === 'allow' && error instanceof BackendError && error.trouble === 'down') return user;
      throw failureOf(error, 'verdict');
    }
  }
}

function enter(arrival: Arrival, topics: readonly string[]): void {
  try {
    arrival.subscribe(topics);
  } catch (error) {
    throw new BackendError('wrong', `answered ${(error as Error).message}`, { cause: error });
  }
}

function withMore(user: User, more: Readonly<Record<string, unknown>>): User {
  const changed = { ...user, ...more, id: user.id };
  if (typeof changed.name !== 'string') throw new BackendError('wrong', 'answered a user whose name is no string');
  if (JSON.stringify(changed).length > USER_LENGTH) {
    throw new BackendError('wrong', `answered a user of more than ${USER_LENGTH} characters`);
  }
  try {
    requireCarriable(changed, { name: 'user', level: LEVELS_AROUND });
  } catch (error) {
    throw new BackendError('wrong', `answered a user who cannot be told: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return changed;
}
