/** The chat of a room: members write, authors edit, the server keeps it. Who joins late reads the latest over HTTP. */
import { checked, json, RoomwireError } from '@roomwire/server';
import * as v from 'valibot';
import type { ChatMessage } from './contract.js';
import type { App } from './server.js';

const TABLE = 'chat';
/** Messages of one answer. */
const PAGE = 50;

const Before = v.object({
  before: v.optional(v.pipe(v.string(), v.regex(/^\d{1,16}$/, 'before is the id of a message'))),
});

/** The newest first: ids grow, so their complement is the key. */
const keyOf = (id: string): string => String(Number.MAX_SAFE_INTEGER - Number(id)).padStart(16, '0');

export function chat(server: App): void {
  const { rooms, http } = server.plugins;

  server.handleAtomic('chat:message:create', (tx, { input: { roomId, content }, session }) => {
    const room = rooms.within(tx).inside(session, roomId);
    const { id, name } = session.user;
    const version = tx.nextVersion();
    const message: ChatMessage = {
      id: String(version),
      roomId,
      author: { id, name },
      content,
      createdAt: tx.now,
      updatedAt: tx.now,
      isEdited: false,
      version,
    };
    room.docs.set(TABLE, keyOf(message.id), message);
    room.publish('chat:message:new', message);
    return message;
  });

  server.handleAtomic('chat:message:edit', (tx, { input: { roomId, messageId, content }, session }) => {
    const { docs, publish } = rooms.within(tx).inside(session, roomId);
    const before = docs.get<ChatMessage>(TABLE, keyOf(messageId));
    if (before === undefined) throw new RoomwireError('invalid_data', `there is no message ${messageId}`);
    if (before.author.id !== session.user.id)
      throw new RoomwireError('forbidden', 'only its author may edit a message');
    if (before.content === content) return before;
    const message: ChatMessage = { ...before, content, updatedAt: tx.now, isEdited: true, version: tx.nextVersion() };
    docs.set(TABLE, keyOf(messageId), message);
    publish('chat:message:updated', message);
    return message;
  });

  http.routes([
    {
      method: 'GET',
      path: '/api/rooms/:roomId/chat/messages',
      async handle({ params, query, caller }) {
        const { before } = checked(Before, Object.fromEntries(query));
        const range = { limit: PAGE, ...(before === undefined ? {} : { after: keyOf(before) }) };
        const latest = await rooms.read(
          params['roomId'] as string,
          ({ docs }) => docs.list<ChatMessage>(TABLE, range).map(([, message]) => message),
          caller,
        );
        return json(200, { messages: latest.reverse(), hasMore: latest.length === PAGE });
      },
    },
  ]);
}
