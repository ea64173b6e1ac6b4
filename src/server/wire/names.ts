/** The one check of names that come from outside: topics, events, keys, slots, calls. Over sockets, HTTP and in programs. */
import { refusal } from './refusal.js';

/** The probe's user and topic begin with this; no token may name it, and the policy knows no such topic. */
export const OWN_PREFIX = '$probe';

/** Throws bad_request and too_large. `what`: to say which name it is. */
export function requireName(name: string, what: string, nameBytes: number): void {
  if (name === '') throw refusal('bad_request', `${what} must not be empty`);
  // Bytes, not characters: what counts is what the server keeps. A character is three at most for its UTF-16 length.
  if (name.length * 3 > nameBytes && Buffer.byteLength(name) > nameBytes) {
    throw refusal('too_large', `${what} is over ${nameBytes} bytes`);
  }
}
