/**
 * Rooms joined by code, as the PartyAux app has them: members are e-mail addresses from the token, and every real
 * change of who is in a room or hosts it is one `room_info_updated`, written in the transaction of the change.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import {
  type Access,
  checked,
  createServer,
  http,
  json,
  jsonBody,
  lineLog,
  lmdbStore,
  memoryStore,
  type Plugin,
  rooms,
  type RoomsWithin,
  RoomwireError,
  type RouteContext,
  type Session,
  type Transaction,
} from '@roomwire/server';
import { Code, contract, type RoomInfo } from './contract.js';
import { usernames } from './usernames.js';

const { values: options } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '8420' },
    /** Where rooms and members are kept; without it, in memory. */
    data: { type: 'string' },
    /** Ms a member may sleep, and ms until the room gets another host meanwhile. */
    'member-ttl': { type: 'string', default: String(12 * 3_600_000) },
    'host-grace': { type: 'string', default: '60000' },
  },
});
const secret = process.env['JWT_SECRET'] ?? randomBytes(32).toString('hex');

// ---- who ---------------------------------------------------------------------------------------------

const names = usernames(process.env['USERNAMES_URL'], (email, err) =>
  lineLog.warn({ email, err: String(err) }, 'no username; going on with the address'),
);
/** Looks the name up before anyone gets in; it never keeps them out. */
const named: Plugin<'named', undefined> = {
  name: 'named',
  setup(host) {
    host.onArrival(async ({ user }) => ({ ...user, name: await names.of(user.id) }));
    return undefined;
  },
};
/** A code is the invitation; only members see what is in a room, and nobody sees a list of rooms. */
const access: Access = ({ action, isMember, isHost, caller }) => {
  if (action === 'see') return isMember || caller === undefined;
  if (action === 'create') return caller === 'user';
  return action === 'join' || (action === 'kick' && isHost);
};

const server = createServer({
  contract,
  plugins: [
    rooms({
      membership: 'one-per-user',
      memberTtl: Number(options['member-ttl']),
      hostGrace: Number(options['host-grace']),
      access,
    }),
    http({ page: false }),
    named,
  ],
  store: options.data === undefined ? memoryStore() : lmdbStore({ path: options.data }),
  auth: {
    secret,
    user({ email }) {
      if (typeof email !== 'string' || !/^[^\s@]+@[^\s@]+$/.test(email)) throw new Error('the token names no e-mail');
      return { id: email.toLowerCase(), name: email };
    },
  },
  limits: { roomMembers: 200 },
  rates: { calls: { request_room_info: 5, join_room: 5 } },
  log: lineLog,
});
const parties = server.plugins.rooms;

// ---- room info ---------------------------------------------------------------------------------------

const noRoom = (): RoomwireError => new RoomwireError('room_not_found', 'Room not found or access denied');

/** As of the last commit; whatever changes a room replaces it. */
const cache = new Map<string, RoomInfo>();
const CACHED = 10_000;

function infoIn(within: RoomsWithin, code: string): RoomInfo | undefined {
  const room = within.read(code);
  if (room === undefined) return undefined;
  return {
    code,
    host: room.holders.host?.userId ?? null,
    members: room.members.map(({ userId, name }) => ({ email: userId, username: name })),
    member_count: room.memberCount,
  };
}

function keep(info: RoomInfo): RoomInfo {
  if (cache.size >= CACHED) cache.clear();
  cache.set(info.code, info);
  return info;
}

parties.onPeople((tx, code) => {
  const info = infoIn(parties.within(tx), code);
  if (info !== undefined) tx.publish(`room:${code}`, 'room_info_updated', info);
  tx.afterCommit(() => {
    lineLog.info({ code, host: info?.host, members: info?.member_count }, 'room_info_updated');
    if (info === undefined) cache.delete(code);
    else keep(info);
  });
});

/** For members only: others are not told whether there is such a room. */
async function roomInfo(code: string, email: string): Promise<RoomInfo> {
  const info = cache.get(code) ?? (await server.transact((tx) => infoIn(parties.within(tx), code)));
  if (info === undefined || !info.members.some((member) => member.email === email)) throw noRoom();
  return cache.get(code) ?? keep(info);
}

// ---- over the socket ---------------------------------------------------------------------------------

const join = (tx: Transaction, code: string, session: Session): RoomInfo => {
  const within = parties.within(tx);
  if (within.read(code) === undefined) throw noRoom();
  within.join(session, code);
  return infoIn(within, code) as RoomInfo;
};
server.handleAtomic('join_room', (tx, { input, session }) => join(tx, input.code, session), { perSession: true });

server.handleAtomic('leave_room', (tx, { input: { code }, session }) => {
  const within = parties.within(tx);
  if (!within.isMember(code, session.user.id)) throw noRoom();
  return { code, left: within.remove(code, session.user.id) };
});

server.handle('request_room_info', async ({ input: { code }, session }) => {
  const info = await roomInfo(code, session.user.id);
  // For apps that listen for the answer by its name; the reply of the call is the same.
  server.call(session, 'room_info_response', info).catch(() => undefined);
  return info;
});

// ---- over HTTP ---------------------------------------------------------------------------------------

const getRoomInfo = async ({ request, query, caller }: RouteContext) => {
  const { code } = request.method === 'POST' ? jsonBody(request, Code) : checked(Code, Object.fromEntries(query));
  return json(200, await roomInfo(code, caller.user.id));
};

server.plugins.http.routes(
  [
    { method: 'GET', path: '/get-room-info', perSecond: 5, handle: getRoomInfo },
    { method: 'POST', path: '/get-room-info', perSecond: 5, handle: getRoomInfo },
    {
      method: 'POST',
      path: '/refresh-room-info',
      perSecond: 1,
      async handle({ request, caller }) {
        const { code } = jsonBody(request, Code);
        cache.delete(code);
        const info = await roomInfo(code, caller.user.id);
        const { matched } = await server.publish(`room:${code}`, 'room_info_updated', info);
        return json(200, { room_info: info, matched });
      },
    },
    {
      method: 'POST',
      path: '/create-room',
      perSecond: 1,
      async handle({ caller }) {
        const letters = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';
        const code = Array.from({ length: 6 }, () => letters[randomInt(letters.length)]).join('');
        await parties.create(code, { hidden: true }, caller);
        return json(201, { code });
      },
    },
  ],
  {
    refused: ({ status, name, detail }, headers) => {
      if (name === 'unauthenticated' || name === 'token_expired') {
        return json(401, { error: 'Invalid JWT token' }, headers);
      }
      if (name === 'invalid_data') return json(400, { error: detail }, headers);
      return json(status, { error: status === 500 ? 'Internal server error' : detail }, headers);
    },
  },
);

const { url } = await server.listen({ port: Number(options.port), host: options.host });
process.once('SIGTERM', () => void server.close());
console.log(`party-membership on ${url}`);
if (process.env['JWT_SECRET'] === undefined) {
  console.log(`JWT_SECRET is not set. For this run it is ${secret}; sign tokens with a claim "email".`);
}
