/** The event stream: what comes over the socket, what is followed, and the filter that hides. */
import * as v from 'valibot';
import t from 'tap';
import { defaultContract } from '../../src/cli/default-contract.js';
import { defineContract, type Contract } from '../../src/protocol/contract.js';
import { says, skipBrowser as skip } from '../support/browser.js';
import { startPage } from '../support/page.js';

const contract: Contract = defineContract({
  use: [defaultContract as unknown as Contract],
  topics: { 'orders:{id}': { events: { changed: v.unknown(), typing: v.unknown() } } },
});

t.test('a topic that anyone may subscribe to is followed live, and the filter hides the rest', { skip }, async (t) => {
  const { http: url, server, openTab } = await startPage(t, { contract });
  const publish = (event: string, data: object) => server.publish('orders:7' as never, event as never, data as never);
  const { page, problems } = await openTab(`${url}/`);
  await page.click('#tab-stream');
  await page.fill('#follow-topic', 'orders:7');
  await page.press('#follow-topic', 'Enter');
  await says(page, '[data-testid=followed]', 'orders:7 (live)');
  const { matched } = await publish('changed', { state: '<b>paid</b>', by: 'ann' });
  t.equal(matched, 1, 'this tab');
  await publish('changed', { state: 'packed', by: 'bob' });
  await publish('typing', { by: 'ann' });
  const events = page.locator('[data-testid=stream-event][data-topic="orders:7"]');
  await says(
    page,
    '[data-testid=stream-event]',
    /orders:7\s*#1\s*changed\s*\{"state":"<b>paid<\/b>","by":"ann"\}\s*server/,
  );
  await says(page, '[data-testid=stream-event]', '#3');
  await page.fill('#stream-filter', 'ANN -typing orders');
  await says(page, '#stream-count', /^1 of \d+ events$/);
  t.equal(await events.count(), 1);
  await says(page, '[data-testid=stream-event]', 'paid');
  await publish('changed', { state: 'hidden', by: 'bob' });
  await publish('changed', { state: 'sent', by: 'ann' });
  await says(page, '[data-testid=stream-event]', 'sent');
  t.equal(await events.count(), 2, 'the one of bob came and is hidden');
  await page.fill('#stream-filter', '');
  await says(page, '[data-testid=stream-event]', 'hidden');
  t.equal(await events.count(), 5);
  await page.click('[data-testid=followed] button');
  await page.locator('[data-testid=followed]').waitFor({ state: 'detached' });
  await page.waitForFunction(async () => {
    const response = await fetch('/api/topics/orders:7');
    return ((await response.json()) as { subscriberCount: number }).subscriberCount === 0;
  });
  t.same(problems, []);
});

t.test('a room is followed from its log without joining it: nobody in it sees who looks', { skip }, async (t) => {
  const { http: url, server, client, openTab } = await startPage(t);
  await server.plugins.rooms.create('demo');
  const member = await client();
  await member.call('join:room', { roomId: 'demo' });
  await member.publish('room:demo', 'chat:message:new', { text: 'before' });
  const { page, problems } = await openTab(`${url}/`);
  await page.click('#tab-stream');
  await page.fill('#follow-topic', 'room:demo');
  await page.press('#follow-topic', 'Enter');
  await says(page, '[data-testid=followed]', 'room:demo (from its log)');
  await says(page, '[data-testid=stream-event]', 'before');
  const { matched } = await member.publish('room:demo', 'chat:message:new', { text: 'after' });
  t.equal(matched, 1, 'the member alone');
  await says(page, '[data-testid=stream-event]', 'after');
  t.equal((await server.inspect('room:demo')).subscriberCount, 1);
  const rows = page.locator('[data-testid=stream-event]', { hasText: '"after"' });
  await page.click('[data-room=demo] a');
  await says(page, '#room', 'demo');
  await says(page, '[data-testid=stream-event]', /member:joined/);
  await member.publish('room:demo', 'chat:message:new', { text: 'last' });
  await says(page, '[data-testid=stream-event]', '"last"');
  t.equal(await rows.count(), 1);
  t.same(problems, []);
});

t.test('what is followed is told to be gone, to have begun anew, or to be no topic at all', { skip }, async (t) => {
  const { http: url, server, openTab } = await startPage(t);
  await server.plugins.rooms.create('demo');
  const { page } = await openTab(`${url}/`);
  await page.click('#tab-stream');
  for (const topic of ['nowhere', 'room:demo']) {
    await page.fill('#follow-topic', topic);
    await page.press('#follow-topic', 'Enter');
  }
  await says(page, '[data-testid=notice]', /nowhere cannot be followed. unknown_topic/);
  await says(page, '[data-testid=followed]', 'room:demo (from its log)');
  await says(page, '[data-testid=stream-event][data-topic="room:demo"]', '#1');
  await server.plugins.rooms.delete('demo');
  await server.plugins.rooms.create('demo', { description: 'made again' });
  await says(page, '[data-testid=stream-event][data-topic="room:demo"]', /#1\s*room:update.*made again/);
  t.equal(await page.locator('[data-testid=followed]').count(), 1, 'the room alone');
});
