/** What is told of rooms that are not there, or not to be known of: the same, so that nothing is found out by asking. */
import { RoomwireError } from '../protocol/errors.js';

/** One answer for what is not there and for what the user may not know of. */
export function noRoom(roomId: string): RoomwireError {
  return new RoomwireError('room_not_found', `no room '${roomId}'`);
}

/** One answer for every id that cannot be had, whoever has it and whether or not it is seen. */
export function idTaken(): RoomwireError {
  return new RoomwireError('room_exists', 'this id is taken or reserved: choose another');
}
