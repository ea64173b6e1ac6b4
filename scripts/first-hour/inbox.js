// The front end, as it was written for Socket.IO; its import is another one.
import { io } from '@roomwire/client/socket';

export function openInbox({ url, token, room, say }) {
  const socket = io(url, { auth: { token } });
  socket.on('connect', () => {
    socket.emit('join_room', { room }, ({ status, message }) =>
      say(status === 1 ? `in ${room}` : `not in: ${message}`),
    );
  });
  socket.on('room_update_customer', ({ chat_id, last_message }) => say(`${chat_id}: ${last_message}`));
}
