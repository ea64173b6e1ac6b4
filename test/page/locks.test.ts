/** The locks panel: a lease that runs down until the lock is the next one's, and one that is ended by hand. */
import t from 'tap';
import { rowSays, says, skipBrowser as skip } from '../support/browser.js';
import { ManualTime } from '../support/manual-time.js';
import { startPage } from '../support/page.js';

t.test('a lease runs down, then the lock is who waited, and a release by hand makes it free', { skip }, async (t) => {
  const time = new ManualTime();
  const { http: url, server, client, openTab } = await startPage(t, { time });
  const { rooms } = server.plugins;
  await rooms.create('demo');
  await rooms.locks.acquire({ roomId: 'demo', target: 'cell:1', ttl: 10_000, msg: 'nightly import' });
  const waiter = await client();
  await waiter.call('join:room', { roomId: 'demo' });
  const granted = waiter.call(
    'lock:acquire',
    { roomId: 'demo', target: 'cell:1', ttl: 60_000, wait: 60_000 },
    { timeoutMs: 60_000 },
  );
  await waiter.barrier();
  const { page, problems } = await openTab(`${url}/`);
  await page.click('#tab-locks');
  const row = '[data-testid=lock]';
  await rowSays(page, row, ['demo', 'cell:1', 'server (over HTTP)', 'nightly import', '0 s', '10 s', '1']);
  await says(page, '#locks-count', '1 lock held');
  time.advance(4_000);
  await rowSays(page, row, ['demo', 'cell:1', 'server (over HTTP)', 'nightly import', '4 s', '6 s', '1']);
  time.advance(3_000);
  await page.locator(`${row}[data-left=soon]`).waitFor();
  time.advance(3_000);
  await granted;
  const { name } = waiter.welcome.user;
  await rowSays(page, row, ['demo', 'cell:1', name, '', '0 s', '60 s', '0']);

  await page.click(`${row} button`);
  await says(page, '#confirm-title', 'Release cell:1 in demo?');
  await page.keyboard.press('Escape');
  await says(page, row, name);
  await page.click(`${row} button`);
  await page.click('#confirm-yes');
  await says(page, '#locks-count', 'No lock is held.');
  await page.locator(row).waitFor({ state: 'detached' });
  t.same(await rooms.locks.list('demo'), []);
  t.match(waiter.events('room:demo').at(-1), [Number, 'lock:update', { target: 'cell:1', lock: null }]);
  t.same(problems, []);
});

t.test('the countdown falls between two answers, by the server’s clock and not the tab’s', { skip }, async (t) => {
  const time = new ManualTime();
  const { http: url, server, openTab } = await startPage(t, { time });
  await server.plugins.rooms.create('demo');
  await server.plugins.rooms.locks.acquire({ roomId: 'demo', ttl: 30_000 });
  const { page } = await openTab(`${url}/`);
  // A tab whose clock is far ahead, and of which only the first question is answered.
  await page.clock.install({ time: Date.now() + 3_600_000 });
  await page.reload();
  await page.click('#tab-locks');
  const row = '[data-testid=lock]';
  await page.locator(row).waitFor();
  await page.route('**/api/locks', (route) => route.abort());
  const left = async (): Promise<number> => parseInt(await page.locator(`${row} td:nth-child(6)`).innerText(), 10);
  const first = await left();
  t.ok(first >= 20 && first <= 30, `${first} s`);
  await page.clock.runFor(10_000);
  const later = await left();
  t.ok(later <= first - 9, `${first} s, then ${later} s`);
  await says(page, '#locks-status', 'No answer, trying again');
  await page.unroute('**/api/locks');
  await page.clock.runFor(2_000);
  await page.locator('#locks-status:empty').waitFor({ state: 'attached' });
  await rowSays(page, row, ['demo', 'trajectory:meta', 'server (over HTTP)']);
});

t.test('the room itself shows who holds what, and a lease that was renewed is longer again', { skip }, async (t) => {
  const { http: url, server, openTab } = await startPage(t);
  const { rooms } = server.plugins;
  await rooms.create('demo');
  const { page, problems } = await openTab(`${url}/#/room/demo`);
  await says(page, '#member-count', '1 online');
  t.equal(await page.locator('[data-testid=room-lock]').count(), 0);
  const request = { roomId: 'demo', target: 'cell:1', ttl: 60_000 };
  const { token } = await rooms.locks.acquire(request);
  const lock = '[data-testid=room-lock][data-target="cell:1"]';
  await says(page, lock, /server.*(60|5\d) s left/);
  // Nothing is told of it: the page has to ask.
  await rooms.locks.refresh({ ...request, token, ttl: 300_000 });
  await says(page, lock, /(300|2\d\d) s left/);
  await rooms.locks.release({ ...request, token });
  await page.locator(lock).waitFor({ state: 'detached' });
  t.same(problems, []);
});
