/**
 * How a plain handler ends in one transaction: the session leaves topics and enters others, then the handler's last work,
 * the record of its key and the answer. Either all of it happens or none: who has the answer is in.
 */
import type { Finish, Session, Transaction } from '../api.js';
import type { Policy } from '../policy.js';
import { requireName } from '../wire/names.js';

/** What is done for each session that asks, and anew for one that repeats the call with its key. */
export interface Moves {
  readonly unsubscribe: readonly string[];
  readonly subscribe: readonly string[];
}

/** What `finish` gives a handler to return. */
export class Finished {
  /** Undefined: it moves nobody. */
  readonly moves: Moves | undefined;
  readonly #work: ((tx: Transaction) => unknown) | undefined;

  /** Throws a TypeError for a topic that the contract lacks. */
  constructor({ unsubscribe = [], subscribe = [], work }: Finish<unknown>, policy: Policy, nameBytes: number) {
    for (const [field, topics] of Object.entries({ unsubscribe, subscribe })) {
      topics.forEach((topic, i) => requireTopic(policy, topic, { field: `${field}[${i}]`, nameBytes }));
    }
    this.moves = unsubscribe.length + subscribe.length === 0 ? undefined : { unsubscribe, subscribe };
    this.#work = work;
  }

  /** The answer. */
  run(tx: Transaction, session: Session): unknown {
    if (this.moves !== undefined) move(tx, session, this.moves);
    return this.#work?.(tx) ?? null;
  }
}

/** Throws disconnected for a session that has ended, and limit_reached. */
export function move(tx: Transaction, session: Session, { unsubscribe, subscribe }: Moves): void {
  const inNow = new Set(tx.topics(session));
  for (const topic of unsubscribe) if (inNow.delete(topic)) tx.unsubscribe(session, topic);
  for (const topic of subscribe) tx.subscribe(session, topic);
}

/** Throws a TypeError: whoever names topics here is the program or its backend, not a client. */
export function requireTopic(
  policy: Policy,
  topic: string,
  { field, nameBytes }: { readonly field: string; readonly nameBytes: number },
): void {
  try {
    requireName(topic, 'topic', nameBytes);
    policy.topic(topic);
  } catch (error) {
    throw new TypeError(`${field}: ${(error as Error).message}`, { cause: error });
  }
}
