/** The page without a mouse: everything on it is reached with Tab and the arrow keys, and used with Enter; no step loses the place. */
import type { Page } from 'playwright-core';
import t from 'tap';
import { says, skipBrowser as skip } from '../support/browser.js';
import { tabTo, unreached } from '../support/keyboard.js';
import { startPage } from '../support/page.js';

const focused = (page: Page): Promise<string | undefined> => page.evaluate(() => document.activeElement?.id);

async function enter(page: Page, selector: string, text = ''): Promise<void> {
  await tabTo(page, selector);
  if (text !== '') await page.keyboard.type(text);
  await page.keyboard.press('Enter');
}

t.test('a room is made, locked, written in, hidden, shown, left and deleted by keyboard alone', { skip }, async (t) => {
  const { http: url, openTab } = await startPage(t);
  const { page, problems } = await openTab(`${url}/`);
  await says(page, '#rooms-status', 'live');
  await says(page, '#rooms-empty', 'No rooms yet. Name one above and create it.');
  await enter(page, '#create-name', 'demo');
  await says(page, '[data-testid=member]', 'you');

  await enter(page, '#chat-text', 'Hello');
  await says(page, '[data-testid=chat-message]', 'Hello');
  await enter(page, '#lock-message', 'Trying');
  await says(page, '#lock-state', 'You hold it: “Trying”');
  t.equal(await focused(page), 'lock-release');
  await page.keyboard.press('Enter');
  await says(page, '#lock-state', 'Nobody holds it.');
  await enter(page, '#presenter-take');
  await says(page, '#presenter-state', 'you');
  await page.keyboard.press('Enter');
  await says(page, '#presenter-state', 'nobody');

  await enter(page, '#hide');
  await says(page, '#room-pills .pill', 'hidden');
  await page.locator('[data-room=demo]').waitFor({ state: 'detached' });
  await says(page, '#hide', 'Show');
  await enter(page, '#leave');
  await says(page, '#rooms-status', 'live');
  t.equal(await focused(page), 'welcome-title', 'the place is not lost with the room');
  await enter(page, '#hidden-rooms summary');
  await says(page, '[data-hidden=demo]', 'demo');
  t.same(problems, []);
});

t.test('hidden rooms are listed for who may show them, and shown again', { skip }, async (t) => {
  const { http: url, server, openTab } = await startPage(t);
  for (const id of ['one', 'two']) await server.plugins.rooms.create(id, { hidden: true });
  const { page, problems } = await openTab(`${url}/`);
  await says(page, '#rooms-empty', 'No rooms yet.');
  await enter(page, '#hidden-rooms summary');
  await says(page, '[data-hidden=one]', 'one');
  await enter(page, '[data-hidden=two] button');
  await says(page, '[data-room=two]', 'two');
  await page.locator('[data-hidden=two]').waitFor({ state: 'detached' });
  t.equal(await page.evaluate(() => document.activeElement?.tagName), 'SUMMARY');
  await enter(page, '[data-hidden=one] a');
  await says(page, '#room-title', 'one');
  await says(page, '#room-pills .pill', 'hidden');
  await enter(page, '#hide');
  await says(page, '#hide', 'Hide');
  await says(page, '[data-room=one]', 'one');
  await page.locator('[data-hidden=one]').waitFor({ state: 'detached' });
  await enter(page, '#delete');
  t.ok(await page.evaluate(() => document.activeElement?.textContent === 'Keep it'));
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await says(page, '[data-testid=notice]', 'You deleted one.');
  await page.locator('#welcome').waitFor({ state: 'visible' });
  t.equal(await focused(page), 'welcome-title');
  t.same(problems, []);
});

t.test('Tab comes to all that can be used, in a room and in every tool', { skip }, async (t) => {
  const { http: url, server, openTab } = await startPage(t);
  await server.plugins.rooms.create('demo');
  await server.publish('room:demo', 'queue:update', { waiting: 1 });
  const { page } = await openTab(`${url}/#/room/demo`);
  await says(page, '[data-testid=member]', 'you');
  await tabTo(page, '#tab-wire');
  const tabs = await page.locator('[role=tab]').allInnerTexts();
  for (const tab of tabs) {
    t.same(await unreached(page), [], tab);
    await tabTo(page, '[role=tab][aria-selected=true]');
    await page.keyboard.press('ArrowRight');
  }
  t.equal(await focused(page), 'tab-wire', 'all round');
  await page.keyboard.press('ArrowRight');
  await enter(page, '[data-topic="room:demo"] button');
  await says(page, '[data-testid=publish]', '1');
  t.same(await unreached(page), [], 'a topic');
  await enter(page, '#topic-close');
  t.equal(await focused(page), 'topics-search');
});
