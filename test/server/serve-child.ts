/** A server of its own process, to be killed: `serve-child.ts <directory> [settings as JSON]`. Prints its port. */
import type { OpenServer } from '../support/open-server.js';
import { registerHandlers } from '../support/open-server.js';
import type { ChildSettings } from '../support/child-server.js';
import { childTransport } from '../support/edge.js';
import { engine, openContract } from '../support/server.js';
import { createServer } from '../../src/server/server.js';
import { lmdbStore } from '../../src/store/lmdb.js';

const [path = '', settings = '{}'] = process.argv.slice(2);
const { graceMs = 60_000, ...pings } = JSON.parse(settings) as ChildSettings;
const server = createServer({
  contract: openContract,
  store: lmdbStore({ path }),
  engine,
  ...childTransport(engine),
  ...pings,
  limits: { graceMs, historyEvents: 100_000, historyBytes: 64 * 1024 * 1024 },
  ringBytes: 16 * 1024,
});
registerHandlers(server as unknown as OpenServer, ['hang']);
// Answers how often it ran, and never the first time.
let ran = 0;
server.handle('hang', () => (++ran === 1 ? new Promise(() => undefined) : ran));
const { port } = await server.listen({ port: 0 });
process.stdout.write(`${port}\n`);
