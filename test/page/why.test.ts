/** From “X says it did not arrive” to the answer: who, which topic, which event. */
import t from 'tap';
import { says, skipBrowser as skip } from '../support/browser.js';
import { startPage } from '../support/page.js';

t.test('a user’s topics are proposed, and each event of one is answered by a click', { skip }, async (t) => {
  const { http: url, server, client, openTab } = await startPage(t);
  await server.plugins.rooms.create('demo');
  await server.publish('room:demo', 'queue:update', { waiting: 1 });
  const member = await client();
  await member.call('join:room', { roomId: 'demo' });
  const { offset } = await server.publish('room:demo', 'queue:update', { waiting: 2 });
  const { page, problems } = await openTab(`${url}/`);
  await page.click('#tab-why');
  const { id, name } = member.welcome.user;
  await page.fill('#why-who', id);
  await page.press('#why-who', 'Tab');
  await says(page, '#why-user', `${name}: 1 session, 1 connected, in`);
  await page.click('[data-testid=why-take]');
  await says(page, '#why-answer', new RegExp(`written.*${id}, event ${offset} of room:demo.*Written to the socket`));
  await says(page, '#why-answer', 'The server has done its part');
  await says(page, '[data-testid=why-event]', '{"waiting":1}');
  await page.click('[data-testid=why-event][data-offset="2"] button');
  await says(page, '#why-answer', /joined after.*event 2 of room:demo.*Joined after: it subscribed at/);
  await says(page, '#why-answer', 'it has to fetch what is from before it joined');
  t.equal(await page.getAttribute('[data-testid=why-event][data-offset="2"]', 'aria-current'), 'true');
  t.same(problems, []);
});

t.test('users are proposed by a part of their name, and found by it', { skip }, async (t) => {
  const { http: url, server, client, openTab } = await startPage(t);
  await server.plugins.rooms.create('demo');
  const member = await client();
  await member.call('join:room', { roomId: 'demo' });
  const { id, name } = member.welcome.user;
  const { page } = await openTab(`${url}/`);
  await page.click('#tab-why');
  await says(page, '#why-answer', 'Type a part of the name');
  await page.focus('#why-who');
  await page.keyboard.type(name.slice(0, -1).toUpperCase());
  const option = page.locator(`#why-users option[value="${id}"]`);
  await option.waitFor({ state: 'attached' });
  t.equal(await option.getAttribute('label'), `${name} (${id})`);
  await page.keyboard.press('Tab');
  await says(page, '#why-user', 'Nobody of that id is here now. By name:');
  await page.locator('[data-testid=why-mean]', { hasText: id }).focus();
  await page.keyboard.press('Enter');
  t.equal(await page.inputValue('#why-who'), id);
  await says(page, '#why-user', `${name}: 1 session, 1 connected, in`);
});

t.test('a misspelt topic, an unknown user and an event that never was are told apart', { skip }, async (t) => {
  const { http: url, server, client, openTab } = await startPage(t);
  await server.plugins.rooms.create('demo');
  const member = await client();
  await member.call('join:room', { roomId: 'demo' });
  const { page, problems } = await openTab(`${url}/`);
  await page.click('#tab-why');
  const ask = async (who: string, topic: string, offset: string): Promise<void> => {
    await page.fill('#why-who', who);
    await page.fill('#why-topic', topic);
    await page.press('#why-topic', 'Tab');
    await page.fill('#why-offset', offset);
    await page.press('#why-offset', 'Enter');
  };
  await ask(member.welcome.user.id, 'room:demmo', '1');
  await says(page, '#why-answer', /no such topic.*Did you mean room:demo\?/);
  await ask('somebody', 'room:demo', '1');
  await says(page, '#why-user', 'Nobody of that id is here now');
  await says(page, '#why-answer', /no such session.*Nobody called somebody is here/);
  await ask(member.welcome.user.id, 'room:demo', '900');
  await says(page, '#why-answer', /no such offset.*has no event 900/);
  // The browser's own line for the session that is not there.
  t.same(problems, ['Failed to load resource: the server responded with a status of 404 (Not Found)']);
});

t.test('the question is asked from the topic’s own page, and says who is slow', { skip }, async (t) => {
  const { http: url, server, client, openTab } = await startPage(t);
  await server.plugins.rooms.create('demo');
  const slow = await client();
  await slow.call('join:room', { roomId: 'demo' });
  slow.socket.pause();
  for (let n = 0; n < 60; n++) await server.publish('room:demo', 'queue:update', 'x'.repeat(200_000));
  const { page } = await openTab(`${url}/`);
  await page.click('#tab-topics');
  await page.click('[data-topic="room:demo"] button');
  const sid = slow.welcome.session[0];
  await page.click(`[data-testid=subscriber][data-sid="${sid}"] button`);
  await says(page, '#why-answer', /behind.*Behind since .*: its socket does not take more/);
  await says(page, '#why-answer', 'It comes once the socket takes more');
  t.equal(await page.inputValue('#why-topic'), 'room:demo');
});

t.test(
  'a member of the open room whose socket does not read is marked with how far it is behind',
  { skip },
  async (t) => {
    const { http: url, server, client, openTab } = await startPage(t);
    await server.plugins.rooms.create('demo');
    const slow = await client();
    await slow.call('join:room', { roomId: 'demo' });
    const { page, problems } = await openTab(`${url}/#/room/demo`);
    await says(page, '#member-count', '2 online');
    slow.socket.pause();
    for (let n = 0; n < 60; n++) await server.publish('room:demo', 'queue:update', 'x'.repeat(200_000));
    const member = `[data-testid=member][data-user="${slow.welcome.user.id}"]`;
    await says(page, member, /\d+ behind/);
    t.equal(await page.locator('[data-testid=member]', { hasText: 'behind' }).count(), 1, 'it alone');
    slow.socket.resume();
    await page.locator(member, { hasNotText: 'behind' }).waitFor();
    t.same(problems, []);
  },
);
