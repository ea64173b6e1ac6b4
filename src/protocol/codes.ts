/**
 * The one table of codes. An error's number says what to do next: 100–199 do not retry, 200–299
 * retry later, 300–399 authenticate again, 400–499 refetch state. A close code likewise: 4000–4099
 * do not reconnect, 4100–4199 get a new token first, 4200–4299 reconnect with backoff, 4300–4399
 * reconnect at once, 4900 and up belong to the application. What each means is in code-texts.ts,
 * so that the SDK does not carry it; PROTOCOL.md's tables are made from both.
 */
export const errors = {
  bad_request: 100,
  unknown_op: 101,
  unknown_call: 102,
  unknown_topic: 103,
  unknown_event: 104,
  invalid_data: 105,
  forbidden: 106,
  join_required: 107,
  not_subscribed: 108,
  too_large: 109,
  duplicate_id: 110,
  key_reused: 111,
  outcome_unknown: 112,
  cancelled: 113,
  conflict: 114,
  room_not_found: 120,
  room_exists: 121,
  room_locked: 122,
  not_member: 123,
  lock_lost: 125,
  not_holder: 126,
  handler_failed: 130,
  deadline: 200,
  too_many: 201,
  limit_reached: 202,
  store_unavailable: 203,
  disconnected: 204,
  lock_held: 205,
  draining: 206,
  backend_unavailable: 207,
  unauthenticated: 300,
  token_expired: 301,
  position_unknown: 400,
} as const;
export type ErrorName = keyof typeof errors;

export const closes = {
  bad_frame: 4000,
  text_frame: 4001,
  bad_subprotocol: 4002,
  hello_expected: 4003,
  hello_timeout: 4004,
  message_too_large: 4005,
  forbidden: 4006,
  kicked: 4007,
  taken_over: 4008,
  bye: 4009,
  unauthenticated: 4100,
  token_expired: 4101,
  internal: 4200,
  overloaded: 4201,
  draining: 4202,
  too_slow: 4203,
  ping_timeout: 4300,
} as const;
export type CloseName = keyof typeof closes;

/** The name of an error's number, or undefined for one this version does not know. */
export function errorName(code: number): ErrorName | undefined {
  return nameIn(errors, code) as ErrorName | undefined;
}

/** The name of a close code, or undefined for one this version does not know. */
export function closeName(code: number): CloseName | undefined {
  return nameIn(closes, code) as CloseName | undefined;
}

function nameIn(table: Readonly<Record<string, number>>, code: number): string | undefined {
  return Object.keys(table).find((name) => table[name] === code);
}
