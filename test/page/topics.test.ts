/** The topics panel: what it says of a topic whose rate, sessions and lag are known. */
import t from 'tap';
import { rowSays, says, skipBrowser as skip } from '../support/browser.js';
import { ManualTime } from '../support/manual-time.js';
import { startPage } from '../support/page.js';
import { until } from '../support/until.js';

t.test('a topic shows its rate, which falls to nothing once nobody publishes', { skip }, async (t) => {
  const time = new ManualTime();
  const { http: url, server, client, openTab } = await startPage(t, { time });
  const reader = await client();
  const topic = `user:${reader.welcome.user.id}` as const;
  await reader.subscribe(topic);
  for (let n = 0; n < 25; n++) await server.publish(topic, 'note', n);
  await server.publish('user:nobody', 'note', 1);
  const { page, problems } = await openTab(`${url}/`);
  await page.click('#tab-topics');
  const row = `[data-testid=topic][data-topic="${topic}"]`;
  await rowSays(page, row, [topic, '2.5', '25', '1', '0']);
  await rowSays(page, '[data-testid=topic][data-topic="user:nobody"]', ['user:nobody', '0.1', '1', '0', '0']);
  await says(page, '#topics-stats', /2 connections, 2 sessions, 0 stalled/);
  await page.fill('#topics-search', 'NOBODY');
  await page.locator(row).waitFor({ state: 'detached' });
  await says(page, '#topics-count', '1 topic');
  await page.fill('#topics-search', 'zebra');
  await says(page, '#topics-empty', 'No topic has that in its name.');
  await page.fill('#topics-search', '');
  await says(page, row, topic);
  for (let n = 0; n < 11; n++) time.advance(1_000);
  await rowSays(page, row, [topic, '0.0', '25', '1', '0']);
  t.same(problems, []);
});

t.test('a topic that is opened says who lags because its socket does not read', { skip }, async (t) => {
  const { http: url, server, client, openTab } = await startPage(t);
  await server.plugins.rooms.create('demo');
  const [slow, quick] = [await client(), await client()];
  for (const one of [slow, quick]) await one.call('join:room', { roomId: 'demo' });
  slow.socket.pause();
  for (let n = 0; n < 60; n++) await server.publish('room:demo', 'queue:update', 'x'.repeat(200_000));
  await quick.event('room:demo', 'queue:update', 60);
  t.match((await server.inspect('room:demo')).subscribers, [{ sid: slow.welcome.session[0] }, { lag: 0 }]);
  const { page, problems } = await openTab(`${url}/`);
  await page.click('#tab-topics');
  await says(page, '[data-topic="room:demo"]', 'room:demo');
  await page.click('[data-topic="room:demo"] button');
  const [slowSid, quickSid] = [slow.welcome.session[0], quick.welcome.session[0]];
  await says(page, `[data-testid=subscriber][data-sid="${slowSid}"]`, /[1-9]\d* behind/);
  await says(page, `[data-testid=subscriber][data-sid="${quickSid}"]`, 'has all');
  await page.locator('[data-testid=publish]').first().waitFor();
  t.match(await page.locator('[data-testid=publish]').first().locator('td').allInnerTexts(), [/:/, '2', '1']);
  slow.socket.resume();
  await says(page, `[data-testid=subscriber][data-sid="${slowSid}"]`, 'has all');
  quick.cut();
  await says(page, `[data-testid=subscriber][data-sid="${quickSid}"]`, 'away, in its grace');
  t.same(problems, []);
});

t.test('the panel asks only while it is seen', { skip }, async (t) => {
  const { http: url, openTab } = await startPage(t);
  const { page } = await openTab(`${url}/`);
  await page.clock.install();
  await page.reload();
  let asked = 0;
  page.on('request', (request) => {
    if (request.url().includes('/api/topics')) asked++;
  });
  await page.click('#tab-topics');
  await until(() => asked >= 3);
  await page.click('#tab-wire');
  await page.waitForLoadState('networkidle');
  const before = asked;
  await page.clock.runFor(30_000);
  t.equal(asked, before);
  await page.click('#tab-topics');
  await until(() => asked > before);
});
