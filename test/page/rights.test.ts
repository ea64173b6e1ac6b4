/** Where the server has keys, the tools take an API key: kept in the tab's memory, and a bad one says what to do. */
import t from 'tap';
import { says, skipBrowser as skip } from '../support/browser.js';
import { startPage } from '../support/page.js';
import { SECRET, tokenFor } from '../support/tokens.js';

const API_KEY = 'an-api-key-of-the-backend';

t.test('a bad key says what to do, a good one opens the tools and is nowhere but in memory', { skip }, async (t) => {
  const { http: url, server, openTab } = await startPage(t, { auth: { secret: SECRET, apiKeys: [API_KEY] } });
  await server.plugins.rooms.create('demo');
  const { page } = await openTab(`${url}/`);
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  const token = await tokenFor('ann');
  await page.fill('#token', token);
  await page.press('#token', 'Enter');
  await says(page, '#connection', 'live');
  await page.click('#tab-topics');
  await says(page, '#admin-text', /Paste one of the server’s API keys \(ROOMWIRE_API_KEYS/);
  t.ok(await page.locator('#topics').isHidden());
  t.notOk(
    asked.some((address) => address.includes('/api/topics')),
    'a user is known to be none: nothing is asked in vain',
  );
  for (const [key, answer] of [
    ['not-a-key-at-all', 'The server does not know this key. Paste one'],
    ['ключ', 'The server does not know this key. Paste one'],
    [token, 'users may not look into the server. Paste one'],
  ] as const) {
    await page.fill('#admin-key', key);
    await page.press('#admin-key', 'Enter');
    await says(page, '#admin-text', answer);
    t.equal(await page.inputValue('#admin-key'), '');
    t.equal(await page.evaluate(() => document.activeElement?.id), 'admin-key', 'ready for another one');
  }
  await page.fill('#admin-key', API_KEY);
  await page.press('#admin-key', 'Enter');
  await says(page, '[data-topic="room:demo"]', 'room:demo');
  t.ok(await page.locator('#admin-form').isHidden());
  t.equal(await page.evaluate(() => document.activeElement?.id), 'tab-topics', 'the focus is not lost');
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  t.notMatch(kept, API_KEY);
  t.notMatch(await page.content(), API_KEY);
  t.notOk(
    asked.some((address) => address.includes(API_KEY)),
    'in no URL',
  );
  await page.click('#forget-key');
  await says(page, '#admin-text', 'The key is forgotten.');
  await page.reload();
  await says(page, '#connection', 'live');
  t.equal(await page.getAttribute('#tab-topics', 'aria-selected'), 'true', 'the tool is open again');
  await says(page, '#admin-text', 'Paste one');
});

t.test('the tabs are walked with the arrow keys, and the dock folds and grows', { skip }, async (t) => {
  const { http: url, openTab } = await startPage(t);
  const { page, problems } = await openTab(`${url}/`, { colorScheme: 'dark' });
  await says(page, '#connection', 'live');
  await page.focus('#tab-wire');
  await page.keyboard.press('ArrowRight');
  t.equal(await page.evaluate(() => document.activeElement?.id), 'tab-topics');
  t.ok(await page.locator('#topics').isVisible());
  t.ok(await page.locator('#wire').isHidden());
  await page.keyboard.press('Home');
  t.ok(await page.locator('#wire').isVisible());
  await page.keyboard.press('ArrowLeft');
  const last = await page.locator('#dock-tabs button').last().getAttribute('id');
  t.equal(await page.evaluate(() => document.activeElement?.id), last);
  const height = async () => (await page.locator('#dock').boundingBox())?.height ?? 0;
  const usual = await height();
  await page.click('#dock-grow');
  t.ok((await height()) > usual * 1.5);
  await page.click('#dock-hide');
  t.ok((await height()) < 80);
  t.equal(await page.getAttribute('#dock-hide', 'aria-expanded'), 'false');
  await page.click('#tab-wire');
  t.ok(await page.locator('#wire').isVisible(), 'choosing a tool unfolds the dock');
  t.same(problems, []);
});
