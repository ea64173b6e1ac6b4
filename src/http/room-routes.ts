/** REST for rooms: the same model and rules as the socket's calls (docs/http.md). */
import * as v from 'valibot';
import { LockTarget, RoomFields, RoomId } from '../protocol/rooms-contract.js';
import type { RoomsApi, WriteConditions } from '../rooms/rooms.js';
import type { HttpRequest, HttpResponse } from '../server/api.js';
import { HttpError, json } from './problem.js';
import { checked } from '../protocol/validate.js';
import { body, queryNumber, type Route, type RouteContext } from './router.js';

const Ttl = v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(Number.MAX_SAFE_INTEGER)));
const Msg = v.optional(v.nullable(v.pipe(v.string(), v.maxLength(500))));
const Token = v.optional(v.pipe(v.number(), v.integer()));
const Nothing: HttpResponse = { status: 204, headers: {}, body: '' };

export function roomRoutes(rooms: RoomsApi): Route[] {
  const fields = v.strictObject({
    ...RoomFields.entries,
    ...v.partial(v.object(rooms.options.metadata ?? {})).entries,
  });
  const roomId = ({ params }: RouteContext): string => checked(RoomId, params['roomId']);
  const target = ({ params }: RouteContext): string => checked(LockTarget, params['target']);
  const withEtag = (status: number, room: { readonly version: number }, more: object = {}): HttpResponse =>
    json(status, { room, ...more }, { etag: `"${room.version}"` });

  return [
    {
      method: 'GET',
      path: '/api/rooms',
      async handle({ query, caller }) {
        const page = await rooms.list(
          {
            after: query.get('cursor') ?? undefined,
            limit: queryNumber(query, 'limit'),
            group: query.get('group') ?? undefined,
            hidden: query.get('hidden') === 'true',
            search: query.get('search') ?? undefined,
          },
          caller,
        );
        return json(200, page);
      },
    },
    {
      method: 'GET',
      path: '/api/rooms/:roomId',
      async handle(context) {
        const { metadata, positions, memberCount, holders } = await rooms.snapshot(roomId(context), context.caller);
        const etag = `"${metadata.version}"`;
        if (context.request.headers['if-none-match'] === etag) return { status: 304, headers: { etag }, body: '' };
        return withEtag(200, metadata, { memberCount, holders, positions });
      },
    },
    {
      method: 'POST',
      path: '/api/rooms/:roomId',
      async handle(context) {
        const wanted = body(context.request, fields, { optional: true });
        const id = roomId(context);
        const room = await rooms.create(id, wanted, context.caller);
        const response = withEtag(201, room);
        return { ...response, headers: { ...response.headers, location: `/api/rooms/${encodeURIComponent(id)}` } };
      },
    },
    {
      method: 'PATCH',
      path: '/api/rooms/:roomId',
      async handle(context) {
        const changes = body(context.request, fields);
        const room = await rooms.update(roomId(context), changes, conditions(context.request), context.caller);
        return withEtag(200, room);
      },
    },
    {
      method: 'DELETE',
      path: '/api/rooms/:roomId',
      async handle(context) {
        await rooms.delete(roomId(context), conditions(context.request), context.caller);
        return Nothing;
      },
    },
    {
      method: 'GET',
      path: '/api/default-room',
      async handle() {
        return json(200, { roomId: await rooms.defaultRoom() });
      },
    },
    {
      method: 'PUT',
      path: '/api/default-room',
      async handle({ request, caller }) {
        const wanted = body(request, v.strictObject({ roomId: v.nullable(RoomId) }));
        await rooms.setDefault(wanted.roomId, caller);
        return json(200, wanted);
      },
    },
    {
      method: 'GET',
      path: '/api/rooms/:roomId/members',
      async handle(context) {
        return json(200, await rooms.members(roomId(context), queryNumber(context.query, 'cursor'), context.caller));
      },
    },
    {
      method: 'DELETE',
      path: '/api/rooms/:roomId/members/:userId',
      async handle(context) {
        const kicked = await rooms.kick(roomId(context), context.params['userId'] as string, context.caller);
        if (!kicked) throw new HttpError(404, 'no such member in this room');
        return Nothing;
      },
    },
    {
      method: 'GET',
      path: '/api/rooms/:roomId/locks',
      async handle(context) {
        return json(200, { locks: await rooms.locks.list(roomId(context), context.caller) });
      },
    },
    {
      method: 'POST',
      path: '/api/rooms/:roomId/locks/:target',
      async handle(context) {
        const wanted = body(context.request, v.strictObject({ ttl: Ttl, msg: Msg }), { optional: true });
        const request = { roomId: roomId(context), target: target(context), ...wanted };
        return json(201, await rooms.locks.acquire(request, context.caller));
      },
    },
    {
      method: 'PATCH',
      path: '/api/rooms/:roomId/locks/:target',
      async handle(context) {
        const { token, ...wanted } = body(context.request, v.strictObject({ token: Token, ttl: Ttl, msg: Msg }), {
          optional: true,
        });
        const request = {
          roomId: roomId(context),
          target: target(context),
          token: needToken(context.request, token),
          ...wanted,
        };
        return json(200, await rooms.locks.refresh(request, context.caller));
      },
    },
    {
      method: 'DELETE',
      path: '/api/rooms/:roomId/locks/:target',
      async handle(context) {
        if (context.query.get('force') === 'true') {
          await rooms.locks.forceRelease(roomId(context), target(context), context.caller);
          return Nothing;
        }
        const request = { roomId: roomId(context), target: target(context), token: needToken(context.request) };
        await rooms.locks.release(request, context.caller);
        return Nothing;
      },
    },
  ];
}

/** `Lock-Token` (with `Lock-Target` for another than the metadata's) and `If-Match`. */
function conditions({ headers }: HttpRequest): WriteConditions {
  const token = tokenIn(headers['lock-token']);
  const match = headers['if-match'];
  const version = match === undefined || match === '*' ? undefined : /^"(\d{1,16})"$/.exec(match)?.[1];
  if (match !== undefined && match !== '*' && version === undefined) {
    throw new HttpError(400, 'If-Match takes one ETag, such as "17"');
  }
  return {
    ifVersion: version === undefined ? undefined : Number(version),
    lock: token === undefined ? undefined : { token, target: headers['lock-target'] },
  };
}

function tokenIn(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,16}$/.test(text)) throw new HttpError(400, 'Lock-Token is a whole number');
  return Number(text);
}

function needToken({ headers }: HttpRequest, inBody?: number): number {
  const token = tokenIn(headers['lock-token']) ?? inBody;
  if (token === undefined) throw new HttpError(400, "send the lock's token in the header Lock-Token");
  return token;
}
