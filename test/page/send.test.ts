/** The forms that publish and call: what they send reaches another client, and what is wrong is said. */
import t from 'tap';
import { says, skipBrowser as skip } from '../support/browser.js';
import { startPage } from '../support/page.js';

t.test('the publish form reaches another client, as this tab or as the server', { skip }, async (t) => {
  const { http: url, server, client, openTab } = await startPage(t);
  await server.plugins.rooms.create('demo');
  const other = await client();
  await other.call('join:room', { roomId: 'demo' });
  const { page, problems } = await openTab(`${url}/#/room/demo`);
  await says(page, '#member-count', '2 online');
  await page.click('#tab-send');
  await page.fill('#publish-topic', 'room:demo');
  await page.fill('#publish-event', 'chat:message:new');
  await page.fill('#publish-data', '{"text": "from the form"}');
  await page.click('#publish-form button');
  t.same(await other.event('room:demo', 'chat:message:new'), { text: 'from the form' });
  await says(page, '#publish-result', /^Event \d+, sent to 2 sessions\.$/);
  const sid = await page.innerText('#sid');
  t.equal(other.events('room:demo').at(-1)?.[3], sid, 'sent by this tab');

  await page.fill('#publish-event', 'queue:update');
  await page.click('#publish-form button');
  await says(page, '#publish-result', /forbidden.*as the server you may publish all/);
  await page.selectOption('#publish-as', 'server');
  await page.click('#publish-form button');
  t.same(await other.event('room:demo', 'queue:update'), { text: 'from the form' });
  t.equal(other.events('room:demo').at(-1)?.[3], null, 'sent by the server');

  await page.fill('#publish-topic', 'room:demmo');
  await page.click('#publish-form button');
  await says(page, '#publish-result', /reached nobody.*Did you mean room:demo\?/);
  await page.click('#publish-look');
  await says(page, '#topic-name', 'room:demmo');
  await says(page, '#topic-similar', 'Nobody is in it. Names like it: room:demo');
  await page.click('#tab-send');
  await page.fill('#publish-data', '{"text": ');
  await page.click('#publish-form button');
  t.match(
    await page.locator('#publish-data').evaluate((field: HTMLTextAreaElement) => field.validationMessage),
    /not JSON/,
  );
  t.same(problems, []);
});

t.test(
  'the call form makes a call whose effect another client sees, and shows the reply or the refusal',
  { skip },
  async (t) => {
    const { http: url, server, client, openTab } = await startPage(t);
    await server.plugins.rooms.create('demo');
    const other = await client();
    await other.call('join:room', { roomId: 'demo' });
    const { page, problems } = await openTab(`${url}/#/room/demo`);
    await says(page, '#member-count', '2 online');
    await page.click('#tab-send');
    await page.locator('#call-names option[value="lock:acquire"]').waitFor({ state: 'attached' });
    await page.fill('#call-name', 'lock:acquire');
    await page.fill('#call-input', '{"roomId": "demo", "target": "cell:1", "msg": "by hand"}');
    await page.click('#call-form button');
    await says(page, '#call-result', /^Answered after [\d.]+ ms\.$/);
    await says(page, '#call-reply', /"target": "cell:1",\s*"token": \d+/);
    t.match(await other.event('room:demo', 'lock:update'), { target: 'cell:1', lock: { msg: 'by hand' } });
    await page.click('#call-form button');
    await says(page, '#call-result', /^Refused after [\d.]+ ms: \d+ lock_held/);
    await says(page, '#call-reply', '"msg": "by hand"');
    await page.fill('#call-name', 'no:such');
    await page.click('#call-form button');
    await says(page, '#call-result', /unknown_call/);
    t.same(problems, []);
  },
);
