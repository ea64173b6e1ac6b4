/** The page of examples/chat-dashboard: the list is never stale, nothing polls, and a restart is got over. */
import t from 'tap';
import { FaultProxy } from '../chaos/fault-proxy.js';
import { random } from '../random.js';
import { seriousFindings, sideways } from '../support/accessible.js';
import { says, skipBrowser, startBrowser } from '../support/browser.js';
import { tabTo, unreached } from '../support/keyboard.js';
import { freePort } from '../support/free-port.js';
import { start } from './chat-dashboard.js';

t.test(
  'in an open page the chat moves to the top with its badge, and no polling request is made',
  { skip: skipBrowser },
  async (t) => {
    const { url, tokens, incoming } = await start(t);
    for (const [id, name] of [
      ['a1', 'Anil'],
      ['b2', '<b>Bela</b>'],
      ['c3', 'Chitra'],
    ] as const) {
      await incoming(id, `hello from ${name}`, { name });
    }
    const browser = await startBrowser(t);
    const { page, problems, requests, sockets, said } = await browser.open(`${url}/#${tokens.asha}`, { clock: true });
    const names = () => page.locator('#list .name').allInnerTexts();
    await says(page, '#state', 'live');
    await says(page, '[data-chat=c3]', 'hello from Chitra');
    t.same(await names(), ['Chitra', '<b>Bela</b>', 'Anil']);
    await page.click('[data-chat=c3]');
    await says(page, '#messages p', 'hello from Chitra');
    await page.locator('[data-chat=c3] .badge:empty').waitFor({ state: 'attached' });
    t.same(
      requests.filter((request) => !/^GET \/(page\.js)?$/.test(request)),
      ['GET /chats'],
      'the list is loaded once',
    );
    const before = requests.length;

    await incoming('a1', 'Where is my order?', { name: 'Anil' });
    await says(page, '#list li:first-child .name', 'Anil');
    await says(page, '#list li:first-child .badge', '2');
    await says(page, '#list li:first-child .last', 'Where is my order?');
    t.same(await names(), ['Anil', 'Chitra', '<b>Bela</b>']);
    t.equal(await page.title(), '(3) Support desk');
    await says(page, '#title', 'Chitra');
    await incoming('b2', 'Me too', { name: '<b>Bela</b>' });
    await says(page, '#list li:first-child .name', '<b>Bela</b>');
    // Past the 30 seconds after which the page used to ask again.
    await page.clock.runFor(31_000);
    await incoming('a1', 'Hello?', { name: 'Anil' });
    await says(page, '#list li:first-child .badge', '3');
    t.same(requests.slice(before), [], 'no request at all, in which all of this was seen');
    t.equal(sockets.length, 1);

    await page.click('[data-chat=a1]');
    await says(page, '#messages p', 'Where is my order?');
    await page.locator('[data-chat=a1] .badge:empty').waitFor({ state: 'attached' });
    await page.fill('#text', 'On its way');
    await page.press('#text', 'Enter');
    await says(page, '#messages p.agent', 'On its way');
    await page.click('[data-type=Vendor]');
    await says(page, '[data-type=Customer] .badge', '2');
    await incoming('v9', 'Invoice attached', { name: 'Varun', customer_type: 'Vendor' });
    await says(page, '#list li:first-child .name', 'Varun');
    t.ok(said.includes('Joining socket room: CustomerApp for customerType: Customer'));
    t.ok(said.some((line) => /^New onRoomUpdate received: \{.*"chat_id":"a1"/.test(line)));
    t.same(problems, []);
  },
);

t.test('a page whose server restarted joins again by itself', { skip: skipBrowser }, async (t) => {
  // Not port 0, on which uWebSockets.js leaves no room for a successor.
  const port = String(await freePort());
  const first = await start(t, { port });
  await first.incoming('a1', 'before');
  const browser = await startBrowser(t);
  const { page, problems } = await browser.open(`${first.url}/#${first.tokens.asha}`);
  await says(page, '[data-chat=a1] .badge', '1');
  first.child.kill('SIGKILL');
  await first.gone;
  await says(page, '#state', 'offline');
  // In memory: another epoch, no sessions, no chats.
  const second = await start(t, { port });
  await says(page, '#state', 'live');
  while ((await second.incoming('a1', 'after', { name: 'Meera' })).body['watching'] !== 1);
  await says(page, '[data-chat=a1] .last', 'after');
  t.same(
    problems.filter((problem) => !/WebSocket|Failed to load/.test(problem)),
    [],
  );
});

t.test(
  'on a phone and by keyboard alone: nothing scrolls sideways, axe finds nothing serious, what is typed offline waits',
  { skip: skipBrowser },
  async (t) => {
    const { url, tokens, incoming } = await start(t);
    const proxy = await FaultProxy.start({ target: Number(new URL(url).port), random: random(1) });
    t.teardown(() => proxy.close());
    const browser = await startBrowser(t);
    const viewport = { width: 390, height: 800 };
    const { page } = await browser.open(`http://127.0.0.1:${proxy.port}/#${tokens.asha}`, { viewport });
    await says(page, '#state', 'live');
    await says(page, '#empty', 'No chats yet');
    t.same(await seriousFindings(page), [], 'empty');
    for (const id of ['a1', 'b2']) await incoming(id, `hello from ${id}`, { name: `Customer ${id}` });
    await says(page, '[data-chat=b2]', 'hello from b2');
    await page.locator('[data-chat=a1] button').focus();
    await page.keyboard.press('Enter');
    await says(page, '#messages p', 'hello from a1');
    t.same(await seriousFindings(page), [], 'with a chat');
    t.same(await sideways(page), []);
    proxy.refusing = true;
    proxy.cutAll();
    await says(page, '#state', 'offline');
    await page.fill('#text', 'typed in a tunnel');
    await page.press('#text', 'Enter');
    await says(page, '#messages p.waiting', 'typed in a tunnel');
    proxy.refusing = false;
    await says(page, '#messages p.agent:not(.waiting)', 'typed in a tunnel');
    t.equal(await page.locator('#messages p.agent').count(), 1);
    const stranger = await browser.open(`${url}/`, { viewport });
    await says(stranger.page, '#notice', 'You are not signed in: open the link');
    t.same(await seriousFindings(stranger.page), [], 'signed out');
  },
);

t.test('chats are chosen, read and answered with Tab and Enter alone', { skip: skipBrowser }, async (t) => {
  const { url, tokens, incoming } = await start(t);
  for (const id of ['a1', 'b2']) await incoming(id, `hello from ${id}`, { name: `Customer ${id}` });
  const browser = await startBrowser(t);
  const { page, problems } = await browser.open(`${url}/#${tokens.asha}`);
  await says(page, '[data-chat=a1]', 'hello from a1');
  await tabTo(page, '[data-chat=a1] button');
  await page.keyboard.press('Enter');
  await says(page, '#messages p', 'hello from a1');
  // A message moves the row of the other chat: whoever is at a row stays at it.
  await incoming('b2', 'hello again', { name: 'Customer b2' });
  await says(page, '#list li:first-child .last', 'hello again');
  t.equal(await page.evaluate(() => document.activeElement?.closest('li')?.dataset['chat']), 'a1');
  await tabTo(page, '#text');
  await page.keyboard.type('On its way');
  await page.keyboard.press('Enter');
  await says(page, '#messages p.agent', 'On its way');
  await tabTo(page, '[data-type=Vendor]');
  await page.keyboard.press('Enter');
  await says(page, '#empty', 'No chats yet');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await says(page, '[data-chat=b2]', 'hello again');
  t.same(await unreached(page), []);
  t.same(problems, []);
});
