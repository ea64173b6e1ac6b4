/**
 * Calls that the backend answers: a call named in the config goes there with who calls, and what comes
 * back goes to the client, after the events that the backend wants published with it.
 */
import { errorName, errors, type ErrorName } from '../protocol/codes.js';
import { RoomwireError } from '../protocol/errors.js';
import type { Value } from '../protocol/frames.js';
import type { PluginHost } from '../server/api.js';
import { bodyOf, checkedBody, failureOf, Outcome, reasonOf, type Failure } from './backend-answers.js';
import type { Backend } from './backend.js';
import { plain } from './plain.js';
import { BackendError, type Answer } from './post.js';

/** Registers the handlers. Throws a TypeError for a call that the contract lacks, or that has a handler. */
export function proxyCalls(server: PluginHost, backend: Backend, calls: readonly string[], timeoutMs: number): void {
  for (const call of calls) {
    server.handle(call, async (context) => {
      const { session, key } = context;
      const input: unknown = plain(context.input);
      const { sid, user } = session;
      let outcome: Outcome;
      try {
        outcome = await backend.ask({
          type: 'call',
          body: { call, input, key, user, sid },
          userId: user.id,
          timeoutMs,
          // With a key the answer is kept for the client's own retry.
          isWanted: () => key !== undefined || !context.signal.aborted,
          read: outcomeOf,
        });
      } catch (error) {
        throw failureOf(error, 'outcome');
      }
      await publishAll(server, call, outcome.publish);
      if (outcome.error !== undefined) throw errorOf(outcome.error);
      return outcome.result ?? null;
    });
  }
}

/** A 4xx may say why in the same words; an empty 2xx is a result of nil. Throws BackendError. */
function outcomeOf(answer: Answer): Outcome {
  const { status, body } = answer;
  if (body.length === 0 && status < 300) return { result: null, publish: [] };
  const outcome = status >= 400 && body.length > 0 ? checkedBody(Outcome, answer) : bodyOf(Outcome, answer);
  const isAnswer = outcome.error !== undefined || (status < 300 && 'result' in outcome);
  if (!isAnswer) throw new BackendError('wrong', `answered ${status} with neither result nor error`);
  return outcome;
}

/** In one tick, hence in order and in one commit, as POST /api/publish does. */
async function publishAll(server: PluginHost, call: string, events: Outcome['publish']): Promise<void> {
  const results = await Promise.allSettled(
    events.map(({ topic, event, data, key }) =>
      server.publish(topic, event, data ?? null, key === undefined ? {} : { key }),
    ),
  );
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    server.log.error({ err: result.reason as unknown, call }, 'the backend wants published what cannot be');
    throw new RoomwireError('handler_failed', undefined, { cause: result.reason });
  }
}

function errorOf({ name, code, message, details }: Failure): RoomwireError {
  const options = { details: details as Value | undefined };
  return new RoomwireError(nameOf(name, code), reasonOf(message), options);
}

/** A number that PROTOCOL.md does not have is judged by its class (RW-FRM-8). */
function nameOf(name: string | undefined, code: number | undefined): ErrorName | number {
  if (name !== undefined && Object.hasOwn(errors, name)) return name as ErrorName;
  if (code === undefined || code < 100 || code > 499) return 'handler_failed';
  return errorName(code) ?? code;
}
