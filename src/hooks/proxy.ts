/**
 * Calls that the backend answers: a call named in the config goes there with who calls, and what comes back goes to the
 * client. What the backend says to do with it (topics that the session leaves and enters, events) is one transaction with
 * the answer: who has it is in.
 */
import { errorName, errors, type ErrorName } from '../protocol/codes.js';
import { RoomwireError } from '../protocol/errors.js';
import type { Value } from '../protocol/frames.js';
import type { PluginHost, Transaction } from '../server/api.js';
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
      const { unsubscribe, subscribe, result = null, error } = outcome;
      // All is looked at before anything is done. What is wrong is the backend's mistake: logged once, and the call's failure.
      const events = outcome.publish.map((event, i) => prepared(server, event, `publish[${i}]`));
      const append = (tx: Transaction): void => {
        for (const event of events) event(tx);
      };
      if (error !== undefined) {
        if (events.length > 0) await server.transact(append);
        throw errorOf(error);
      }
      const work = (tx: Transaction): unknown => {
        append(tx);
        return result;
      };
      return context.finish({ unsubscribe, subscribe, work });
    });
  }
}

/** A 4xx may say why in the same words; an empty 2xx is a result of nil. Throws BackendError. */
function outcomeOf(answer: Answer): Outcome {
  const { status, body } = answer;
  if (body.length === 0 && status < 300) return { result: null, unsubscribe: [], subscribe: [], publish: [] };
  const outcome = status >= 400 && body.length > 0 ? checkedBody(Outcome, answer) : bodyOf(Outcome, answer);
  const isAnswer = outcome.error !== undefined || (status < 300 && 'result' in outcome);
  if (!isAnswer) throw new BackendError('wrong', `answered ${status} with neither result nor error`);
  // A refusal means that nothing took effect for who is refused (RW-FRM-9).
  if (outcome.error !== undefined && outcome.subscribe.length + outcome.unsubscribe.length > 0) {
    throw new BackendError('wrong', `answered ${status} with an error, but also with subscribe or unsubscribe`);
  }
  return outcome;
}

type Event = Outcome['publish'][number];

/** Throws BackendError, also in the transaction: a key may have been used for something else. */
function prepared(server: PluginHost, { topic, event, data, key }: Event, field: string): (tx: Transaction) => void {
  const wrong = (error: unknown): BackendError =>
    new BackendError('wrong', `answered what cannot be published: ${field}: ${(error as Error).message}`, {
      cause: error,
    });
  try {
    const append = server.prepare(topic, event, data ?? null, key === undefined ? {} : { key });
    return (tx) => {
      try {
        append(tx);
      } catch (error) {
        throw error instanceof RoomwireError ? wrong(error) : error;
      }
    };
  } catch (error) {
    throw wrong(error);
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
