/** A server of its own process, to be killed: `serve-child.ts <directory>`. Prints its port. */
import type { OpenServer } from '../support/open-server.js';
import { registerHandlers } from '../support/open-server.js';
import { engine, openContract } from '../support/server.js';
import { createServer } from '../../src/server/server.js';
import { lmdbStore } from '../../src/store/lmdb.js';

const [path = ''] = process.argv.slice(2);
const server = createServer({
  contract: openContract,
  store: lmdbStore({ path }),
  engine,
  limits: { graceMs: 60_000, historyEvents: 100_000, historyBytes: 64 * 1024 * 1024 },
  ringBytes: 16 * 1024,
});
registerHandlers(server as unknown as OpenServer, ['hang']);
// Answers how often it ran, and never the first time.
let ran = 0;
server.handle('hang', () => (++ran === 1 ? new Promise(() => undefined) : ran));
const { port } = await server.listen({ port: 0 });
process.stdout.write(`${port}\n`);
