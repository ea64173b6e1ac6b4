/**
 * What the contract and the program's policies say of topics and events: may this session subscribe,
 * may it publish, is this data right. SUBSCRIBE, join and resume ask the same questions here.
 * By default the server alone publishes.
 */
import { encode } from '../protocol/codec.js';
import type { Contract, ContractTopic, Schema } from '../protocol/contract.js';
import { RoomwireError } from '../protocol/errors.js';
import { eventEntry, topicPattern, type TopicPattern } from '../protocol/pattern.js';
import type { MaybePromise } from '../store/store.js';
import type { Session, TopicPolicy } from './api.js';
import { OWN_PREFIX } from './wire/names.js';

export interface EventPolicy {
  /** The event's name as MessagePack. */
  readonly bytes: Uint8Array;
  /** null: any data will do and is never decoded. */
  readonly schema: Schema | null;
  readonly publish: 'server' | 'subscribers';
}

export interface KnownTopic {
  readonly definition: ContractTopic;
  readonly params: Readonly<Record<string, string>>;
  readonly policies: readonly TopicPolicy[];
}

/** Names come from outside: what is remembered of them is bounded (rule 4). */
const REMEMBERED_TOPICS = 10_000;
const REMEMBERED_EVENTS = 500;

export class Policy {
  readonly #contract: Contract;
  readonly #policies: (readonly [TopicPattern, TopicPolicy])[];
  readonly #topics = new Map<string, KnownTopic | null>();
  /** By definition: the topics of one pattern share their events. */
  readonly #events = new Map<ContractTopic, Map<string, EventPolicy | null>>();

  constructor(contract: Contract, policies: Readonly<Record<string, TopicPolicy>>) {
    this.#contract = contract;
    this.#policies = Object.entries(policies).map(([pattern, policy]) => [topicPattern(pattern), policy]);
  }

  /** Another policy for the topics of a pattern: all of a topic's must agree. */
  add(pattern: string, policy: TopicPolicy): void {
    this.#policies.push([topicPattern(pattern), policy]);
    this.#topics.clear();
  }

  /** Throws unknown_topic, and EncodeError for a name that no frame can carry. */
  topic(name: string): KnownTopic {
    let found = this.#topics.get(name);
    if (found === undefined) {
      // Here and not in the batch: a lone surrogate is the caller's mistake, not the store's.
      encode(name, { name: 'topic' });
      found = this.#find(name) ?? null;
      if (this.#topics.size >= REMEMBERED_TOPICS) this.#topics.clear();
      this.#topics.set(name, found);
    }
    if (found === null) throw new RoomwireError('unknown_topic', `no topic '${name}' in the contract`);
    return found;
  }

  #find(name: string): KnownTopic | undefined {
    // The server's own, which no client is in, whatever the contract.
    if (name.startsWith(OWN_PREFIX)) return undefined;
    for (const definition of this.#contract.topics) {
      const params = definition.match(name);
      if (params === undefined) continue;
      const policies = this.#policies
        .filter(([pattern]) => pattern.match(name) !== undefined)
        .map(([, policy]) => policy);
      return { definition, params, policies };
    }
    return undefined;
  }

  /** Throws unknown_event. */
  event({ definition }: KnownTopic, name: string): EventPolicy {
    let events = this.#events.get(definition);
    if (events === undefined) {
      events = new Map<string, EventPolicy | null>();
      this.#events.set(definition, events);
    }
    let found = events.get(name);
    if (found === undefined) {
      const entry = eventEntry(definition.events, name);
      const free = entry === undefined || entry.schema.type === 'unknown' || entry.schema.type === 'any';
      found =
        entry === undefined
          ? null
          : { bytes: encode(name), schema: free ? null : entry.schema, publish: entry.publish };
      if (events.size >= REMEMBERED_EVENTS) events.clear();
      events.set(name, found);
    }
    if (found === null) {
      throw new RoomwireError('unknown_event', `no event '${name}' in topic '${definition.pattern}'`);
    }
    return found;
  }

  /** Throws unknown_topic or join_required; answers whether the policies allow it. */
  maySubscribe(session: Session, name: string): MaybePromise<boolean> {
    const topic = this.topic(name);
    if (topic.definition.subscribe === 'by-call') throw new RoomwireError('join_required');
    if (topic.definition.subscribe === 'own' && Object.values(topic.params)[0] !== session.user.id) return false;
    const policies: (() => MaybePromise<boolean>)[] = [];
    for (const { subscribe } of topic.policies) {
      if (subscribe !== undefined) policies.push(() => subscribe({ session, topic: name, params: topic.params }));
    }
    return allYes(policies);
  }

  /** A topic kept to calls, at a resume: do the policies let the session stay? Whether it is in it is its plugin's to say. */
  mayStay(session: Session, name: string): MaybePromise<boolean> {
    const topic = this.topic(name);
    const policies: (() => MaybePromise<boolean>)[] = [];
    for (const { resume } of topic.policies) {
      if (resume !== undefined) policies.push(() => resume({ session, topic: name, params: topic.params }));
    }
    return allYes(policies);
  }

  /** A policy for the event decides alone; without one the contract's `publish` does. */
  mayPublish(session: Session, name: string, topic: KnownTopic, event: string): MaybePromise<boolean> {
    const policies: (() => MaybePromise<boolean>)[] = [];
    for (const policy of topic.policies) {
      const decide = policy.publish === undefined ? undefined : eventEntry(policy.publish, event);
      if (decide !== undefined) policies.push(() => decide({ session, topic: name, event, params: topic.params }));
    }
    if (policies.length > 0) return allYes(policies);
    return this.event(topic, event).publish === 'subscribers' && session.topics.has(name);
  }
}

/** Only `true` is yes: a policy that forgets to answer refuses. A promise when one of them is, of whatever make. */
export function allYes(policies: readonly (() => MaybePromise<boolean>)[]): MaybePromise<boolean> {
  const answers = policies.map((ask): MaybePromise<boolean> => {
    try {
      return ask();
    } catch (error) {
      // With the others, so that none of their rejections stays unheard.
      return (async () => {
        throw error;
      })();
    }
  });
  if (answers.every((answer) => typeof answer === 'boolean')) return answers.every((answer) => answer);
  const decided = Promise.all(answers.map(async (answer) => answer)).then((all) =>
    all.every((answer) => answer === true),
  );
  // Whoever asked may find another reason to refuse and not wait for it.
  decided.catch(() => undefined);
  return decided;
}
