/** The page at `/` in a real browser: what a newcomer does in two tabs, against a real server. */
import { SignJWT } from 'jose';
import t from 'tap';
import { says, skipBrowser as skip } from '../support/browser.js';
import { startPage as start } from '../support/page.js';

const SECRET = 'a-secret-of-at-least-32-bytes-length!';

t.test('two tabs see the same room, take turns with its lock, chat and present', { skip }, async (t) => {
  const { http: url, openTab } = await start(t);
  const tabs = [await openTab(`${url}/`), await openTab(`${url}/`)] as const;
  const [a, b] = [tabs[0].page, tabs[1].page];
  for (const page of [a, b]) {
    await says(page, '#connection', 'live');
    await says(page, '#rooms-status', 'live');
  }
  const nameA = await a.innerText('#user-name');
  const nameB = await b.innerText('#user-name');
  t.not(nameA, nameB, 'two guests');

  await a.fill('#create-name', 'demo');
  await a.click('#create-form button');
  await says(a, '#room-title', 'demo');
  await says(b, '[data-testid=room-item]', 'demo');
  t.equal(new URL(a.url()).hash, '#/room/demo');
  await b.click('[data-room=demo] a');
  for (const page of [a, b]) {
    await says(page, '#member-count', '2 online');
    t.equal(await page.locator('[data-testid=member]').count(), 2);
    await says(page, '[data-testid=member]', new RegExp(`${nameA}.*host`, 's'));
  }
  await says(a, '[data-testid=member]', new RegExp(`${nameA}.*you`, 's'));
  await says(b, '[data-testid=member]', new RegExp(`${nameB}.*you`, 's'));
  await says(b, '#rooms-status', 'paused');

  await a.fill('#lock-message', 'Uploading frames');
  await a.click('#lock-take');
  await says(a, '#lock-state', 'You hold it: “Uploading frames”');
  await says(a, '#lease-left', /^(2\d|30) s left$/);
  await says(b, '#room-pills [data-testid=lock-pill]', `locked by ${nameA}: Uploading frames`);
  await says(b, '[data-room=demo] [data-testid=lock-pill]', nameA);
  t.ok(await b.locator('#refusal').isHidden());
  await b.click('#lock-take');
  await says(b, '#refusal', `Refused: ${nameA} holds it.`);
  await says(b, '#refusal', '“Uploading frames”');
  const left = async (): Promise<number> => Number(/in (\d+) s/.exec(await b.innerText('#refusal-left'))?.[1]);
  const first = await left();
  t.ok(first > 10 && first <= 30, `${first} s are left`);
  await says(b, '#refusal-left', `in ${first - 1} s`);

  await a.click('#lock-release');
  await says(b, '#lock-state', 'Nobody holds it.');
  await b.locator('#refusal').waitFor({ state: 'hidden' });
  await b.click('#lock-take');
  await says(b, '#lock-state', 'You hold it');
  await says(a, '#lock-state', `${nameB} holds it`);

  await a.fill('#chat-text', 'Hello <b>there</b>');
  await a.press('#chat-text', 'Enter');
  await says(b, '[data-testid=chat-message]', 'Hello <b>there</b>');
  await says(a, '#chat-result', 'sent to 2 sessions');
  await b.fill('#chat-text', 'Hi');
  await b.press('#chat-text', 'Enter');
  for (const page of [a, b]) {
    await says(page, '[data-testid=chat-message]', `${nameB}`);
    t.match(await page.locator('[data-testid=chat-message] .text').allInnerTexts(), ['Hello <b>there</b>', 'Hi']);
  }

  await a.click('#presenter-take');
  await says(a, '#presenter-state', 'you');
  await says(b, '#presenter-state', nameA);
  await says(b, '[data-testid=member]', new RegExp(`${nameA}.*presenter`, 's'));
  await b.click('#presenter-take');
  await says(b, '[data-testid=notice]', /lock_held/);
  await a.click('#presenter-release');
  await says(b, '#presenter-state', 'nobody');

  for (const op of ['WELCOME', 'CALL', 'ACK', 'EVENTS', 'NACK']) {
    await says(b, `[data-testid=frame][data-op=${op}]`, op);
  }
  await b.click('#delete');
  await b.click('#confirm-yes');
  for (const page of [a, b]) {
    await page.locator('#welcome').waitFor({ state: 'visible' });
    await says(page, '#rooms-status', 'live');
    await says(page, '#rooms-empty', 'No rooms yet.');
  }
  await says(a, '[data-testid=notice]', 'demo was deleted.');
  await says(b, '[data-testid=notice]', 'You deleted demo.');
  for (const { problems, sockets } of tabs) {
    t.same(problems, [], 'nothing went wrong in the tab');
    t.equal(sockets.length, 1, 'one WebSocket');
  }
});

t.test('leaving goes back to a list that is live, and a link to no room makes none', { skip }, async (t) => {
  const { http: url, server, openTab } = await start(t);
  await server.plugins.rooms.create('kept', { description: 'The default' });
  await server.plugins.rooms.create('sealed', { locked: true });
  await server.plugins.rooms.setDefault('kept');
  const { page, problems, sockets } = await openTab(`${url}/#/room/nowhere`);
  await says(page, '#missing', 'There is no room nowhere');
  await says(page, '#rooms-status', 'live');
  t.notOk(await server.plugins.rooms.get('nowhere'));
  await page.click('#missing a');
  await says(page, '[data-room=kept]', /★\s*The default/);
  await says(page, '[data-room=sealed]', 'locked for good');
  await page.click('[data-room=sealed] a');
  await page.click('#lock-take');
  await says(page, '[data-testid=notice]', 'room_locked');
  await page.click('#leave');
  await says(page, '#rooms-status', 'live');
  await server.plugins.rooms.create('new', {});
  await says(page, '[data-room=new]', 'new');
  await page.fill('#filter', 'DEFAULT');
  await page.locator('[data-room=new]').waitFor({ state: 'detached' });
  t.equal(await page.locator('[data-testid=room-item]').count(), 1);
  t.same(problems, []);
  t.equal(sockets.length, 1);
});

t.test('the wire can be paused, and keeps no more than the last 200 frames', { skip }, async (t) => {
  const { http: url, server, openTab } = await start(t);
  const { page } = await openTab(`${url}/`);
  await says(page, '#rooms-status', 'live');
  const rows = page.locator('[data-testid=frame]');
  await page.click('#wire-pause');
  const before = await rows.count();
  for (let i = 0; i < 250; i++) await server.plugins.rooms.create(`r${i}`, {});
  await page.locator('[data-room=r249]').waitFor();
  await says(page, '#wire-count', /[1-9]\d* while paused/);
  t.equal(await rows.count(), before);
  await page.click('#wire-pause');
  await says(page, '[data-testid=frame]', '"r249"');
  t.ok((await rows.count()) <= 200);
  t.notMatch(await page.innerText('#wire-log'), /"session":\["[^"]+","[^…]/, 'no secret is shown');
});

t.test('a server that wants a token says so, and lets in who types one', { skip }, async (t) => {
  const { http: url, server, openTab } = await start(t, { auth: { secret: SECRET } });
  const token = await new SignJWT({ name: 'Ann' })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('ann')
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET));
  const { page } = await openTab(`${url}/`);
  await says(page, '#connection', 'refused');
  await says(page, '#connection-detail', '4100 unauthenticated');
  await page.fill('#token', token);
  await page.press('#token', 'Enter');
  await says(page, '#connection', 'live');
  await says(page, '#user-name', 'Ann');
  await says(page, '#rooms-status', 'live');
  await page.fill('#create-name', 'anns');
  await page.press('#create-name', 'Enter');
  await says(page, '[data-testid=member]', /Ann.*you.*host/s);
  await page.click('#delete');
  await page.click('#confirm-yes');
  await says(page, '[data-testid=notice]', 'You deleted anns');
  t.notOk(await server.plugins.rooms.get('anns'));
  t.notMatch(await page.innerText('#wire-log'), token, 'the token is not shown');
});
