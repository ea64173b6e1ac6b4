/**
 * A route is an operation (what /openapi.json shows of it) and its handler, roomwire's own or a program's. The
 * schemas of the operation are what each request is checked with before the handler sees it, so that the two cannot drift apart.
 */
import * as v from 'valibot';
import { RoomwireError } from '../protocol/errors.js';
import { checked, requireCarriable, sentenceOf } from '../protocol/validate.js';
import type { Gone, HttpCaller, HttpRequest, HttpResponse } from '../server/api.js';
import { HttpError, json } from './problem.js';

/** Schemas by name; those of the query and the headers take strings. */
export type Fields = v.ObjectEntries;
type Checked<F extends Fields> = v.InferOutput<v.ObjectSchema<F, undefined>>;

export interface Answer {
  readonly description: string;
  /** Of its JSON; without one the body is empty, or of another `type`. */
  readonly schema?: v.GenericSchema;
  readonly type?: string;
  /** Another type that it may have, as text. */
  readonly also?: string;
}

/** An endpoint as a handler that reads the request itself; `route` makes one of an operation. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Such as `/api/rooms/:roomId`. */
  readonly path: string;
  /** A verb and a noun, for generated clients: no other operation's. */
  readonly id?: string;
  readonly summary?: string;
  /** Takes no credentials, and looks at none: `caller` is `nobody`. */
  readonly open?: boolean;
  /** Who may ask: all that are known (default), or holders of an API key and, where there are any, guests. */
  readonly for?: 'admins';
  /** Requests a second of one user, or of one address where that is all one knows; not of API keys. */
  readonly perSecond?: number;
  /** By status. */
  readonly answers?: Readonly<Record<number, Answer>>;
  /** Statuses of problem documents beside those that any operation of its kind has. */
  readonly problems?: readonly number[];
  /** Rejects with HttpError and RoomwireError. */
  handle(context: RouteContext): Promise<HttpResponse>;
}

/** A request whose path fits, and who sent it. */
export interface RouteContext {
  readonly request: HttpRequest;
  /** The path's parts, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly caller: HttpCaller;
  readonly gone: Gone;
}

export interface Operation extends Omit<Route, 'handle'> {
  /** Of the path; wrong ones are refused with 422. */
  readonly params?: Fields;
  /** Wrong ones are refused with 400; unknown ones are not looked at. */
  readonly query?: Fields;
  /** In lower case; wrong ones are refused with 400. */
  readonly headers?: Fields;
  /** JSON, refused with 422 where it does not fit. */
  readonly body?: v.GenericSchema;
  /** An empty body counts as `{}`. */
  readonly bodyOptional?: boolean;
  /** The handler itself looks whether frames can carry what the body holds: part by part. */
  readonly bodyInParts?: boolean;
}

/** A request that fits its operation. */
export interface CheckedContext<P extends Fields, Q extends Fields, H extends Fields, B> {
  readonly request: HttpRequest;
  readonly caller: HttpCaller;
  readonly params: Checked<P>;
  readonly query: Checked<Q>;
  readonly headers: Checked<H>;
  readonly body: B;
  readonly gone: Gone;
}

type None = Record<never, never>;

/** Checks each request by the operation's schemas, then handles it. */
export function route<
  const P extends Fields = None,
  const Q extends Fields = None,
  const H extends Fields = None,
  B extends v.GenericSchema = v.UndefinedSchema<undefined>,
>({
  handle,
  ...operation
}: Operation & {
  readonly params?: P;
  readonly query?: Q;
  readonly headers?: H;
  readonly body?: B;
  readonly handle: (context: CheckedContext<P, Q, H, v.InferOutput<B>>) => Promise<HttpResponse>;
}): Operation & Route {
  const params = v.object(operation.params ?? ({} as P));
  const query = v.object(operation.query ?? ({} as Q));
  const headers = v.object(operation.headers ?? ({} as H));
  const { body, bodyOptional = false, bodyInParts = false } = operation;
  const read = bodyInParts ? jsonOf : carriableJsonOf;
  return {
    ...operation,
    async handle({ request, params: parts, query: asked, caller, gone }) {
      return handle({
        request,
        caller,
        gone,
        params: checked(params, parts),
        query: fitting(query, firstOf(asked)),
        headers: fitting(headers, request.headers),
        body: body === undefined ? undefined : checked(body, objectOf(read(request, bodyOptional))),
      });
    },
  };
}

/** One whose answer is always 200 with JSON. */
export function answering<const P extends Fields = None, const Q extends Fields = None>({
  answer,
  handle,
  ...operation
}: Omit<Operation, 'answers' | 'headers' | 'body'> & {
  readonly params?: P;
  readonly query?: Q;
  readonly answer: Answer;
  readonly handle: (context: CheckedContext<P, Q, None, undefined>) => unknown;
}): Route {
  return route<P, Q>({
    ...operation,
    answers: { 200: answer },
    handle: async (context) => json(200, await handle(context)),
  });
}

/** Guests exist only on loopback without keys, where everyone may do everything. Throws forbidden. */
export function requireAdmin({ kind }: HttpCaller): void {
  if (kind === 'user' || kind === 'nobody') throw new RoomwireError('forbidden', 'this takes an API key');
}

/** A whole number in a query or a header. */
export const WholeNumber = v.pipe(v.string(), v.regex(/^\d{1,15}$/, 'must be a whole number'), v.transform(Number));
export const Switch = v.picklist(['true', 'false']);

/** A schema of nothing but optional fields would take a list. */
function objectOf(value: unknown): unknown {
  if (Array.isArray(value)) throw new RoomwireError('invalid_data', 'the body must be a JSON object');
  return value;
}

/** Query and headers are the request's form, not its content: what is wrong with them is a 400. */
export function fitting<S extends v.GenericSchema>(
  schema: S,
  values: Readonly<Record<string, string>>,
): v.InferOutput<S> {
  const result = v.safeParse(schema, values, { abortPipeEarly: true });
  if (result.success) return result.output;
  throw new HttpError(400, sentenceOf(result.issues[0]));
}

/** Of a name that comes twice the first counts. */
function firstOf(query: URLSearchParams): Record<string, string> {
  const values = Object.create(null) as Record<string, string>;
  for (const [name, value] of query) values[name] ??= value;
  return values;
}

/** Levels of a frame around a body's parts, as in `[EVENTS, …, [event, data]]`. */
const LEVELS_AROUND = 2;

/** The request's JSON body, checked, with text and depth as frames can carry them. `optional`: an empty body counts as `{}`. Throws HttpError and RoomwireError. */
export function body<S extends v.GenericSchema>(
  request: HttpRequest,
  schema: S,
  { optional = false }: { readonly optional?: boolean } = {},
): v.InferOutput<S> {
  return checked(schema, carriableJsonOf(request, optional));
}

/** All of which a frame can carry: text is well formed, levels are few. */
function carriableJsonOf(request: HttpRequest, optional: boolean): unknown {
  const value = jsonOf(request, optional);
  requireCarriable(value, { name: 'body', level: LEVELS_AROUND });
  return value;
}

/** The request's body. `optional`: an empty one counts as `{}`. */
function jsonOf(request: HttpRequest, optional: boolean): unknown {
  if (request.bodyTooLarge) throw new HttpError(413, 'the body is too large');
  if (request.body.length === 0 && optional) return {};
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  // Also what keeps a foreign page's plain form from writing here.
  if (type !== 'application/json') throw new HttpError(415, 'send Content-Type: application/json');
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(request.body));
  } catch {
    throw new HttpError(400, 'the body is not valid JSON');
  }
}
