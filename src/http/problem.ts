/** Errors over HTTP: RFC 9457 problem documents. The status comes from the error's name; clients branch on `code` or `name`. */
import { meaningOf, messageOf } from '../protocol/code-texts.js';
import type { ErrorName } from '../protocol/codes.js';
import { EncodeError } from '../protocol/codec.js';
import { RoomwireError } from '../protocol/errors.js';
import type { Problem } from '../protocol/http-answers.js';
import { uncarriable } from '../protocol/validate.js';
import type { HttpResponse } from '../server/api.js';

const statuses: Readonly<Partial<Record<ErrorName, number>>> = {
  unknown_topic: 404,
  unknown_event: 400,
  room_not_found: 404,
  room_exists: 409,
  forbidden: 403,
  not_member: 403,
  join_required: 403,
  unauthenticated: 401,
  token_expired: 401,
  too_large: 413,
  key_reused: 422,
  invalid_data: 422,
  conflict: 412,
  lock_held: 423,
  room_locked: 423,
  lock_lost: 409,
  not_holder: 409,
  disconnected: 409,
  limit_reached: 429,
  too_many: 429,
  deadline: 504,
  store_unavailable: 503,
  draining: 503,
  backend_unavailable: 503,
  handler_failed: 500,
};

export function problemOf(error: RoomwireError): Problem {
  const name = error.name as ErrorName;
  return {
    type: `urn:roomwire:error:${name}`,
    title: meaningOf(name) ?? name,
    status: statuses[name] ?? 400,
    detail: messageOf(error),
    code: error.code,
    name,
    ...(error.details === undefined ? {} : { details: error.details }),
  };
}

/** Of what is no refusal but a bug, whose text is for the log alone. */
export const BUG: Problem = problemOf(new RoomwireError('handler_failed'));

/** Of one part of a request whose other parts go on. undefined for what is no refusal but a bug. */
export function partProblem(error: unknown): Problem | undefined {
  if (error instanceof EncodeError) return problemOf(uncarriable(error));
  return error instanceof RoomwireError ? problemOf(error) : undefined;
}

/** What only HTTP knows: a status that no protocol error has. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail);
    this.status = status;
    this.headers = headers;
  }
}

/** Writes the body of a refusal in another form; `headers`: those the status asks for, such as Retry-After. */
export type Refused = (problem: Problem, headers: Readonly<Record<string, string>>) => HttpResponse;

const asProblem: Refused = (problem, headers) => json(problem.status, problem, headers, 'application/problem+json');

/** `reason`: for the log, where it is a refusal. */
export interface Answered {
  readonly response: HttpResponse | undefined;
  readonly reason?: string;
}

/** undefined for what is no answer but a bug. */
export function refusalOf(error: unknown, refused: Refused = asProblem): Answered | undefined {
  // What a program made of a request's data cannot be kept or sent.
  if (error instanceof EncodeError) return refusalOf(uncarriable(error), refused);
  if (error instanceof RoomwireError) return { response: refusal(error, refused), reason: messageOf(error) };
  if (error instanceof HttpError) {
    const { status, message: detail, headers } = error;
    return { response: refused({ type: 'about:blank', title: detail, status, detail }, headers), reason: detail };
  }
  return undefined;
}

/** The answer that a protocol error has, with the headers of its status. */
export function refusal(error: RoomwireError, refused: Refused = asProblem): HttpResponse {
  const problem = problemOf(error);
  const headers: Record<string, string> = {};
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer';
  const { retryAfterMs } = (error.details ?? {}) as { readonly retryAfterMs?: unknown };
  if (typeof retryAfterMs === 'number') headers['retry-after'] = String(Math.ceil(retryAfterMs / 1_000));
  else if (problem.status === 503) headers['retry-after'] = '1';
  return refused(problem, headers);
}

export function json(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
  type = 'application/json',
): HttpResponse {
  return {
    status,
    headers: { 'content-type': type, 'cache-control': 'no-store', ...headers },
    body: `${JSON.stringify(body)}\n`,
  };
}
