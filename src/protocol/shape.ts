/**
 * The types that a contract carries, apart from its schemas: what a client needs of it, without the library that the
 * schemas are written with.
 */
import type { EventName, TopicName } from './pattern.js';

/** Data by topic pattern and event, input and output by call. */
export interface Shape {
  topics: Record<string, Record<string, unknown>>;
  calls: Record<string, { input: unknown; output: unknown }>;
}

/** A contract, of which only the types are looked at. */
export interface Shaped<S extends Shape = Shape> {
  /** Types only; never set. */
  readonly shape?: S;
}

/** The types a contract carries. */
export type ShapeOf<C> = C extends Shaped<infer S> ? S : never;

export type Topics<S extends Shape> = TopicName<keyof S['topics'] & string>;
/** The pattern of `S` that a topic name belongs to. */
export type PatternOf<S extends Shape, T extends string> = {
  [P in keyof S['topics'] & string]: T extends TopicName<P> ? P : never;
}[keyof S['topics'] & string];
type Events<S extends Shape, T extends string> = S['topics'][PatternOf<S, T>];
export type EventNames<S extends Shape, T extends string> = EventName<keyof Events<S, T> & string>;
type EventKey<M, E extends string> = E extends keyof M
  ? E
  : { [K in keyof M & string]: E extends EventName<K> ? K : never }[keyof M & string];
export type EventData<S extends Shape, T extends string, E extends string> =
  Events<S, T> extends infer M ? (EventKey<M, E> extends keyof M ? M[EventKey<M, E>] : never) : never;
export type CallNames<S extends Shape> = keyof S['calls'] & string;
export type CallInput<S extends Shape, N extends CallNames<S>> = S['calls'][N]['input'];
export type CallOutput<S extends Shape, N extends CallNames<S>> = S['calls'][N]['output'];
