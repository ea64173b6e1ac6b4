/** REST for the locks of a room. A lock taken here belongs to no session: only its lease ends it. */
import * as v from 'valibot';
import { Lease, LockInfo, LockTarget, RoomId } from '../protocol/rooms-contract.js';
import type { RoomsApi } from '../rooms/rooms.js';
import type { HttpResponse } from '../server/api.js';
import { HttpError, json } from './problem.js';
import { answering, route, Switch, type Route } from './route.js';

const Ttl = v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(Number.MAX_SAFE_INTEGER)));
const Msg = v.optional(v.nullable(v.pipe(v.string(), v.maxLength(500))));
const Token = v.optional(v.pipe(v.number(), v.integer()));
export const LockToken = v.optional(
  v.pipe(v.string(), v.regex(/^\d{1,16}$/, 'is a whole number'), v.transform(Number)),
);
const Nothing: HttpResponse = { status: 204, headers: {}, body: '' };
const lock = { roomId: RoomId, target: LockTarget };

export function lockRoutes({ locks }: RoomsApi): Route[] {
  return [
    answering({
      method: 'GET',
      path: '/api/rooms/:roomId/locks',
      id: 'listLocks',
      summary: 'The locks of a room.',
      params: { roomId: RoomId },
      answer: { description: 'all of them, without their tokens', schema: v.object({ locks: v.array(LockInfo) }) },
      problems: [404],
      handle: async ({ params, caller }) => ({ locks: await locks.list(params.roomId, caller) }),
    }),
    route({
      method: 'POST',
      path: '/api/rooms/:roomId/locks/:target',
      id: 'acquireLock',
      summary: 'Takes a lock.',
      params: lock,
      body: v.strictObject({ ttl: Ttl, msg: Msg }),
      bodyOptional: true,
      answers: { 201: { description: 'a lease with its token', schema: Lease } },
      problems: [404, 423],
      handle: async ({ params, body, caller }) => json(201, await locks.acquire({ ...params, ...body }, caller)),
    }),
    route({
      method: 'PATCH',
      path: '/api/rooms/:roomId/locks/:target',
      id: 'refreshLock',
      summary: 'Begins a new lease on a lock that is held.',
      params: lock,
      headers: { 'lock-token': LockToken },
      body: v.strictObject({ token: Token, ttl: Ttl, msg: Msg }),
      bodyOptional: true,
      answers: { 200: { description: 'the new lease', schema: Lease } },
      problems: [404, 409],
      async handle({ params, headers, body: { token: inBody, ...wanted }, caller }) {
        const token = needed(headers['lock-token'] ?? inBody);
        return json(200, await locks.refresh({ ...params, ...wanted, token }, caller));
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/rooms/:roomId/locks/:target',
      id: 'releaseLock',
      summary: 'Releases a lock.',
      params: lock,
      query: { force: v.optional(v.pipe(Switch, v.description('whatever its token, where the caller may'))) },
      headers: { 'lock-token': LockToken },
      answers: { 204: { description: 'it is free' } },
      problems: [404, 409],
      async handle({ params: { roomId, target }, query, headers, caller }) {
        if (query.force === 'true') await locks.forceRelease(roomId, target, caller);
        else await locks.release({ roomId, target, token: needed(headers['lock-token']) }, caller);
        return Nothing;
      },
    }),
  ];
}

function needed(token: number | undefined): number {
  if (token === undefined) throw new HttpError(400, "send the lock's token in the header Lock-Token");
  return token;
}
