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

t.test(
  'a filter that no room fits says how many there are, and one room is not “more”',
  { skip: skipBrowser },
  async (t) => {
    const { http: url, server } = await startServer(t, parts());
    await server.plugins.rooms.create('one');
    const browser = await startBrowser(t);
    const { page } = await browser.open(url);
    await says(page, '[data-room=one]', 'one');
    t.ok(await page.locator('#rooms-empty').isHidden());
    await page.fill('#filter', 'nowhere');
    await says(page, '#rooms-empty', 'No room fits the filter: empty it to see all 1.');
  },
);

t.test('of more rooms than are shown the rest is counted', { skip: skipBrowser }, async (t) => {
  const { http: url, server } = await startServer(t, parts());
  await Promise.all(Array.from({ length: 503 }, (_, n) => server.plugins.rooms.create(`r${n}`)));
  const browser = await startBrowser(t);
  const { page } = await browser.open(url);
  await says(page, '#rooms-empty', 'and 3 more');
  await page.fill('#filter', 'r500');
  await page.locator('[data-room=r1]').waitFor({ state: 'detached' });
  t.ok(await page.locator('#rooms-empty').isHidden());
});

t.test('signed out, offline and refused, the page says what to do', { skip: skipBrowser }, async (t) => {
  const test = await startTestServer(parts());
  t.teardown(() => test.close());
  const proxy = await FaultProxy.start({ target: Number(new URL(test.url).port), random: random(1) });
  t.teardown(() => proxy.close());
  const browser = await startBrowser(t);
  const { page } = await browser.open(`http://127.0.0.1:${proxy.port}`);
  await says(page, '#token-form', 'This server asks for a token. Paste one that its application gave you, or make one');
  await says(page, '#token-form', 'roomwire token --sub you');
  await page.fill('#token', await test.token('ann'));
  await page.press('#token', 'Enter');
  await says(page, '#rooms-status', 'live');
  t.equal(await page.locator('#connection-advice').innerText(), '');
  proxy.refusing = true;
  proxy.cutAll();
  await says(page, '#connection-advice', 'This tab comes back by itself; what you write in a chat waits.');
  proxy.refusing = false;
  await says(page, '#connection-text', 'live');
  await test.fault({ do: 'kick', user: 'ann' });
  await says(page, '#connection-text', 'refused');
  await says(page, '#connection-advice', 'The server ended this session: “Connect now” begins another.');
  await page.click('#retry');
  await says(page, '#connection-text', 'live');
  await says(page, '#rooms-status', 'live');
});
