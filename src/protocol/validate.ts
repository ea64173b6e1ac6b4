/** Checking data where it comes in, with one form of refusal for sockets and HTTP. Not part of the SDK. */
import * as v from 'valibot';
import { encode, EncodeError, type EncodeOptions } from './codec.js';
import { RoomwireError } from './errors.js';

/** More would only fill the reply. */
const ISSUES = 10;

interface Issue {
  readonly path: string;
  readonly message: string;
}

/** The value checked against a contract's schema. Throws invalid_data; `details.issues` has the paths. */
export function checked<S extends v.GenericSchema>(schema: S, data: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, data, { abortPipeEarly: true });
  if (result.success) return result.output;
  throw unfit(result.issues);
}

/** The refusal of what a schema found. */
export function unfit(found: readonly v.BaseIssue<unknown>[]): RoomwireError {
  return invalid(found.slice(0, ISSUES).map((issue) => ({ path: v.getDotPath(issue) ?? '', message: issue.message })));
}

/**
 * Throws invalid_data, with the path, for what no frame can carry: half a character, too many levels, or what is not plain
 * data. For whatever does not come as a frame; `level`: arrays and maps that will surround it.
 */
export function requireCarriable(value: unknown, options: EncodeOptions): void {
  try {
    encode(value, options);
  } catch (error) {
    throw error instanceof EncodeError ? uncarriable(error, options.name) : error;
  }
}

/** The refusal of an outsider's data. `name`: what its path begins with and the outsider does not see. */
export function uncarriable(error: EncodeError, name?: string): RoomwireError {
  const { path, message } = error;
  const seen = name !== undefined && path.startsWith(name) ? path.slice(name.length).replace(/^\./, '') : path;
  return invalid([{ path: seen, message: message.slice(path.length + 1) }], error);
}

function invalid(issues: readonly Issue[], cause?: unknown): RoomwireError {
  const [first] = issues;
  const where = first?.path ? `${first.path}: ` : '';
  return new RoomwireError('invalid_data', `${where}${first?.message ?? 'invalid'}`, {
    details: { issues: issues as { path: string; message: string }[] },
    cause,
  });
}
