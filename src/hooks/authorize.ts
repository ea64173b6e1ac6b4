/**
 * `authorize`: the policy's question to the backend. Answers are remembered for a while, and those who
 * ask the same at the same time wait for one answer. While the backend is down the stance answers.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { User } from '../server/api.js';
import { sha256 } from '../server/server.js';
import { bodyOf, failureOf, PolicyAnswer, reasonOf } from './backend-answers.js';
import type { Backend } from './backend.js';
import { plain } from './plain.js';
import { BackendError } from './post.js';
import type { Question } from './question.js';
import { Remembered } from './remembered.js';

export interface AuthorizeOptions {
  readonly cacheMs: number;
  readonly whenDown: 'refuse' | 'allow';
  readonly now: () => number;
}

const REMEMBERED = 10_000;
/** Characters of a question that serve as its key; a longer one is hashed. */
const KEY_LENGTH = 400;

interface Decision {
  readonly allow: boolean;
  readonly reason: string | undefined;
}

export class Authorizer {
  readonly #backend: Backend;
  readonly #options: AuthorizeOptions;
  readonly #known: Remembered<Decision>;
  readonly #users = new WeakMap<User, string>();
  /** Questions that a remembered answer answered. */
  remembered = 0;
  /** Questions that the stance answered, because the backend was down. */
  allowedWhileDown = 0;

  constructor(backend: Backend, options: AuthorizeOptions) {
    this.#backend = backend;
    this.#options = options;
    this.#known = new Remembered(REMEMBERED, options.now);
  }

  /** At once where the answer is remembered. Throws, or rejects with, forbidden where there is a reason, and backend_unavailable. */
  authorize(question: Question): boolean | Promise<boolean> {
    const key = this.#keyOf(question);
    const known = this.#known.get(key);
    if (known !== undefined) {
      this.remembered++;
      return decided(known);
    }
    return this.#known.together(key, () => this.#ask(key, question)).then(decided);
  }

  /** Made for each publish that a hook decides, so the user, who is the same object for long, is read once. */
  #keyOf({ action, detail, topic, event, call, input, user }: Question): string {
    let who = this.#users.get(user);
    if (who === undefined) this.#users.set(user, (who = sha256(JSON.stringify(user)).toString('base64')));
    const text = JSON.stringify([action, detail, topic, event, call, plain(input)]);
    return who + (text.length <= KEY_LENGTH ? text : sha256(text).toString('base64'));
  }

  async #ask(key: string, body: Question): Promise<Decision> {
    const { cacheMs, whenDown } = this.#options;
    try {
      const { allow, reason, ...verdict } = await this.#backend.ask({
        type: 'authorize',
        body: { ...body },
        userId: body.user.id,
        read: (answer) => bodyOf(PolicyAnswer, answer),
      });
      const decision = { allow, reason: reasonOf(reason) };
      this.#known.set(key, decision, verdict.cacheMs ?? cacheMs);
      return decision;
    } catch (error) {
      if (whenDown === 'allow' && error instanceof BackendError && error.trouble === 'down') {
        this.allowedWhileDown++;
        return { allow: true, reason: undefined };
      }
      throw failureOf(error, 'verdict');
    }
  }
}

function decided({ allow, reason }: Decision): boolean {
  if (!allow && reason !== undefined) throw new RoomwireError('forbidden', reason);
  return allow;
}
