/**
 * The frames of `roomwire.v1`: opcodes and the shape of each frame as a tuple.
 * A WebSocket message is one or more of these MessagePack arrays back to back; element 0 is the
 * opcode and, where a frame has a request id, it is element 1. PROTOCOL.md is the authority.
 */
import * as Op from './opcodes.js';

// The SDK imports opcodes.ts itself: then a bundler puts the numbers in place of the names.
export { Op };

export const SUBPROTOCOL = 'roomwire.v1';
/** A subprotocol item that starts with this carries a token; the server never echoes it. */
export const TOKEN_ITEM_PREFIX = 'roomwire.token.';

/** Server opcodes from here on may be ignored by a client that does not know them (RW-FRM-5). */
export const IGNORABLE_FROM = 128;

/** Any value the strict MessagePack subset can carry. */
export type Value =
  null | boolean | number | string | Uint8Array | readonly Value[] | { readonly [key: string]: Value };

/** Where a subscriber stands in a topic. An offset means nothing without its epoch. */
export type Position = readonly [epoch: string, offset: number];
export type Positions = Readonly<Record<string, Position>>;
/** What proves a session on resume. The secret is replaced by every WELCOME. */
export type SessionTicket = readonly [sid: string, secret: string];

export interface Hello {
  readonly token?: string;
  readonly session?: SessionTicket;
  /** Random per page load or process: tells a reconnect from a duplicated tab. */
  readonly instance: string;
  readonly resume?: Positions;
  /** Milliseconds the session should outlive its connection; capped by `limits.graceMaxMs`. */
  readonly grace?: number;
  readonly features?: readonly string[];
  /** Name and version of the client software, for logs. */
  readonly agent?: string;
}

export interface TopicStatus {
  readonly epoch: string;
  readonly offset: number;
  /** True: every event after the client's position follows. False: refetch. */
  readonly recovered: boolean;
  /** Present when the topic was refused; the subscription does not exist then. */
  readonly code?: number;
}

export interface Welcome {
  readonly session: SessionTicket;
  readonly resumed: boolean;
  readonly user: { readonly id: string; readonly name: string; readonly [key: string]: Value };
  /** Store time in ms when the session's rights end, or null when they do not. */
  readonly expiresAt: number | null;
  readonly node: string;
  /** The server's clock, ms since the Unix epoch; leases are counted by it. */
  readonly time: number;
  readonly limits: Readonly<Record<string, number>>;
  /** Ms of silence after which the server sends PING. */
  readonly pingEvery: number;
  readonly features: readonly string[];
  readonly topics: Readonly<Record<string, TopicStatus>>;
}

export interface CallOptions {
  /** Makes a retry safe: same (user, name, key) answers with the first result. */
  readonly key?: string;
  readonly timeoutMs?: number;
}

export type HelloFrame = readonly [typeof Op.HELLO, id: number, Hello];
export type WelcomeFrame = readonly [typeof Op.WELCOME, id: number, Welcome];
export type PingFrame = readonly [typeof Op.PING, stamp?: Value];
/** `time`: store time, of the server's alone. */
export type PongFrame = readonly [typeof Op.PONG, stamp: Value, time?: number];
export type GoawayFrame = readonly [typeof Op.GOAWAY, code: number, reason: string, retryAfterMs: number];
export type AuthFrame = readonly [typeof Op.AUTH, id: number, token: string];
export type ByeFrame = readonly [typeof Op.BYE];
export type CallFrame = readonly [typeof Op.CALL, id: number, name: string, data: Value, options?: CallOptions];
export type AckFrame = readonly [typeof Op.ACK, id: number, data: Value];
export type NackFrame = readonly [typeof Op.NACK, id: number, code: number, message: string, details?: Value];
export type CancelFrame = readonly [typeof Op.CANCEL, id: number];
export type SubscribeFrame = readonly [typeof Op.SUBSCRIBE, id: number, topic: string, from: Position | null];
export type UnsubscribeFrame = readonly [typeof Op.UNSUBSCRIBE, id: number, topic: string];
export type PublishFrame = readonly [
  typeof Op.PUBLISH,
  id: number,
  topic: string,
  event: string,
  key: string | null,
  data: Value,
];
export type VolatileFrame = readonly [typeof Op.VOLATILE, topic: string, event: string, slot: string, data: Value];
export type PositionFrame = readonly [typeof Op.POSITION, Positions];
/** `from` is the sender's session id, null for the server. */
export type EventItem = readonly [event: string, data: Value, from: string | null, meta?: Value];
export type EventsFrame = readonly [typeof Op.EVENTS, topic: string, firstOffset: number, ...items: EventItem[]];
export type ResetFrame = readonly [typeof Op.RESET, topic: string, epoch: string, offset: number, reason: string];
export type RemovedFrame = readonly [typeof Op.REMOVED, topic: string, code: number, reason: string];
export type SubscribedFrame = readonly [
  typeof Op.SUBSCRIBED,
  topic: string,
  epoch: string,
  offset: number,
  recovered: boolean,
];
export type LatestFrame = readonly [
  typeof Op.LATEST,
  topic: string,
  event: string,
  slot: string,
  data: Value,
  from: string | null,
];

export type ClientFrame =
  | HelloFrame
  | PingFrame
  | PongFrame
  | AuthFrame
  | ByeFrame
  | CallFrame
  | AckFrame
  | NackFrame
  | CancelFrame
  | SubscribeFrame
  | UnsubscribeFrame
  | PublishFrame
  | VolatileFrame
  | PositionFrame;

export type ServerFrame =
  | WelcomeFrame
  | PingFrame
  | PongFrame
  | GoawayFrame
  | CallFrame
  | AckFrame
  | NackFrame
  | CancelFrame
  | EventsFrame
  | ResetFrame
  | RemovedFrame
  | SubscribedFrame
  | LatestFrame;
