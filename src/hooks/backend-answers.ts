/** What a backend may answer, and what its failure means for whoever waits. */
import * as v from 'valibot';
import { RoomwireError } from '../protocol/errors.js';
import { shortened } from '../protocol/text.js';
import { messageIn } from '../protocol/validate.js';
import { BackendError, parsed, type Answer } from './post.js';

const Reason = v.optional(v.string());
const Topics = v.optional(v.pipe(v.array(v.string()), v.maxLength(100)), []);
/** To `connect`. Only a plain yes lets anyone in. */
export const Admission = v.object({
  allow: v.boolean(),
  reason: Reason,
  /** Added to the user; `id` stays what the token says. */
  user: v.optional(v.record(v.string(), v.unknown())),
  /** That a new session is put into. */
  topics: Topics,
});
/** To `authorize`. */
export const PolicyAnswer = v.object({
  allow: v.boolean(),
  reason: Reason,
  /** How long this answer may be remembered; the config's `cacheMs` unless said. */
  cacheMs: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(3_600_000))),
});
const Code = v.optional(v.pipe(v.number(), v.integer()));
const Failure = v.object({
  name: v.optional(v.string()),
  code: Code,
  message: v.optional(v.string()),
  details: v.optional(v.unknown()),
});
const Event = v.object({ topic: v.string(), event: v.string(), data: v.unknown(), key: v.optional(v.string()) });
/** To `call`: a result, or why there is none; with topics that the session leaves and enters, and events to publish, in this order. */
export const Outcome = v.object({
  result: v.optional(v.unknown()),
  error: v.optional(Failure),
  unsubscribe: Topics,
  subscribe: Topics,
  publish: v.optional(v.pipe(v.array(Event), v.maxLength(100)), []),
});
export type Outcome = v.InferOutput<typeof Outcome>;
export type Failure = v.InferOutput<typeof Failure>;

/** The checked body of a 2xx. Throws BackendError. */
export function bodyOf<S extends v.GenericSchema>(schema: S, answer: Answer): v.InferOutput<S> {
  if (answer.status >= 300) throw new BackendError('wrong', `answered ${answer.status}`);
  return checkedBody(schema, answer);
}

/** The checked body, whatever the status. Throws BackendError. */
export function checkedBody<S extends v.GenericSchema>(schema: S, answer: Answer): v.InferOutput<S> {
  const result = v.safeParse(schema, parsed(answer), { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new BackendError(
    'wrong',
    `answered ${answer.status}, but ${v.getDotPath(issue) ?? 'the body'}: ${messageIn(issue)}`,
  );
}

/** For people, and in a close frame. */
const REASON_LENGTH = 500;

export function reasonOf(reason: string | undefined): string | undefined {
  return reason === undefined ? undefined : shortened(reason, REASON_LENGTH);
}

/**
 * What a client is told when the backend did not answer as it should. A verdict that there is none of
 * may be asked for again, whatever the trouble: nobody is thrown out for it.
 */
export function failureOf(error: unknown, wanted: 'verdict' | 'outcome'): unknown {
  if (!(error instanceof BackendError)) return error;
  if (error.trouble === 'wrong' && wanted === 'outcome') {
    return new RoomwireError('handler_failed', undefined, { cause: error });
  }
  const { retryAfterMs } = error;
  return new RoomwireError('backend_unavailable', undefined, {
    cause: error,
    details: retryAfterMs > 0 ? { retryAfterMs } : undefined,
  });
}
