/** The one error class: branch on `name` or `code`, never on the message. */
import { errors, type ErrorName } from './codes.js';
import type { Value } from './frames.js';

export class RoomwireError extends Error {
  readonly code: number;
  /** The code's name, `'error_<code>'` for a number this version does not know. */
  override readonly name: string;
  readonly details: Value | undefined;

  constructor(name: ErrorName, message?: string, options?: { details?: Value | undefined; cause?: unknown }) {
    super(message ?? errors[name].meaning, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = name;
    this.code = errors[name].code;
    this.details = options?.details;
  }
}
