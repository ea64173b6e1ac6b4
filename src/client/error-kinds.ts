/** What an error calls for. */
import type { ErrorName } from '../protocol/codes.js';
import { RoomwireError } from '../protocol/errors.js';

export function isError(error: unknown, ...names: readonly ErrorName[]): error is RoomwireError {
  return error instanceof RoomwireError && (names as readonly string[]).includes(error.name);
}

/** Whether trying again later can help: 200–299 retry, 300–399 after the next sign-in, and the network. */
export function isTemporary(error: unknown): boolean {
  return !(error instanceof RoomwireError) || (error.code >= 200 && error.code < 400);
}
