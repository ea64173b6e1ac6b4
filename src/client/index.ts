/** `@roomwire/client` for browsers and other places with a global WebSocket. */
export { connect } from './connect.js';
export { EncodeError } from '../protocol/encode-error.js';
export { RoomwireError } from '../protocol/errors.js';
export type { Position, Value } from '../protocol/frames.js';
export type { LockInfo, Member, RoomFields, RoomMetadata } from '../protocol/rooms-model.js';
export type * from './types.js';
