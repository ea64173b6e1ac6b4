/**
 * The one table of codes. An error's number says what to do next: 100–199 do not retry, 200–299
 * retry later, 300–399 authenticate again, 400–499 refetch state. A close code likewise: 4000–4099
 * do not reconnect, 4100–4199 get a new token first, 4200–4299 reconnect with backoff, 4300–4399
 * reconnect at once, 4900 and up belong to the application. PROTOCOL.md's tables are made from here.
 */
interface CodeEntry {
  readonly code: number;
  readonly meaning: string;
  readonly action: string;
}

export const errors = {
  bad_request: { code: 100, meaning: 'The frame is well formed but its parts are not what this opcode takes.', action: 'Fix the client.' },
  unknown_op: { code: 101, meaning: 'The server does not know this opcode.', action: 'Fix the client, or do without the feature.' },
  unknown_call: { code: 102, meaning: 'No handler is registered under this call name.', action: 'Check the name; see the contract.' },
  unknown_topic: { code: 103, meaning: 'No such topic, or it is not open to you.', action: 'Check the name; see the contract.' },
  unknown_event: { code: 104, meaning: 'The contract of this topic has no such event.', action: 'Check the name; see the contract.' },
  invalid_data: { code: 105, meaning: 'The data does not match the contract; details list the paths.', action: 'Fix the data.' },
  forbidden: { code: 106, meaning: 'The policy does not allow this.', action: 'Ask for the right.' },
  join_required: { code: 107, meaning: 'Topics of this namespace are joined through a call, such as join:room.', action: 'Use the call.' },
  not_subscribed: { code: 108, meaning: 'The session is not subscribed to this topic.', action: 'Subscribe first.' },
  too_large: { code: 109, meaning: 'A name or the data is larger than its limit.', action: 'Send less; see limits.' },
  duplicate_id: { code: 110, meaning: 'A request with this id is still waiting for its answer.', action: 'Use a new id for each request.' },
  key_reused: { code: 111, meaning: 'This idempotency key was used with other data.', action: 'Use a new key for new data.' },
  outcome_unknown: { code: 112, meaning: 'The call with this key was interrupted; whether it took effect is not known.', action: 'Check, then use a new key.' },
  cancelled: { code: 113, meaning: 'The request was cancelled.', action: 'Nothing.' },
  conflict: { code: 114, meaning: 'What the request builds on has changed.', action: 'Read again, then decide.' },
  room_not_found: { code: 120, meaning: 'No such room, or it is not open to you.', action: 'Create it: join with create, or POST.' },
  room_exists: { code: 121, meaning: 'A room with this id exists.', action: 'Choose another id, or join it.' },
  room_locked: { code: 122, meaning: 'The room is permanently locked.', action: 'Do not write to it.' },
  not_member: { code: 123, meaning: 'You are not in this room.', action: 'Join it first.' },
  lock_lost: { code: 125, meaning: 'The lock token is old: the lease ended or another took it.', action: 'Acquire again, check, then redo the work.' },
  not_holder: { code: 126, meaning: 'Somebody else holds this, or nobody does.', action: 'Acquire it first.' },
  handler_failed: { code: 130, meaning: 'The handler failed; the server logged why.', action: 'Report it with the time.' },
  deadline: { code: 200, meaning: 'The answer did not come before the deadline.', action: 'Retry; with a key if the call changes something.' },
  too_many: { code: 201, meaning: 'Too many requests of this kind are waiting.', action: 'Wait for answers, then retry.' },
  limit_reached: { code: 202, meaning: 'A count limit is reached (topics, slots, locks).', action: 'Free one, then retry.' },
  store_unavailable: { code: 203, meaning: 'The store refused the commit; nothing took effect.', action: 'Retry.' },
  disconnected: { code: 204, meaning: 'The connection ended before the answer.', action: 'Retry after the resume; with a key if the call changes something.' },
  lock_held: { code: 205, meaning: 'Another holds the lock; details name the holder, the message and the time left.', action: 'Retry later.' },
  draining: { code: 206, meaning: 'The server is shutting down.', action: 'Retry after the reconnect.' },
  unauthenticated: { code: 300, meaning: 'A token is needed, or this one is not valid.', action: 'Get a new token.' },
  token_expired: { code: 301, meaning: 'The token has expired.', action: 'Get a new token.' },
  position_unknown: { code: 400, meaning: 'The position is not of this epoch, or lies outside the history.', action: 'Refetch state, then go on from the new position.' },
} as const satisfies Record<string, CodeEntry>;
export type ErrorName = keyof typeof errors;

export const closes = {
  bad_frame: { code: 4000, meaning: 'A message broke the encoding; the reason has the index of the frame.', action: 'Fix the client.' },
  text_frame: { code: 4001, meaning: 'A text message; only binary ones are allowed.', action: 'Fix the client.' },
  bad_subprotocol: { code: 4002, meaning: 'The offered subprotocols do not include roomwire.v1.', action: 'Offer roomwire.v1.' },
  hello_expected: { code: 4003, meaning: 'The first frame was not HELLO, or HELLO came twice or with company.', action: 'Fix the client.' },
  hello_timeout: { code: 4004, meaning: 'No HELLO in time.', action: 'Send HELLO at once.' },
  message_too_large: { code: 4005, meaning: 'A message was larger than limits.messageBytes, or HELLO than limits.helloBytes.', action: 'Send less.' },
  forbidden: { code: 4006, meaning: 'This user may not connect.', action: 'Do not reconnect.' },
  kicked: { code: 4007, meaning: 'The session was ended by the server.', action: 'Do not reconnect.' },
  taken_over: { code: 4008, meaning: 'A newer connection of the same client took the session over.', action: 'Do not reconnect.' },
  bye: { code: 4009, meaning: 'The client said BYE.', action: 'Nothing.' },
  unauthenticated: { code: 4100, meaning: 'No valid token.', action: 'Get a new token, then reconnect.' },
  token_expired: { code: 4101, meaning: 'The token expired.', action: 'Get a new token, then reconnect.' },
  internal: { code: 4200, meaning: 'The server failed.', action: 'Reconnect with backoff.' },
  overloaded: { code: 4201, meaning: 'The server has too much to do.', action: 'Reconnect with backoff.' },
  draining: { code: 4202, meaning: 'The server is shutting down.', action: 'Reconnect after retryAfterMs with jitter.' },
  too_slow: { code: 4203, meaning: 'Replies waited past limits.controlBytes for a socket that does not drain.', action: 'Reconnect with backoff; read faster.' },
  ping_timeout: { code: 4300, meaning: 'No sign of life after PING.', action: 'Reconnect at once.' },
} as const satisfies Record<string, CodeEntry>;
export type CloseName = keyof typeof closes;

const errorNames = new Map<number, ErrorName>(
  Object.entries(errors).map(([name, entry]) => [entry.code, name as ErrorName]),
);

/** The name of an error number, or undefined for one this version does not know. */
export function errorName(code: number): ErrorName | undefined {
  return errorNames.get(code);
}
