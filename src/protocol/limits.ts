/**
 * Every limit a client can run into, with its default. WELCOME announces the ones in force, so a
 * client need not guess (rule 4 of docs/architecture.md: every queue, frame, name and wait is bounded).
 */
export interface Limits {
  /** Bytes of one WebSocket message from a client. */
  messageBytes: number;
  /** Bytes of HELLO. */
  helloBytes: number;
  /** Ms from the open socket to HELLO. */
  helloMs: number;
  /** Bytes (UTF-8) of a topic, event, slot, call name or key. */
  nameBytes: number;
  /** Bytes of an event's or call's data. */
  dataBytes: number;
  /** Subscriptions of one session. */
  topics: number;
  /** Calls of one connection that wait for an answer, each way. */
  pendingCalls: number;
  /** Frames of one connection that wait for an asynchronous policy or the store. */
  pendingFrames: number;
  /** Bytes of memory that calls and publishes of one user hold while they wait; all users together have eight times as much, and four times as much for HELLOs that wait for hooks. */
  pendingBytes: number;
  /** Calls of one session a second; twice as many may come at once. 0: no limit, as with all rates. */
  callsPerSecond: number;
  /** Publishes of one session a second, volatile ones too. */
  publishesPerSecond: number;
  /** SUBSCRIBE and UNSUBSCRIBE of one session a second. */
  joinsPerSecond: number;
  /** Frames of one session a second that are refused or that no other rate counts; past it the connection closes. */
  straysPerSecond: number;
  /** The same for all sessions of a user together. */
  userCallsPerSecond: number;
  userPublishesPerSecond: number;
  userJoinsPerSecond: number;
  userStraysPerSecond: number;
  /** Longest deadline of a call, ms. */
  callMaxMs: number;
  /** Ms a session outlives its connection unless HELLO asks otherwise. */
  graceMs: number;
  /** The longest grace HELLO can ask for, ms. */
  graceMaxMs: number;
  /** Bytes of replies that may wait for a socket that does not drain; past it the connection closes. */
  controlBytes: number;
  /** Volatile slots of one topic. */
  slots: number;
  /** Bytes of all the volatile values that one user has set; all users together have eight times as much. */
  slotBytes: number;
  /** Events one topic keeps for recovery. */
  historyEvents: number;
  /** Bytes one topic keeps for recovery. */
  historyBytes: number;
  /** Ms an idempotency key is remembered. */
  keyTtlMs: number;
  /** Idempotency keys of one user that are remembered at once; all guests of one address count as one user. */
  keys: number;
  /** Rooms that one user is a member of. */
  roomsPerUser: number;
  /** Rooms that one user made and that still exist. */
  roomsMade: number;
  /** Times a second that one user's sessions may come into one room, twenty at once; into all rooms twenty times that. 0: no limit. */
  entriesPerSecond: number;
  /** Members of one room. */
  roomMembers: number;
  /** Members listed in a join reply; above it the reply is a page. */
  memberInline: number;
  /** Longest and shortest lock lease, ms. */
  lockMaxMs: number;
  lockMinMs: number;
  /** Locks in one room. */
  locks: number;
  /** Calls that wait in line for one lock, one of a session. */
  lockWaiters: number;
}

export const defaultLimits: Readonly<Limits> = {
  messageBytes: 1024 * 1024,
  helloBytes: 16 * 1024,
  helloMs: 5_000,
  nameBytes: 200,
  dataBytes: 256 * 1024,
  topics: 1_000,
  pendingCalls: 256,
  pendingFrames: 4_096,
  pendingBytes: 64 * 1024 * 1024,
  callsPerSecond: 1_000,
  publishesPerSecond: 10_000,
  joinsPerSecond: 500,
  straysPerSecond: 5_000,
  userCallsPerSecond: 5_000,
  userPublishesPerSecond: 50_000,
  userJoinsPerSecond: 2_500,
  userStraysPerSecond: 25_000,
  callMaxMs: 120_000,
  graceMs: 15_000,
  graceMaxMs: 300_000,
  controlBytes: 1024 * 1024,
  slots: 256,
  slotBytes: 8 * 1024 * 1024,
  historyEvents: 2_000,
  historyBytes: 4 * 1024 * 1024,
  keyTtlMs: 300_000,
  keys: 10_000,
  roomsPerUser: 1_000,
  roomsMade: 1_000,
  entriesPerSecond: 1,
  roomMembers: 100_000,
  memberInline: 200,
  lockMaxMs: 600_000,
  lockMinMs: 1_000,
  locks: 64,
  lockWaiters: 64,
};
