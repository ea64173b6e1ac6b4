/** Checking data where it comes in, with one form of refusal for sockets and HTTP. Not part of the SDK. */
import * as v from 'valibot';
import { encode, EncodeError, type EncodeOptions } from './codec.js';
import { RoomwireError } from './errors.js';

/** More would only fill the reply. */
const ISSUES = 10;

// A type, not an interface: it goes into details, which any value may be.
type Issue = { readonly path: string; readonly message: string };

/** The value checked against a contract's schema. Throws invalid_data; `details.issues` has the paths. */
export function checked<S extends v.GenericSchema>(schema: S, data: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, data, { abortPipeEarly: true });
  if (result.success) return result.output;
  throw unfit(result.issues);
}

/** The refusal of what a schema found. */
export function unfit(found: readonly v.BaseIssue<unknown>[]): RoomwireError {
  const issues = found.slice(0, ISSUES).map(issueOf);
  const [first] = issues;
  return invalid(first === undefined ? 'invalid' : sentence(first), issues);
}

/** What a schema found, for a person: the same words wherever it came in. */
export function sentenceOf(found: v.BaseIssue<unknown>): string {
  return sentence(issueOf(found));
}

/** What is wrong with the field that the path names. */
export function messageIn({ message, expected }: v.BaseIssue<unknown>): string {
  // The library's own words for a key name it once more.
  if (!message.startsWith('Invalid key: ')) return message;
  return expected === 'never' ? 'is unknown' : 'is missing';
}

function issueOf(found: v.BaseIssue<unknown>): Issue {
  return { path: v.getDotPath(found) ?? '', message: messageIn(found) };
}

/** The path goes before it, unless the contract's own message names the field. */
function sentence(issue: Issue): string {
  const { path, message } = issue;
  const field = path.split('.').findLast((part) => !/^\d+$/.test(part)) ?? '';
  // The library's messages name no field, but quote what was given.
  const names = !message.startsWith('Invalid ') && message.split(/[^\w$]+/).includes(field);
  return names ? message : after(issue);
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
  const issue = { path: seen, message: message.slice(path.length + 1) };
  // The encoder's words name no field, whatever it is called.
  return invalid(after(issue), [issue], error);
}

function after({ path, message }: Issue): string {
  return path === '' ? message : `${path}: ${message}`;
}

function invalid(text: string, issues: Issue[], cause?: unknown): RoomwireError {
  return new RoomwireError('invalid_data', text, { details: { issues }, cause });
}
