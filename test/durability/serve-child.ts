/** A server as a program of its own, so that a test can kill it: LMDB in the given directory, on any free port. */
import { roomContract } from '../support/rooms.js';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { createServer } from '../../src/server/server.js';
import { lmdbStore } from '../../src/store/lmdb.js';

const [path = '', engine = 'auto'] = process.argv.slice(2);
const server = createServer({
  contract: roomContract,
  plugins: [rooms(), http()] as const,
  store: lmdbStore({ path }),
  engine: engine as 'auto',
});
const listening = await server.listen({ port: 0 });
process.stdout.write(`${listening.port}\n`);
