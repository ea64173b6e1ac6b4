/**
 * A chat in which a message cannot get lost without a word: a join that is acknowledged is a membership that a
 * broadcast reaches, and every broadcast says whom it did not reach, and why.
 */
import { randomBytes } from 'node:crypto';
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
} from '@roomwire/server';
import * as v from 'valibot';
import { contract, Send, type Broadcast, type Message } from './contract.js';

const { values: options } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '8420' },
    /** Where messages and conversations are kept; without it, in memory. */
    data: { type: 'string' },
  },
});
const secret = process.env['JWT_SECRET'] ?? randomBytes(32).toString('hex');
const apiKey = process.env['API_KEY'] ?? randomBytes(16).toString('hex');

const server = createServer({
  contract,
  plugins: [http({ page: false })],
  store: options.data === undefined ? memoryStore() : lmdbStore({ path: options.data }),
  auth: { secret, apiKeys: [apiKey] },
  log: lineLog,
});

// ---- conversations -----------------------------------------------------------------------------------

/** The one place where a room's name is made. */
const roomOf = (id: string): `conversation:${string}` => `conversation:${id}`;
const CONVERSATIONS = 'conversations';
const Participants = v.object({ participants: v.pipe(v.array(v.pipe(v.string(), v.minLength(1))), v.maxLength(200)) });

/** Throws for a conversation that there is not, or is not this user's. */
function participantsOf(tx: Transaction, id: string, user?: string): readonly string[] {
  const participants = tx.get<string[]>(CONVERSATIONS, id);
  if (participants === undefined) throw new RoomwireError('room_not_found', `Conversation '${id}' does not exist`);
  if (user !== undefined && !participants.includes(user)) {
    throw new RoomwireError('not_member', `You are not a participant of conversation '${id}'`);
  }
  return participants;
}

// ---- over the socket ---------------------------------------------------------------------------------

const join = (tx: Transaction, id: string, session: Session) => {
  participantsOf(tx, id, session.user.id);
  const room = roomOf(id);
  const isNew = !tx.topics(session).includes(room);
  // In the transaction of the reply: who has the ack is in the room, before the next message.
  tx.subscribe(session, room);
  const members = tx.subscribers(room) + (isNew ? 1 : 0);
  const { sid, user } = session;
  tx.afterCommit(() => lineLog.info({ room, sid, user: user.id, members }, '[join_conversation] joined'));
  return { room, sid, members_in_room: members, offset: tx.position(room)[1] };
};
server.handleAtomic('join_conversation', (tx, { input, session }) => join(tx, input.conversation_id, session), {
  perSession: true,
});

server.handleAtomic('leave_conversation', (tx, { input: { conversation_id: id }, session }) => {
  const room = roomOf(id);
  if (!tx.topics(session).includes(room)) throw new RoomwireError('not_subscribed', `You are not in '${room}'`);
  tx.unsubscribe(session, room);
  return { room };
});

server.handle('send_message', async ({ input: { conversation_id: id, text }, session }) => {
  await server.transact((tx) => participantsOf(tx, id, session.user.id));
  return broadcastNewMessage(id, { sender: session.user.id, text });
});

// ---- the broadcast -----------------------------------------------------------------------------------

const ARRIVED: readonly string[] = ['written', 'handled'];

async function broadcastNewMessage(id: string, { sender, text }: Pick<Message, 'sender' | 'text'>): Promise<Broadcast> {
  const room = roomOf(id);
  const participants = await server.transact((tx) => participantsOf(tx, id));
  const message = { conversation_id: id, sender, text, sent_at: new Date().toISOString() };
  const { offset, matched } = await server.publish(room, 'new_message', message);
  const verdicts = await Promise.all(
    participants.map(async (user) => {
      const { verdict, sentence } = await server.why(room, offset, user);
      return { user, verdict, why: sentence };
    }),
  );
  const missed = verdicts.filter(({ user, verdict }) => user !== sender && !ARRIVED.includes(verdict));
  lineLog.info({ room, offset, matched, missed }, '[broadcast_new_message]');
  return { room, offset, matched, missed };
}

// ---- for the backend, over HTTP ----------------------------------------------------------------------

server.plugins.http.routes([
  {
    method: 'PUT',
    path: '/conversations/:id',
    async handle({ request, params, caller }) {
      if (caller.kind !== 'key') throw new RoomwireError('forbidden', 'this takes the API key');
      const id = params['id'] as string;
      if (!/^[\w-]{1,64}$/.test(id)) throw new HttpError(400, 'an id has letters, digits, - and _');
      const { participants } = jsonBody(request, Participants);
      await server.transact((tx) => {
        const before = tx.get<string[]>(CONVERSATIONS, id) ?? [];
        tx.set(CONVERSATIONS, id, participants);
        for (const user of before.filter((one) => !participants.includes(one))) {
          for (const session of server.sessionsOf(user)) {
            tx.unsubscribe(session, roomOf(id), { code: 'forbidden', reason: 'no longer a participant' });
          }
        }
      });
      return json(200, { room: roomOf(id), participants });
    },
  },
  {
    method: 'POST',
    path: '/conversations/:id/messages',
    async handle({ request, params, caller }) {
      const id = params['id'] as string;
      const { text, sender } = jsonBody(request, Send);
      const user = caller.kind === 'key' ? undefined : caller.user.id;
      await server.transact((tx) => participantsOf(tx, id, user));
      return json(200, await broadcastNewMessage(id, { sender: user ?? sender ?? 'backend', text }));
    },
  },
]);

const { url } = await server.listen({ port: Number(options.port), host: options.host });
process.once('SIGTERM', () => void server.close());
console.log(`tms-chat on ${url}`);
if (process.env['JWT_SECRET'] === undefined) console.log(`JWT_SECRET is not set. For this run it is ${secret}`);
if (process.env['API_KEY'] === undefined) console.log(`API_KEY is not set. For this run it is ${apiKey}`);
