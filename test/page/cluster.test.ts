/** The page of a node of a cluster: its bar says how the node stands that serves it. */
import t from 'tap';
import { defaultContract } from '../../src/cli/default-contract.js';
import { cluster } from '../../src/cluster/index.js';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { createServer } from '../../src/server/server.js';
import { says, skipBrowser } from '../support/browser.js';
import { ready } from '../support/cluster.js';
import { freePort } from '../support/free-port.js';
import { MemoryEngine } from '../support/memory-journal.js';
import { startPage } from '../support/page.js';

t.test(
  'the bar says who the node is, the term, the hub, how far it is behind, and the last beat',
  { skip: skipBrowser },
  async (t) => {
    const engine = new MemoryEngine();
    const secret = '0123456789abcdef0123456789abcdef';
    const nodeOf = async (node: string) =>
      cluster({ journal: () => engine.journal(), secret, node, advertise: `127.0.0.1:${await freePort()}` });
    const hub = await startPage(t, { cluster: await nodeOf('a') });
    const standby = createServer({
      contract: defaultContract,
      plugins: [rooms(), http()],
      cluster: await nodeOf('b'),
    });
    t.teardown(() => standby.close());
    const port = await freePort();
    standby.listen({ port }).catch(() => undefined);
    const { page } = await hub.openTab(hub.http);
    await says(page, '#cluster', /^hub a, term 1, beat \d+\.\d s ago$/);
    const url = `http://127.0.0.1:${port}`;
    await ready(url);
    const { page: other } = await hub.openTab(url);
    await says(other, '#cluster', /^standby b, term 1, hub a, \d+ behind, beat \d+\.\d s ago$/);
  },
);

t.test('a server that is of no cluster says nothing of one', { skip: skipBrowser }, async (t) => {
  const { http: url, openTab } = await startPage(t);
  const { page } = await openTab(url);
  await says(page, '#connection', 'live');
  t.equal(await page.locator('#cluster').isHidden(), true);
});
