/**
 * The types of `@roomwire/client/socket`: those of a Socket.IO client, so that a program which changes the import still
 * compiles. Maps of events are functions by name, as Socket.IO's are: `interface Events { new_message(m: Message): void }`.
 */
import type { ConnectOptions, EventInfo, RemovedInfo, ResetInfo } from '../types.js';

/* eslint-disable @typescript-eslint/no-explicit-any -- as in Socket.IO's types: with `unknown`, a handler without annotations does not compile */
export type EventsMap = Record<string, any>;
export type DefaultEventsMap = Record<string, (...args: any[]) => void>;
export type ArgsOf<M, E extends keyof M> = M[E] extends (...args: infer A) => unknown ? A : any[];
/** What an acknowledgement gets: the last argument, after an error where there may be one. */
export type AnswerOf<A extends unknown[]> = A extends [...unknown[], (...answer: infer R) => unknown]
  ? R extends [...unknown[], infer Answer]
    ? Answer
    : void
  : any;
/** For `onAny`, whose handler may know better what it is given. */
export type AnyListener = (event: any, ...args: any[]) => void;
/* eslint-enable @typescript-eslint/no-explicit-any */
/** Without the acknowledgement. */
export type DataOf<A extends unknown[]> = A extends [...infer D, (...answer: never[]) => unknown] ? D : A;

/** Why there is no connection: `message` is the name of the code. */
export interface ConnectError extends Error {
  readonly data: { readonly code: number; readonly name: string; readonly message: string };
}

/** What the socket itself tells. A topic's event of such a name reaches only `onAny`. */
export interface OwnEvents {
  connect(): void;
  /** `io server disconnect` and `io client disconnect` stay so until `connect()`; after any other it connects by itself. */
  disconnect(reason: string, details?: ConnectError['data']): void;
  connect_error(error: ConnectError): void;
  /** Events of a topic were missed: refetch. */
  'roomwire:reset'(reset: ResetInfo & { readonly topic: string }): void;
  /** The session is in the topic no more. */
  'roomwire:removed'(removed: RemovedInfo & { readonly topic: string }): void;
}

/** Beside what an event has, where it came from: one event may come by two topics. */
export type ListenerOf<M, E extends string> = E extends keyof OwnEvents
  ? OwnEvents[E]
  : E extends keyof M
    ? unknown[] extends ArgsOf<M, E>
      ? M[E]
      : (...args: [...ArgsOf<M, E>, EventInfo]) => void
    : never;

interface Auth {
  readonly token?: string | null | undefined;
}
/** As Socket.IO's: read at each connect. A function may be one that returns it, too. */
export type AuthSource = Auth | ((given: (auth: Auth) => void) => void) | (() => Auth | Promise<Auth>);

/** Socket.IO's options that mean something here, and those of `connect`. */
export interface SocketOptions extends Omit<ConnectOptions, 'token' | 'backoff'> {
  readonly auth?: AuthSource | undefined;
  /** Default true. */
  readonly autoConnect?: boolean | undefined;
  /** Default true. */
  readonly reconnection?: boolean | undefined;
  /** Ms; the bounds of the backoff. Default 500 and 20,000. */
  readonly reconnectionDelay?: number | undefined;
  readonly reconnectionDelayMax?: number | undefined;
  /** The timeout, ms, of what is emitted without one of its own. */
  readonly ackTimeout?: number | undefined;
  /** Of Socket.IO's other options, those that mean nothing here: there is one transport, nothing is shared, all is retried. */
  readonly transports?: readonly string[] | undefined;
  readonly upgrade?: boolean | undefined;
  readonly rememberUpgrade?: boolean | undefined;
  readonly path?: string | undefined;
  readonly forceNew?: boolean | undefined;
  readonly multiplex?: boolean | undefined;
  readonly withCredentials?: boolean | undefined;
  readonly reconnectionAttempts?: number | undefined;
  readonly randomizationFactor?: number | undefined;
  readonly timeout?: number | undefined;
  readonly retries?: number | undefined;
}
