/** What the page says when something is missing: the connection, the room, the list of a link. */
import t from 'tap';
import { contractWith } from '../../src/cli/default-contract.js';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { startTestServer } from '../../src/testing/server.js';
import { FaultProxy } from '../chaos/fault-proxy.js';
import { random } from '../random.js';
import { says, skipBrowser, startBrowser } from '../support/browser.js';
import { startServer } from '../support/server.js';

const parts = () => ({ contract: contractWith({}, []), plugins: [rooms(), http()] as const });

t.test(
  'a message typed without a connection is shown as waiting, and sent once there is one',
  { skip: skipBrowser },
  async (t) => {
    const { port } = await startServer(t, parts());
    const proxy = await FaultProxy.start({ target: port, random: random(1) });
    t.teardown(() => proxy.close());
    const browser = await startBrowser(t);
    const { page } = await browser.open(`http://127.0.0.1:${proxy.port}`);
    await page.fill('#create-name', 'demo');
    await page.press('#create-name', 'Enter');
    await says(page, '[data-testid=member]', 'you');
    proxy.refusing = true;
    proxy.cutAll();
    await says(page, '#connection-text', /offline|connecting/);
    await page.fill('#chat-text', 'typed in a tunnel');
    await page.press('#chat-text', 'Enter');
    await says(page, '[data-testid=chat-waiting]', 'typed in a tunnel');
    proxy.refusing = false;
    await says(page, '[data-testid=chat-message]', 'typed in a tunnel');
    await page.locator('[data-testid=chat-waiting]').waitFor({ state: 'detached' });
    t.equal(await page.locator('[data-testid=chat-message]').count(), 1);
  },
);

t.test('a link to a room shows the list of rooms beside it', { skip: skipBrowser }, async (t) => {
  const { http: url, server } = await startServer(t, parts());
  for (const id of ['one', 'two']) await server.plugins.rooms.create(id);
  const browser = await startBrowser(t);
  const { page } = await browser.open(`${url}/#/room/one`);
  await says(page, '[data-testid=member]', 'you');
  await says(page, '[data-room=two]', 'two');
  t.equal(await page.locator('#rooms-empty').innerText(), '', 'and no more');
});

t.test('a room that a restart without a store lost is not called deleted', { skip: skipBrowser }, async (t) => {
  const test = await startTestServer(parts());
  t.teardown(() => test.close());
  const browser = await startBrowser(t);
  const { page } = await browser.open(test.url);
  await page.fill('#token', await test.token('ann'));
  await page.press('#token', 'Enter');
  await page.fill('#create-name', 'demo');
  await page.press('#create-name', 'Enter');
  await says(page, '[data-testid=member]', 'you');
  await test.fault({ do: 'restart' });
  await says(page, '#notices', 'demo was not there any more');
  t.notMatch(await page.locator('#notices').innerText(), 'deleted');
});
