/**
 * The one table of codes. An error's number says what to do next: 100–199 do not retry, 200–299
 * retry later, 300–399 authenticate again, 400–499 refetch state. A close code likewise: 4000–4099
 * do not reconnect, 4100–4199 get a new token first, 4200–4299 reconnect with backoff, 4300–4399
 * reconnect at once, 4900 and up belong to the application. What each means is in code-texts.ts,
 * so that the SDK does not carry it; PROTOCOL.md's tables are made from both. In each list here the
 * names count up from its number, so a new one goes at a list's end.
 */
export const errors = numbered({
  100: [
    'bad_request',
    'unknown_op',
    'unknown_call',
    'unknown_topic',
    'unknown_event',
    'invalid_data',
    'forbidden',
    'join_required',
    'not_subscribed',
    'too_large',
    'duplicate_id',
    'key_reused',
    'outcome_unknown',
    'cancelled',
    'conflict',
  ],
  120: ['room_not_found', 'room_exists', 'room_locked', 'not_member'],
  125: ['lock_lost', 'not_holder'],
  130: ['handler_failed'],
  200: [
    'deadline',
    'too_many',
    'limit_reached',
    'store_unavailable',
    'disconnected',
    'lock_held',
    'draining',
    'backend_unavailable',
  ],
  300: ['unauthenticated', 'token_expired'],
  400: ['position_unknown'],
});
export type ErrorName = keyof typeof errors;

export const closes = numbered({
  4000: [
    'bad_frame',
    'text_frame',
    'bad_subprotocol',
    'hello_expected',
    'hello_timeout',
    'message_too_large',
    'forbidden',
    'kicked',
    'taken_over',
    'bye',
  ],
  4100: ['unauthenticated', 'token_expired'],
  4200: ['internal', 'overloaded', 'draining', 'too_slow'],
  4300: ['ping_timeout'],
});
export type CloseName = keyof typeof closes;

function numbered<Name extends string>(lists: Readonly<Record<number, readonly Name[]>>) {
  const entries = Object.entries(lists).flatMap(([first, names]) => names.map((name, i) => [name, +first + i]));
  return Object.fromEntries(entries) as Readonly<Record<Name, number>>;
}

/** The name of an error's number, or undefined for one this version does not know. */
export function errorName(code: number): ErrorName | undefined {
  return nameIn(errors, code);
}

/** The name of a close code, or undefined for one this version does not know. */
export function closeName(code: number): CloseName | undefined {
  return nameIn(closes, code);
}

function nameIn<Name extends string>(table: Readonly<Record<Name, number>>, code: number): Name | undefined {
  return (Object.keys(table) as Name[]).find((name) => table[name] === code);
}
