/** The pages of examples/zndraw-rooms without a mouse, without a connection, and without a room that was there before. */
import t from 'tap';
import type { Page } from 'playwright-core';
import { FaultProxy } from '../chaos/fault-proxy.js';
import type { Contract } from '../../examples/zndraw-rooms/contract.js';
import { random } from '../random.js';
import { says, skipBrowser as skip } from '../support/browser.js';
import { startExample } from '../support/example.js';
import { freePort } from '../support/free-port.js';
import { tabTo, unreached } from '../support/keyboard.js';
import { gone, joined, room, start, upload, XYZ } from './zndraw-page.js';

async function enter(page: Page, selector: string, text = ''): Promise<void> {
  await tabTo(page, selector);
  if (text !== '') await page.keyboard.type(text);
  await page.keyboard.press('Enter');
}

t.test('a trajectory is looked at, marked, hidden and shown again by keyboard alone', { skip }, async (t) => {
  const { person } = await start(t);
  const { page, answer, problems } = await person('alice');
  await says(page, '.list', 'No rooms here yet. Name one above and create it.');
  t.same(await unreached(page), [], 'rooms');
  await enter(page, '#new-room', 'water');
  await joined(page);
  await upload(page, 'water.xyz', XYZ);
  await says(page, '[data-testid=frame]', '0 / 3');
  await tabTo(page, 'input[type=file]');

  await tabTo(page, '[data-testid=molecule]');
  for (const key of ['ArrowLeft', 'ArrowUp', 'n', 'n']) await page.keyboard.press(key);
  await says(page, '.atom', 'at atom 2 of 3');
  await page.keyboard.press('p');
  await page.keyboard.press('Enter');
  await says(page, '.atom', 'at atom 1 of 3, selected');
  await says(page, '.facts', '1 selected');
  await enter(page, '.scene button');
  await page.locator('.scene button[aria-pressed=false]', { hasText: 'bonds' }).waitFor();
  await tabTo(page, '[aria-label=Frame]');
  await page.keyboard.press('ArrowRight');
  await says(page, '[data-testid=frame]', '1 / 3');
  answer('wider');
  await enter(page, '[data-testid=bookmark-it]');
  await says(page, '[data-testid=bookmark]', 'wider');
  await enter(page, '[aria-label="Why you take the lock"]', 'Trying');
  await says(page, '[data-testid=upload]', 'you hold the lock');
  await enter(page, '[data-testid=release]');
  await enter(page, '#chat-text', 'Hello');
  await says(page, '[data-testid=message]', 'Hello');
  t.same(await unreached(page), [], 'a room');

  await enter(page, '[data-testid=hide]');
  await page.locator('[data-testid=hide][aria-pressed=true]').waitFor();
  await enter(page, '[data-testid=back]');
  await says(page, '.list', 'No rooms here yet.');
  await enter(page, '.hidden-rooms summary');
  await enter(page, '[data-hidden=water] button');
  await says(page, room('water'), '3 frames');
  await gone(page, '[data-hidden=water]');
  t.same(problems, []);
});

t.test(
  'a chat message typed without a connection is in sight, and said once when there is one',
  { skip },
  async (t) => {
    const { url, person } = await start(t);
    const proxy = await FaultProxy.start({ target: Number(new URL(url).port), random: random(1) });
    t.teardown(() => proxy.close());
    const { page } = await person('alice', '/rooms/demo', `http://127.0.0.1:${proxy.port}`);
    await page.getByText('Create it').click();
    await joined(page);
    proxy.refusing = true;
    proxy.cutAll();
    await says(page, '.connection', 'offline: comes back by itself, messages wait');
    for (const text of ['typed in a tunnel', 'and another']) {
      await page.fill('#chat-text', text);
      await page.press('#chat-text', 'Enter');
      await says(page, '[data-testid=waiting]', text);
    }
    t.equal(await page.inputValue('#chat-text'), '');
    proxy.refusing = false;
    await says(page, '[data-testid=message]', 'and another');
    await gone(page, '[data-testid=waiting]');
    t.match(await page.locator('[data-testid=message] p').allInnerTexts(), ['typed in a tunnel', 'and another']);
  },
);

t.test(
  'a room that a restart without a store lost is not called deleted; who is signed out is told why',
  { skip },
  async (t) => {
    const options = { args: ['--port', String(await freePort())] };
    const secret = 'a-secret-of-at-least-32-bytes-length!';
    const first = await start(t, { ...options, env: { JWT_SECRET: secret } });
    const { page } = await first.person('alice', '/rooms/demo');
    await page.getByText('Create it').click();
    await joined(page);
    first.child.kill('SIGKILL');
    await first.gone;
    const second = await startExample<Contract>(t, 'zndraw-rooms', { ...options, env: { JWT_SECRET: secret } });
    await says(page, '[data-testid=notice]', 'demo was not there any more when this tab came back');
    await says(page, '.list', 'No rooms here yet.');
    second.child.kill('SIGKILL');
    await second.gone;
    await startExample<Contract>(t, 'zndraw-rooms', { ...options, env: { JWT_SECRET: `${secret} another` } });
    await says(page, '[role=alert]', 'You were signed out: the server has other keys since a restart');
    await page.fill('#name', 'alice');
    await page.press('#name', 'Enter');
    await says(page, '[data-testid=rooms-status]', 'live');
  },
);
