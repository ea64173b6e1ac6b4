/** Errors as they cross the wire: a code, a message, details. */
import { errorName, errors, type ErrorName } from '../protocol/codes.js';
import { RoomwireError } from '../protocol/errors.js';
import type { Value } from '../protocol/frames.js';

export function remoteError(code: number, message: string, details?: Value): RoomwireError {
  const name = errorName(code);
  if (name !== undefined) return new RoomwireError(name, message, { details });
  // A code that this version has no name for.
  return Object.assign(new RoomwireError('handler_failed', message, { details }), { code, name: `error_${code}` });
}

export function isError(error: unknown, ...names: readonly ErrorName[]): error is RoomwireError {
  return error instanceof RoomwireError && names.some((name) => errors[name].code === error.code);
}

/** Whether trying again later can help: 200–299 retry, 300–399 after the next sign-in, and the network. */
export function isTemporary(error: unknown): boolean {
  return !(error instanceof RoomwireError) || (error.code >= 200 && error.code < 400);
}
