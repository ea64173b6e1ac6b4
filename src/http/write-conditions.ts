/** The headers a write to a room is made under, read the same way by roomwire's endpoints and a program's own. */
import * as v from 'valibot';
import type { WriteConditions } from '../rooms/rooms.js';
import type { HttpRequest } from '../server/api.js';
import { TagList, versionsIn } from './etag.js';
import { LockToken } from './lock-routes.js';
import { fitting } from './route.js';

export const ConditionHeaders = {
  'if-match': v.optional(v.pipe(TagList, v.description('only if the room is at the version of one of these ETags'))),
  'lock-token': LockToken,
  'lock-target': v.optional(v.pipe(v.string(), v.description('which lock it is; default trajectory:meta'))),
};
const Headers = v.object(ConditionHeaders);

/** `Lock-Token` (with `Lock-Target` for another than the metadata's) and `If-Match`. */
export function conditionsIn(headers: v.InferOutput<typeof Headers>): WriteConditions {
  const { 'if-match': match, 'lock-token': token, 'lock-target': target } = headers;
  return {
    ifVersion: match === undefined ? undefined : versionsIn(match),
    lock: token === undefined ? undefined : { token, target },
  };
}

/** For `rooms.write` in an endpoint of one's own: what is written is guarded by the lock on `target`. Throws HttpError 400. */
export function writeConditions(request: HttpRequest, target?: string): WriteConditions {
  const headers = fitting(Headers, request.headers);
  return { ...conditionsIn(headers), lock: { target, token: headers['lock-token'] } };
}
