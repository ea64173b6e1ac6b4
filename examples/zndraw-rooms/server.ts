/**
 * Rooms in which people look at one trajectory together, as ZnDraw has them: one socket a page, a lock for whoever
 * uploads, a presenter whose frame all see. The room model is the rooms plugin's; frames, chat, what pages cache, and
 * the job queue are a file each.
 */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type Access, createServer, http, lineLog, lmdbStore, memoryStore, rooms } from '@roomwire/server';
import { chat } from './chat.js';
import { contract } from './contract.js';
import { frames } from './frames.js';
import { jobs } from './jobs.js';
import { login } from './login.js';
import { site } from './site.js';
import { views } from './views.js';

const { values: options } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '8420' },
    /** Where rooms and frames are kept; without it, in memory. */
    data: { type: 'string' },
  },
});
const secret = process.env['JWT_SECRET'] ?? randomBytes(32).toString('hex');
const log = { ...lineLog, info() {} };

/** A small team: who is signed in may do everything, scripts that are in no room too, but take from others what they hold. */
const access: Access = ({ action, isHost }) => isHost || (action !== 'force-release' && action !== 'kick');

function createApp() {
  const server = createServer({
    contract,
    // frameCount is counted, never set.
    plugins: [rooms({ access, derived: ['frameCount'] }), http({ page: false })],
    store: options.data === undefined ? memoryStore() : lmdbStore({ path: options.data }),
    auth: { secret },
    // Nobody but the presenter moves the others' view.
    policy: {
      'room:{id}': {
        publish: { frame_update: ({ session, params }) => presenterOf(params['id'] ?? '') === session.sid },
      },
    },
    bodyBytes: 4 * 1024 * 1024,
    log,
  });
  const presenterOf = (roomId: string): string | null => server.plugins.rooms.presenterOf(roomId);
  return server;
}
export type App = ReturnType<typeof createApp>;

const server = createApp();
login(server, secret);
frames(server);
chat(server);
views(server);
jobs(server);
await site(server);

const { url } = await server.listen({ port: Number(options.port), host: options.host });
process.once('SIGTERM', () => void server.close());
console.log(`zndraw-rooms on ${url} (open it in two tabs: each asks for a name)`);
