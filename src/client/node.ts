/** `@roomwire/client` for Node, where older versions have no WebSocket of their own. */
import { WebSocket } from 'ws';
import type { Shaped, ShapeOf } from '../protocol/shape.js';
import { connect as connectWith } from './connect.js';
import type { Client, ConnectOptions } from './types.js';

export { EncodeError } from '../protocol/encode-error.js';
export { RoomwireError } from '../protocol/errors.js';
export type { Position, Value } from '../protocol/frames.js';
export type { LockInfo, Member, RoomFields, RoomMetadata } from '../protocol/rooms-model.js';
export type * from './types.js';

/** As in browsers; see connect.ts. */
export function connect<C extends Shaped = Shaped>(url: string, options?: ConnectOptions): Client<ShapeOf<C>> {
  return connectWith<C>(url, { WebSocket: globalThis.WebSocket ?? WebSocket, ...options });
}
