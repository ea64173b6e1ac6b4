/**
 * A support desk whose chat lists are never stale: `join_room` has a handler and an answer, and a message that comes in
 * reaches its dashboard and its chat in one commit. Nothing polls.
 */
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { parseArgs } from 'node:util';
import {
  createServer,
  http,
  HttpError,
  json,
  jsonBody,
  lineLog,
  lmdbStore,
  memoryStore,
  RoomwireError,
  type Session,
  type Transaction,
  type User,
} from '@roomwire/server';
import { addMessage, chatOf, history, latest, roomOf, save, stats } from './chats.js';
import { contract, CustomerType, DASHBOARDS, Incoming, type Chat, type Message } from './contract.js';
import { pageRoutes, signInLink } from './page-routes.js';

const { values: options } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '8420' },
    /** Where chats are kept; without it, in memory. */
    data: { type: 'string' },
  },
});
const secret = process.env['JWT_SECRET'] ?? randomBytes(32).toString('hex');
const webhookSecret = process.env['WEBHOOK_SECRET'] ?? randomBytes(32).toString('hex');

/** A customer has one chat; whoever has none is an agent. */
interface Person extends User {
  readonly chat_id?: string;
}
const isAgent = (user: User): boolean => (user as Person).chat_id === undefined;

const server = createServer({
  contract,
  plugins: [http({ page: false })],
  store: options.data === undefined ? memoryStore() : lmdbStore({ path: options.data }),
  auth: {
    secret,
    user({ sub, name, role, chat_id }): Person {
      if (typeof sub !== 'string') throw new Error('no sub');
      const user = { id: sub, name: typeof name === 'string' ? name : sub };
      if (role === 'agent') return user;
      if (typeof chat_id !== 'string') throw new Error('neither an agent nor a customer with a chat_id');
      return { ...user, chat_id };
    },
  },
  policy: { dashboard: { subscribe: ({ session }) => isAgent(session.user) } },
  rates: { calls: { send_message: 10 } },
  log: lineLog,
});

// ---- joining -----------------------------------------------------------------------------------------

const VALID_ROOMS: readonly string[] = Object.values(DASHBOARDS).map(({ room }) => room);
const refused = (message: string) => ({ status: 0, message }) as const;

const joinRoom = (tx: Transaction, room: string, session: Session) => {
  if (!VALID_ROOMS.includes(room)) return refused(`Invalid room: ${room}`);
  if (!isAgent(session.user)) return refused(`Not allowed: ${room}`);
  tx.subscribe(session, room);
  return { status: 1, room } as const;
};
server.handleAtomic(
  'join_room',
  (tx, { input: { room }, session }) => {
    const response = joinRoom(tx, room ?? '', session);
    tx.afterCommit(() => {
      lineLog.info({ user: session.user.id, ...response }, 'join_room');
      server.call(session, 'join_room_response', response).catch(() => undefined);
    });
    return response;
  },
  { perSession: true },
);

/** The chat's messages are those up to the join: what comes after them is an event. */
const joinChat = (tx: Transaction, chatId: string, session: Session, allowed: boolean) => {
  if (!allowed || chatOf(tx, chatId) === undefined) return refused(`Invalid chat: ${chatId}`);
  tx.subscribe(session, roomOf(chatId));
  return { status: 1, room: roomOf(chatId), messages: history(tx, chatId) } as const;
};
server.handleAtomic(
  'join_chat',
  (tx, { input, session }) => joinChat(tx, input.chat_id, session, isAgent(session.user)),
  { perSession: true },
);
server.handleAtomic(
  'join_chat_customer',
  (tx, { input, session }) => joinChat(tx, input.chat_id, session, session.user.chat_id === input.chat_id),
  { perSession: true },
);
server.handleAtomic('leave_chat', (tx, { input: { chat_id }, session }) => {
  entered(tx, chat_id, session);
  tx.unsubscribe(session, roomOf(chat_id));
  return { room: roomOf(chat_id) };
});

// ---- in a chat ---------------------------------------------------------------------------------------

/** Throws for one who has not joined the chat. */
function entered(tx: Transaction, chatId: string, session: Session): Chat {
  const chat = chatOf(tx, chatId);
  if (chat === undefined || !tx.topics(session).includes(roomOf(chatId))) {
    throw new RoomwireError('not_member', `You are not in ${roomOf(chatId)}: join_chat first`);
  }
  return chat;
}
function agentIn(tx: Transaction, chatId: string, session: Session): Chat {
  if (!isAgent(session.user)) throw new RoomwireError('forbidden', 'This is for agents');
  return entered(tx, chatId, session);
}

server.handleAtomic('send_message', (tx, { input: { chat_id, text }, session }) => {
  const chat = entered(tx, chat_id, session);
  const message: Message = {
    message_id: randomUUID(),
    chat_id,
    from: isAgent(session.user) ? 'agent' : 'customer',
    name: session.user.name,
    text,
    sent_at: new Date().toISOString(),
  };
  addMessage(tx, chat, message);
  return message;
});
server.handleAtomic('mark_read', (tx, { input: { chat_id }, session }) => {
  const chat = agentIn(tx, chat_id, session);
  return chat.unread === 0 ? chat : save(tx, chat, { ...chat, unread: 0 });
});
server.handleAtomic('update_tags', (tx, { input: { chat_id, tags }, session }) => {
  const chat = agentIn(tx, chat_id, session);
  tx.publish(roomOf(chat_id), 'tag_updated', { chat_id, tags });
  return save(tx, chat, { ...chat, tags });
});

// ---- over HTTP ---------------------------------------------------------------------------------------

function signed(body: Uint8Array, signature = ''): boolean {
  const wanted = Buffer.from(`sha256=${createHmac('sha256', webhookSecret).update(body).digest('hex')}`);
  const given = Buffer.from(signature);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** A message from outside. WhatsApp sends it again until it is answered: a known one changes nothing. */
function receive(tx: Transaction, { message_id, chat_id, customer_type, name, text }: Incoming) {
  const known = chatOf(tx, chat_id);
  if (known !== undefined && known.customer_type !== customer_type) {
    throw new HttpError(409, `chat ${chat_id} is a ${known.customer_type}'s`);
  }
  const { room } = DASHBOARDS[customer_type];
  const isNew = tx.get('received', message_id) === undefined;
  if (isNew) {
    const sent_at = new Date().toISOString();
    const blank = { last_message: '', last_at: sent_at, unread: 0, tags: [], order: 0 };
    tx.set('received', message_id, true);
    const message = { message_id, chat_id, from: 'customer', name, text, sent_at } as const;
    addMessage(tx, { ...blank, ...known, chat_id, customer_type, name }, message);
  }
  return { status: 1, chat_id, repeated: !isNew, watching: tx.subscribers(room) };
}

server.plugins.http.routes(
  [
    ...(await pageRoutes()),
    {
      method: 'POST',
      path: '/webhook/incoming-message',
      open: true,
      async handle({ request }) {
        if (!signed(request.body, request.headers['x-hub-signature-256']))
          throw new HttpError(401, 'Invalid signature');
        const message = jsonBody(request, Incoming);
        return json(200, await server.transact((tx) => receive(tx, message)));
      },
    },
    {
      method: 'GET',
      path: '/chats',
      async handle({ query, caller }) {
        if (!isAgent(caller.user)) throw new HttpError(403, 'This is for agents');
        const type = query.get('customer_type') as CustomerType;
        if (!CustomerType.options.includes(type))
          throw new HttpError(400, `customer_type: ${CustomerType.options.join(', ')}`);
        const list = (tx: Transaction) => ({ status: 1, chats: latest(tx, type), stats: stats(tx) });
        return json(200, await server.transact(list));
      },
    },
  ],
  {
    refused: ({ status, name, detail }, headers) => {
      const message = name === 'unauthenticated' || name === 'token_expired' ? 'Invalid token' : detail;
      return json(name === 'invalid_data' ? 400 : status, { status: 0, message }, headers);
    },
  },
);

const { url } = await server.listen({ port: Number(options.port), host: options.host });
process.once('SIGTERM', () => void server.close());
console.log(`chat-dashboard on ${url}`);
if (process.env['WEBHOOK_SECRET'] === undefined)
  console.log(`WEBHOOK_SECRET is not set. For this run it is ${webhookSecret}`);
if (process.env['JWT_SECRET'] === undefined) {
  const link = signInLink(url, secret, { sub: 'asha', name: 'Asha', role: 'agent' });
  console.log(`JWT_SECRET is not set: made for this run, with this link to sign in:\n  Asha, agent: ${link}`);
}
