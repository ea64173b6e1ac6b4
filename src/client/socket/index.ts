/** `@roomwire/client/socket`: a client of Socket.IO's shape. See docs/from-socketio.md for what differs. */
import { Socket } from './socket.js';
import type { DefaultEventsMap, EventsMap, SocketOptions } from './types.js';

export { RoomwireError } from '../../protocol/errors.js';
export { Socket };
export type * from './types.js';
export type { CallOptions, EventInfo, RemovedInfo, ResetInfo } from '../types.js';

/** Connects, unless `autoConnect` is false. Each call has a connection and a session of its own. */
export function io<Listens extends EventsMap = DefaultEventsMap, Emits extends EventsMap = Listens>(
  url = globalThis.location?.origin,
  options?: SocketOptions,
): Socket<Listens, Emits> {
  return new Socket(url, options);
}
