/** The one error class: branch on `name` or `code`, never on the message. */
import { errorName, errors, type ErrorName } from './codes.js';
import type { Value } from './frames.js';

export class RoomwireError extends Error {
  declare readonly code: number;
  /** The code's name, `'error_<code>'` for a number this version does not know. */
  declare readonly name: string;
  declare readonly details: Value | undefined;

  /** `code`: a name, or a number as it came over the wire. The message is by default the name. */
  constructor(code: ErrorName | number, message?: string, options?: { details?: Value | undefined; cause?: unknown }) {
    const name = typeof code === 'string' ? code : (errorName(code) ?? `error_${code}`);
    super(message ?? name, options);
    this.name = name;
    this.code = errors[code as ErrorName] ?? code;
    this.details = options?.details;
  }
}
