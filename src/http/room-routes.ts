/** REST for rooms: the same model and rules as the socket's calls (docs/http.md). */
import * as v from 'valibot';
import {
  Holders,
  Lease,
  LockInfo,
  Member,
  TopicPositions,
  RoomFields,
  RoomId,
  RoomMetadata,
} from '../protocol/rooms-contract.js';
import type { RoomsApi } from '../rooms/rooms.js';
import type { HttpResponse } from '../server/api.js';
import { ConditionHeaders, conditionsIn } from './write-conditions.js';
import { isIn, roomTag, tagsIn, versionTag } from './etag.js';
import { lockRoutes } from './lock-routes.js';
import { HttpError, json } from './problem.js';
import { answering, route, Switch, WholeNumber, type Answer, type Route } from './route.js';

const Nothing: HttpResponse = { status: 204, headers: {}, body: '' };
const room = { roomId: RoomId };
const Text = v.optional(v.string());
const DefaultRoom = v.strictObject({ roomId: v.nullable(RoomId) });
const WRITES = [404, 409, 412, 423];

/** `names`: what its answers are made of, for /openapi.json. */
export function roomRoutes(rooms: RoomsApi): {
  readonly routes: readonly Route[];
  readonly names: Readonly<Record<string, v.GenericSchema>>;
} {
  const own = v.object(rooms.options.metadata ?? {}).entries;
  const fields = v.strictObject({ ...RoomFields.entries, ...v.partial(v.object(own)).entries });
  const Room = v.object({ ...RoomMetadata.entries, ...own });
  const OneRoom = v.object({ room: Room });
  const withEtag = (status: number, metadata: { readonly version: number }): HttpResponse =>
    json(status, { room: metadata }, { etag: versionTag(metadata) });
  const none: Answer = { description: 'done' };

  const routes = [
    answering({
      method: 'GET',
      path: '/api/rooms',
      id: 'listRooms',
      summary: 'A page of rooms, ordered by id.',
      query: { cursor: Text, limit: v.optional(WholeNumber), group: Text, hidden: v.optional(Switch), search: Text },
      answer: {
        description: 'a page; `next` is the cursor of the next one',
        schema: v.object({ rooms: v.array(Room), next: v.nullable(v.string()), positions: TopicPositions }),
      },
      handle: ({ query: { cursor, hidden, ...query }, caller }) =>
        rooms.list({ ...query, after: cursor, hidden: hidden === 'true' }, caller),
    }),
    route({
      method: 'GET',
      path: '/api/rooms/:roomId',
      id: 'getRoom',
      summary: 'A room with its holders.',
      params: room,
      headers: { 'if-none-match': Text },
      answers: {
        200: {
          description: 'the room; ETag stands for all of it',
          schema: v.object({ room: Room, memberCount: v.number(), holders: Holders, positions: TopicPositions }),
        },
        304: { description: 'it is still as one of the ETags in If-None-Match says' },
      },
      problems: [404],
      async handle({ params: { roomId }, headers, caller }) {
        const snapshot = await rooms.snapshot(roomId, caller);
        const { metadata, positions, memberCount, holders } = snapshot;
        const etag = roomTag(snapshot);
        const known = headers['if-none-match'];
        if (known !== undefined && isIn(tagsIn(known), etag)) {
          return { status: 304, headers: { etag, 'cache-control': 'no-store' }, body: '' };
        }
        return json(200, { room: metadata, memberCount, holders, positions }, { etag });
      },
    }),
    route({
      method: 'POST',
      path: '/api/rooms/:roomId',
      id: 'createRoom',
      summary: 'Creates a room.',
      params: room,
      body: fields,
      bodyOptional: true,
      answers: { 201: { description: 'the new room', schema: OneRoom } },
      problems: [409],
      async handle({ params: { roomId }, body, caller }) {
        const made = withEtag(201, await rooms.create(roomId, body, caller));
        return { ...made, headers: { ...made.headers, location: `/api/rooms/${encodeURIComponent(roomId)}` } };
      },
    }),
    route({
      method: 'PATCH',
      path: '/api/rooms/:roomId',
      id: 'updateRoom',
      summary: 'Changes the given fields; what does not really change is not told.',
      params: room,
      headers: ConditionHeaders,
      body: fields,
      answers: { 200: { description: 'the room as it is now', schema: OneRoom } },
      problems: WRITES,
      async handle({ params, headers, body, caller }) {
        return withEtag(200, await rooms.update(params.roomId, body, conditionsIn(headers), caller));
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/rooms/:roomId',
      id: 'deleteRoom',
      summary: 'Deletes a room; everybody in it is told and removed.',
      params: room,
      headers: ConditionHeaders,
      answers: { 204: none },
      problems: WRITES,
      async handle({ params, headers, caller }) {
        await rooms.delete(params.roomId, conditionsIn(headers), caller);
        return Nothing;
      },
    }),
    answering({
      method: 'GET',
      path: '/api/default-room',
      id: 'getDefaultRoom',
      summary: 'The default room, null for none or one that the asker may not see.',
      answer: { description: 'its id', schema: DefaultRoom },
      handle: async ({ caller }) => ({ roomId: await rooms.defaultRoom(caller) }),
    }),
    route({
      method: 'PUT',
      path: '/api/default-room',
      id: 'setDefaultRoom',
      summary: 'Makes a room the default one; null: none.',
      body: DefaultRoom,
      answers: { 200: { description: 'as asked', schema: DefaultRoom } },
      problems: [404],
      async handle({ body, caller }) {
        await rooms.setDefault(body.roomId, caller);
        return json(200, body);
      },
    }),
    answering({
      method: 'GET',
      path: '/api/rooms/:roomId/members',
      id: 'listMembers',
      summary: 'A page of members in joining order.',
      params: room,
      query: { cursor: v.optional(WholeNumber) },
      answer: {
        description: 'a page; `next` is the cursor of the next one',
        schema: v.object({
          members: v.array(Member),
          memberCount: v.number(),
          next: v.nullable(v.string()),
          positions: TopicPositions,
        }),
      },
      problems: [404],
      handle: ({ params, query, caller }) => rooms.members(params.roomId, query.cursor, caller),
    }),
    route({
      method: 'DELETE',
      path: '/api/rooms/:roomId/members/:userId',
      id: 'kickMember',
      summary: 'Removes a user, with all sessions, from a room.',
      params: { ...room, userId: v.string() },
      answers: { 204: none },
      problems: [404],
      async handle({ params: { roomId, userId }, caller }) {
        if (!(await rooms.kick(roomId, userId, caller))) throw new HttpError(404, 'no such member in this room');
        return Nothing;
      },
    }),
    ...lockRoutes(rooms),
  ];
  return { routes, names: { Room, Member, Holders, Lease, LockInfo } };
}
