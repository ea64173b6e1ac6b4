/** Checking data against a contract's schema, with one form of refusal for sockets and HTTP. Not part of the SDK. */
import * as v from 'valibot';
import { RoomwireError } from './errors.js';

/** More would only fill the reply. */
const ISSUES = 10;

/** The checked value. Throws invalid_data; `details.issues` has the paths. */
export function checked<S extends v.GenericSchema>(schema: S, data: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, data, { abortPipeEarly: true });
  if (result.success) return result.output;
  const issues = result.issues
    .slice(0, ISSUES)
    .map((issue) => ({ path: v.getDotPath(issue) ?? '', message: issue.message }));
  const [first] = issues;
  throw new RoomwireError('invalid_data', `${first?.path ? `${first.path}: ` : ''}${first?.message ?? 'invalid'}`, {
    details: { issues },
  });
}
