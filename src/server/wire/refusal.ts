/**
 * The error that answers an outsider's frame. Without a stack: it goes over the wire, where nobody
 * sees one, and taking it costs more than all the rest of a refusal.
 */
import type { ErrorName } from '../../protocol/codes.js';
import { RoomwireError } from '../../protocol/errors.js';
import type { Value } from '../../protocol/frames.js';

export function refusal(
  code: ErrorName | number,
  message?: string,
  options?: { readonly details?: Value | undefined; readonly cause?: unknown },
): RoomwireError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return new RoomwireError(code, message, options);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
