/** The backends that the frozen clients were written for: Socket.IO servers with the handlers of the two systems, in memory. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, type Socket } from 'socket.io';

interface Test {
  teardown(fn: () => unknown): void;
}
type Ack = ((answer: unknown) => void) | undefined;

async function serve(t: Test, onConnection: (io: Server, socket: Socket) => void) {
  const http = createServer();
  const io = new Server(http, { transports: ['websocket'], serveClient: false });
  io.use((socket, next) => next(socket.handshake.auth['token'] ? undefined : new Error('unauthorized')));
  io.on('connection', (socket) => onConnection(io, socket));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(() => io.close());
  return { io, url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` };
}

const VALID_ROOMS = ['PartnerApp', 'CustomerApp', 'VendorApp', 'SRDPApp'];

/** The support desk, with the handler that it lacked. */
export async function chatReference(t: Test) {
  const chats = new Map<string, { chat_id: string; last_message: string; unread: number; tags: string[] }>();
  let sent = 0;
  const { io, url } = await serve(t, (io, socket) => {
    const update = (chat_id: string) => {
      io.to('CustomerApp').emit('room_update_customer', chats.get(chat_id));
      return chats.get(chat_id);
    };
    socket.on('join_room', async ({ room }: { room: string }, ack: Ack) => {
      const isValid = VALID_ROOMS.includes(room);
      if (isValid) await socket.join(room);
      const response = isValid ? { status: 1, room } : { status: 0, message: `Invalid room: ${room}` };
      socket.emit('join_room_response', response);
      ack?.(response);
    });
    socket.on('join_chat', async ({ chat_id }: { chat_id: string }, ack: Ack) => {
      await socket.join(`chat_${chat_id}`);
      ack?.({ status: 1, room: `chat_${chat_id}` });
    });
    socket.on('send_message', ({ chat_id, text }: { chat_id: string; text: string }, ack: Ack) => {
      const message = { message_id: `m${++sent}`, chat_id, text };
      Object.assign(chats.get(chat_id) as object, { last_message: text });
      io.to(`chat_${chat_id}`).emit('new_message', message);
      update(chat_id);
      ack?.(message);
    });
    socket.on('mark_read', ({ chat_id }: { chat_id: string }, ack: Ack) => {
      Object.assign(chats.get(chat_id) as object, { unread: 0 });
      ack?.(update(chat_id));
    });
    socket.on('update_tags', ({ chat_id, tags }: { chat_id: string; tags: string[] }, ack: Ack) => {
      Object.assign(chats.get(chat_id) as object, { tags });
      io.to(`chat_${chat_id}`).emit('tag_updated', { chat_id, tags });
      ack?.(update(chat_id));
    });
  });
  return {
    url,
    token: 'asha',
    /** What the customer's phone sent. */
    async incoming(chat_id: string, text: string): Promise<void> {
      const { unread = 0, tags = [] } = chats.get(chat_id) ?? {};
      chats.set(chat_id, { chat_id, last_message: text, unread: unread + 1, tags });
      io.to('CustomerApp').emit('room_update_customer', chats.get(chat_id));
    },
  };
}

/** The rooms of the trajectory viewer: `emit_room_update` to the overview and to the room. */
export async function roomsReference(t: Test) {
  const { io, url } = await serve(t, (_io, socket) => {
    socket.on('join:overview', () => socket.join('overview:public'));
    socket.on('leave:overview', () => socket.leave('overview:public'));
    socket.on('join:room', async ({ roomId }: { roomId: string }) => {
      await socket.leave('overview:public');
      await socket.join(`room:${roomId}`);
    });
    socket.on('leave:room', ({ roomId }: { roomId: string }) => socket.leave(`room:${roomId}`));
  });
  const tell = (event: string, roomId: string, changes: object): void => {
    for (const room of ['overview:public', `room:${roomId}`]) io.to(room).emit(event, { roomId, ...changes });
  };
  return {
    url,
    token: async (_name: string): Promise<string> => 'ann',
    async create(roomId: string, description: string): Promise<void> {
      tell('room:update', roomId, { created: true, description, frameCount: 0, locked: false });
    },
    async change(roomId: string, changes: object): Promise<void> {
      tell('room:update', roomId, changes);
    },
    async remove(roomId: string): Promise<void> {
      tell('room:delete', roomId, {});
    },
  };
}
