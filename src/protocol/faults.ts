/**
 * What goes wrong on demand, as one script language: a JSON object a line, such as `{"do":"cut","user":"ann"}`. The same
 * steps drive a server in tests (testing/server.ts), `roomwire serve --test` and the scripted server that checks clients
 * (conform/scripted-server.ts).
 */
import * as v from 'valibot';
import { RoomwireError } from './errors.js';
import { checked } from './validate.js';

const User = v.optional(v.pipe(v.string(), v.minLength(1)));
/** Ms; a year. */
const Ms = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(31_536_000_000));

/** Without `user` a step is for everybody who is connected. */
export const Fault = v.variant('do', [
  /** Connections end without a word, as when a cable is pulled. */
  v.strictObject({ do: v.literal('cut'), user: User }),
  /** Nothing gets through, either way, until `resume`; the connection seems to live. Connections made meanwhile stall, too. */
  v.strictObject({ do: v.literal('stall'), user: User }),
  v.strictObject({ do: v.literal('resume'), user: User }),
  /** Subscribers of the topic are told that they missed events. */
  v.strictObject({ do: v.literal('reset'), topic: v.pipe(v.string(), v.minLength(1)) }),
  /** Sessions end for good, with a reason. */
  v.strictObject({ do: v.literal('kick'), user: User, reason: v.optional(v.pipe(v.string(), v.maxLength(100))) }),
  /** The server stops and comes back on its port. In memory it has forgotten everything. */
  v.strictObject({ do: v.literal('restart') }),
  /** The server's clock is so much later: what was to happen until then happens now. */
  v.strictObject({ do: v.literal('advance'), ms: Ms }),
]);
export type Fault = v.InferOutput<typeof Fault>;

/** Throws RoomwireError (`bad_request`, `invalid_data`) that names the field. */
export function readStep<S extends v.GenericSchema>(schema: S, line: string): v.InferOutput<S> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new RoomwireError('bad_request', 'a step is a JSON object on one line');
  }
  return checked(schema, value);
}
