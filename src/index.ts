/** `@roomwire/server`: the server, its stores, the rooms plugin and HTTP. Clients use `@roomwire/client`. */
export { createServer, type ListenOptions, type Server, type ServerOptions } from './server/server.js';
export type * from './server/api.js';
export type { AuthOptions, Claims } from './server/gate/auth.js';
export { lineLog } from './server/watch/line-log.js';
export {
  rooms,
  type Access,
  type AccessQuestion,
  type OpenRoom,
  type RoomAction,
  type RoomDocs,
  type RoomsApi,
  type RoomsOptions,
  type RoomsWithin,
  type WritableRoom,
  type WriteConditions,
} from './rooms/rooms.js';
export { hooks, type HooksApi, type HooksOptions, type HooksStats, type Question } from './hooks/hooks.js';
export { outbox, type OutboxApi, type OutboxOptions, type OutboxStats } from './hooks/outbox.js';
export { policy, type PolicyGrants, type PolicyOptions, type TopicGrants } from './policy/policy.js';
export { http, type HttpOptions } from './http/http.js';
export type { HttpApi, RoutesOptions } from './http/router.js';
export { HttpError, json, type Refused } from './http/problem.js';
export { writeConditions } from './http/write-conditions.js';
export {
  body as jsonBody,
  route,
  type Answer,
  type CheckedContext,
  type Fields,
  type Operation,
  type Route,
  type RouteContext,
} from './http/route.js';
export { memoryStore } from './store/memory.js';
export { lmdbStore, type LmdbOptions } from './store/lmdb.js';
export type { Store } from './store/store.js';
export type { TlsFiles } from './server/transport/tls.js';
export type { Problem } from './protocol/http-answers.js';
export { RoomwireError } from './protocol/errors.js';
export { checked } from './protocol/validate.js';
export { defaultLimits, type Limits } from './protocol/limits.js';
