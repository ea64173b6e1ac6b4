/**
 * What each code means and what to do about it, for PROTOCOL.md's tables and for messages to a peer
 * or a person. The SDK must not import it: it would grow by a sixth.
 */
import type { CloseName, ErrorName } from './codes.js';

export interface CodeText {
  readonly meaning: string;
  readonly action: string;
}

export const errorTexts: Readonly<Record<ErrorName, CodeText>> = {
  bad_request: { meaning: 'The frame is well formed but its parts are not what this opcode takes.', action: 'Fix the client.' },
  unknown_op: { meaning: 'The server does not know this opcode.', action: 'Fix the client, or do without the feature.' },
  unknown_call: { meaning: 'No handler is registered under this call name.', action: 'Check the name; see the contract.' },
  unknown_topic: { meaning: 'No such topic, or it is not open to you.', action: 'Check the name; see the contract.' },
  unknown_event: { meaning: 'The contract of this topic has no such event.', action: 'Check the name; see the contract.' },
  invalid_data: { meaning: 'The data does not match the contract; details list the paths.', action: 'Fix the data.' },
  forbidden: { meaning: 'The policy does not allow this.', action: 'Ask for the right.' },
  join_required: { meaning: 'Topics of this namespace are joined through a call, such as join:room.', action: 'Use the call.' },
  not_subscribed: { meaning: 'The session is not subscribed to this topic.', action: 'Subscribe first.' },
  too_large: { meaning: 'A name or the data is larger than its limit.', action: 'Send less; see limits.' },
  duplicate_id: { meaning: 'A request with this id is still waiting for its answer.', action: 'Use a new id for each request.' },
  key_reused: { meaning: 'This idempotency key was used with other data.', action: 'Use a new key for new data.' },
  outcome_unknown: { meaning: 'The call with this key was interrupted; whether it took effect is not known.', action: 'Check, then use a new key.' },
  cancelled: { meaning: 'The request was cancelled.', action: 'Nothing.' },
  conflict: { meaning: 'What the request builds on has changed.', action: 'Read again, then decide.' },
  room_not_found: { meaning: 'No such room, or it is not open to you.', action: 'Create it: join with create, or POST.' },
  room_exists: { meaning: 'The id is taken or reserved.', action: 'Choose another id, or join the room if you may see it.' },
  room_locked: { meaning: 'The room is permanently locked.', action: 'Do not write to it.' },
  not_member: { meaning: 'You are not in this room.', action: 'Join it first.' },
  lock_lost: { meaning: 'The lock token is old: the lease ended or another took it.', action: 'Acquire again, check, then redo the work.' },
  not_holder: { meaning: 'Somebody else holds this, or nobody does.', action: 'Acquire it first.' },
  handler_failed: { meaning: 'The handler failed; the server logged why.', action: 'Report it with the time.' },
  deadline: { meaning: 'The answer did not come before the deadline.', action: 'Retry; with a key if the call changes something.' },
  too_many: { meaning: 'Too many requests of this kind are waiting, or came within a second.', action: 'Retry after details.retryAfterMs, or when answers came.' },
  limit_reached: { meaning: 'A count limit is reached (topics, slots, locks, keys, rooms).', action: 'Free one, then retry.' },
  store_unavailable: { meaning: 'The store refused the commit; nothing took effect.', action: 'Retry.' },
  disconnected: { meaning: 'The connection ended before the answer.', action: 'Retry after the resume; with a key if the call changes something.' },
  lock_held: { meaning: 'Another holds the lock; details name the holder, the message and the time left.', action: 'Retry later.' },
  draining: { meaning: 'The server is shutting down.', action: 'Retry after the reconnect.' },
  backend_unavailable: { meaning: 'The application behind the server, which has to answer this, does not.', action: 'Retry with backoff; with a key if the call changes something.' },
  unauthenticated: { meaning: 'A token is needed, or this one is not valid.', action: 'Get a new token.' },
  token_expired: { meaning: 'The token has expired.', action: 'Get a new token.' },
  position_unknown: { meaning: 'The position is not of this epoch, or lies outside the history.', action: 'Refetch state, then go on from the new position.' },
};

export const closeTexts: Readonly<Record<CloseName, CodeText>> = {
  bad_frame: { meaning: 'A message broke the encoding; the reason has the index of the frame.', action: 'Fix the client.' },
  text_frame: { meaning: 'A text message; only binary ones are allowed.', action: 'Fix the client.' },
  bad_subprotocol: { meaning: 'The offered subprotocols do not include roomwire.v1.', action: 'Offer roomwire.v1.' },
  hello_expected: { meaning: 'The first frame was not HELLO, or HELLO came twice or with company.', action: 'Fix the client.' },
  hello_timeout: { meaning: 'No HELLO in time.', action: 'Send HELLO at once.' },
  message_too_large: { meaning: 'HELLO was larger than limits.helloBytes.', action: 'Send less.' },
  forbidden: { meaning: 'This user may not connect.', action: 'Do not reconnect.' },
  kicked: { meaning: 'The session was ended by the server.', action: 'Do not reconnect.' },
  taken_over: { meaning: 'A newer connection of the same client took the session over.', action: 'Do not reconnect.' },
  bye: { meaning: 'The client said BYE.', action: 'Nothing.' },
  unauthenticated: { meaning: 'No valid token.', action: 'Get a new token, then reconnect.' },
  token_expired: { meaning: 'The token expired.', action: 'Get a new token, then reconnect.' },
  internal: { meaning: 'The server failed.', action: 'Reconnect with backoff.' },
  overloaded: { meaning: 'The server has too much to do.', action: 'Reconnect with backoff.' },
  draining: { meaning: 'The server is shutting down.', action: 'Reconnect after retryAfterMs with jitter.' },
  too_slow: { meaning: 'Replies waited past limits.controlBytes for a socket that does not drain.', action: 'Reconnect with backoff; read faster.' },
  ping_timeout: { meaning: 'No sign of life after PING.', action: 'Reconnect at once.' },
};

/** What an error's name means; undefined for one this version does not know. */
export function meaningOf(name: string): string | undefined {
  return Object.hasOwn(errorTexts, name) ? errorTexts[name as ErrorName].meaning : undefined;
}

/** For a peer or a person: the error's own message or, when it was made without one, what its name means. */
export function messageOf({ name, message }: Error): string {
  return message === name ? (meaningOf(name) ?? message) : message;
}
