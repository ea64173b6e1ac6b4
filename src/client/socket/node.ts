/** `@roomwire/client/socket` for Node, where older versions have no WebSocket of their own. */
import { WebSocket } from 'ws';
import { io as ioWith, type Socket } from './index.js';
import type { DefaultEventsMap, EventsMap, SocketOptions } from './types.js';

export { RoomwireError, Socket } from './index.js';
export type * from './types.js';
export type { CallOptions, EventInfo, RemovedInfo, ResetInfo } from '../types.js';

/** As in browsers; see index.ts. */
export function io<Listens extends EventsMap = DefaultEventsMap, Emits extends EventsMap = Listens>(
  url: string,
  options?: SocketOptions,
): Socket<Listens, Emits> {
  return ioWith(url, { WebSocket: globalThis.WebSocket ?? WebSocket, ...options });
}
