/**
 * Contracts: one description of topics, events and calls that the server enforces and both sides
 * take their types from. `defineContract` merges parts (a plugin's and the application's); where
 * both name an event or a call, the application's own entry wins.
 */
import type * as v from 'valibot';
import { topicPattern, type TopicPattern } from './pattern.js';
import type { Shape, Shaped, ShapeOf } from './shape.js';

export type * from './shape.js';

export type Schema = v.GenericSchema;

/** Who may publish an event: the server alone (default), or every session subscribed to the topic. */
export type Publisher = 'server' | 'subscribers';
export type EventDefinition = Schema | { readonly schema: Schema; readonly publish?: Publisher };
export interface TopicDefinition {
  readonly events: Readonly<Record<string, EventDefinition>>;
  /**
   * Who may SUBSCRIBE: everyone signed in, until a policy says otherwise (default); the user whose id the first placeholder
   * is; or nobody directly: a plugin's call subscribes (RW-SUB-3).
   */
  readonly subscribe?: 'everyone' | 'own' | 'by-call';
}
export interface CallDefinition {
  readonly input: Schema;
  readonly output?: Schema;
}

export interface ContractEvent {
  readonly schema: Schema;
  readonly publish: Publisher;
}
export interface ContractTopic extends TopicPattern {
  readonly subscribe: 'everyone' | 'own' | 'by-call';
  readonly events: Readonly<Record<string, ContractEvent>>;
}

export interface Contract<S extends Shape = Shape> extends Shaped<S> {
  /** In the order of definition; the first pattern that matches a topic is its definition. */
  readonly topics: readonly ContractTopic[];
  readonly calls: Readonly<Record<string, CallDefinition>>;
}

type SchemaOf<D> = D extends { readonly schema: infer X extends Schema } ? X : D extends Schema ? D : never;
type TopicsShape<T> = {
  [P in keyof T]: T[P] extends { readonly events: infer E } ? { [K in keyof E]: v.InferOutput<SchemaOf<E[K]>> } : never;
};
type CallsShape<C> = {
  [N in keyof C]: {
    input: C[N] extends { readonly input: infer X extends Schema } ? v.InferInput<X> : never;
    output: C[N] extends { readonly output: infer X extends Schema } ? v.InferOutput<X> : unknown;
  };
};
type Over<A, B> = Omit<A, keyof B> & B;
type OverTopics<A, B> = {
  [P in keyof A | keyof B]: P extends keyof A
    ? P extends keyof B
      ? Over<A[P], B[P]>
      : A[P]
    : P extends keyof B
      ? B[P]
      : never;
};
type Merged<A extends Shape, B extends Shape> = {
  topics: OverTopics<A['topics'], B['topics']>;
  calls: Over<A['calls'], B['calls']>;
};
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- the neutral element of the merge
type Nothing = { topics: {}; calls: {} };
type UsedShape<U extends readonly unknown[]> = U extends readonly [infer First, ...infer Rest]
  ? Merged<ShapeOf<First>, UsedShape<Rest>>
  : Nothing;
/** The merged types as one flat contract. */
type ContractOf<S> = S extends Shape ? Contract<S> : never;

// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- no topics, no calls
type None = {};

export interface ContractParts<U, T, C> {
  /** Contracts to build on, such as `roomsContract()`. */
  readonly use?: U;
  readonly topics?: T;
  readonly calls?: C;
}

/** Builds a contract. Throws a TypeError that names a malformed pattern. */
export function defineContract<
  const U extends readonly Contract[] = [],
  const T extends Readonly<Record<string, TopicDefinition>> = None,
  const C extends Readonly<Record<string, CallDefinition>> = None,
>(parts: ContractParts<U, T, C>): ContractOf<Merged<UsedShape<U>, { topics: TopicsShape<T>; calls: CallsShape<C> }>> {
  const topics = new Map<string, ContractTopic>();
  const calls: Record<string, CallDefinition> = {};
  const merge = (topic: ContractTopic): void => {
    const earlier = topics.get(topic.pattern);
    topics.set(
      topic.pattern,
      earlier === undefined
        ? topic
        : {
            ...topic,
            // What a plugin keeps to its own calls stays so, whatever the application adds.
            subscribe: earlier.subscribe === 'by-call' ? 'by-call' : topic.subscribe,
            events: { ...earlier.events, ...topic.events },
          },
    );
  };
  for (const used of parts.use ?? []) {
    used.topics.forEach(merge);
    Object.assign(calls, used.calls);
  }
  for (const [pattern, definition] of Object.entries(parts.topics ?? {})) {
    const events: Record<string, ContractEvent> = {};
    for (const [event, entry] of Object.entries(definition.events)) {
      const { schema, publish = 'server' } = 'schema' in entry ? entry : { schema: entry };
      events[event] = { schema, publish };
    }
    merge({ ...topicPattern(pattern), subscribe: definition.subscribe ?? 'everyone', events });
  }
  Object.assign(calls, parts.calls);
  return { topics: [...topics.values()], calls } as unknown as ContractOf<
    Merged<UsedShape<U>, { topics: TopicsShape<T>; calls: CallsShape<C> }>
  >;
}
