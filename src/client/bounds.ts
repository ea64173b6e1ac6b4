/**
 * How long the SDK waits and how much it holds: every time and queue has a bound. Constants alone,
 * so that a bundler puts the numbers in place of the names.
 */

/** From connecting to WELCOME. */
export const WELCOME_MS = 15_000;
/** For a token of the application's, and for a page of a list. */
export const ANSWER_MS = 15_000;
/** From a PING to a sign of life, when there is reason to doubt that there will be one. */
export const PROBE_MS = 3_000;
/** However busy a connection is, the store's time is asked for after so many times `pingEvery`. */
export const PINGS_UNTOLD = 4;
/** A wall clock that is further ahead of the monotonic one was set, or the machine slept. */
export const SLEEP_MS = 1_000;
/** From that suspicion to the server's answer; locks end without one. */
export const DOUBT_MS = 2_000;
/** A shorter grace counts as one of this length: what is held needs time to ask whether it still is. */
export const MIN_GRACE_MS = 1_000;
/** A connection that lived this long was a good one: the next attempt counts as the first. */
export const HELD_MS = 5_000;
/** Refusals of one fresh token after another before giving up. */
export const MAX_REFUSALS = 5;

/** A token is renewed this long before its end, or at nine tenths of a short life. */
export const RENEWAL_MARGIN_MS = 30_000;
export const RENEWAL_RETRY_MS = 5_000;
/** A token that is always about to expire is not asked for all the time. */
export const MIN_RENEWAL_MS = 1_000;

/** Requests that may wait at once, sent or not. */
export const MAX_PENDING = 16_384;
export const MAX_REQUEST_ID = 0x7fff_ffff;
/** Of a rate, as much may leave at once as in this time; the server allows twice that. */
export const BURST_MS = 1_000;
/** While a socket has more bytes to send, volatile values wait, and newer ones take their place. */
export const UPLINK_BYTES = 65_536;
export const UPLINK_POLL_MS = 20;
/** Of HELLO, until a server says otherwise (RW-HEL-1). */
export const HELLO_BYTES = 16_384;
/** Of POSITION, which may have as many bytes as HELLO, without its map. */
export const POSITION_BYTES = 16;
/** As many turns of microtasks as an awaited promise takes through the SDK and some functions around it. */
export const ANSWER_TURNS = 10;
/** Frames are gathered into messages of about this size. */
export const MESSAGE_BYTES = 65_536;
/** The longest time that setTimeout knows. */
export const MAX_TIMEOUT_MS = 0x7fff_ffff;

/** Events to hold back while a state is read; past it the state is read again. */
export const MAX_HELD_EVENTS = 10_000;
/** States behind the stream, in a row, before a first join fails. */
export const MAX_STALE_STATES = 5;

/** One fetch for all the rooms that come into view in this time. */
export const RELOAD_MS = 500;
/** Deleted rooms to remember; past it the oldest is forgotten. */
export const MAX_DELETED_ROOMS = 1_000;
export const ROOMS_PER_PAGE = '500';

export const DEFAULT_LEASE_MS = 30_000;
/** A lock is not renewed more often than this. */
export const MIN_REFRESH_MS = 50;
