/** The pages of examples/zndraw-rooms in a real browser: what the team wanted its users to see, in two and three tabs. */
import t from 'tap';
import type { Contract } from '../../examples/zndraw-rooms/contract.js';
import { seriousFindings, sideways } from '../support/accessible.js';
import { skipBrowser as skip, says } from '../support/browser.js';
import { startExample } from '../support/example.js';
import { freePort } from '../support/free-port.js';
import { until } from '../support/until.js';
import { gone, joined, room, start, upload, XYZ } from './zndraw-page.js';

t.test('rooms, uploads under the lock, and back: on one WebSocket, whatever page is shown', { skip }, async (t) => {
  const { person } = await start(t);
  const [alice, bob] = [await person('alice'), await person('bob')];
  const [a, b] = [alice.page, bob.page];
  for (const page of [a, b]) await says(page, '[data-testid=rooms-status]', 'live');
  await says(b, '.list', 'No rooms here yet.');

  await a.fill('#new-room', 'water');
  await a.press('#new-room', 'Enter');
  await joined(a);
  t.match(new URL(a.url()).pathname, /^\/rooms\/water\/[\w-]{8}$/);
  await says(b, room('water'), '0 frames');
  t.equal(bob.count('GET /api/rooms'), 1, 'it came by itself');

  await a.fill('[aria-label="Why you take the lock"]', 'Uploading');
  await a.click('[data-testid=take]');
  await says(b, `${room('water')} [data-testid=lock-pill]`, 'alice Uploading');
  t.match(await b.locator(`${room('water')} .yellow`).count(), 1, 'a yellow pill');
  await b.click(`${room('water')} a`);
  await joined(b);
  await says(b, '[data-testid=lock-state]', 'alice writes.');
  t.ok(await b.locator('[data-testid=upload-demo]').isDisabled());
  await upload(a, 'water.xyz', XYZ);
  await says(b, '[data-testid=lock-pill]', 'alice Uploading water.xyz: 3 of 3');
  await says(b, '[data-testid=frame]', '0 / 3');
  await says(b, '.facts', '3 atoms');
  await a.click('[data-testid=release]');
  await gone(b, '[data-testid=lock-pill]');
  await upload(b, 'broken.xyz', '3\nwater\nO 0 0\n');
  await says(b, '[data-testid=notice]', 'line 3 is no atom: O 0 0');
  await upload(b, 'more.xyz', XYZ);
  await says(a, '[data-testid=frame]', '0 / 6');
  await gone(a, '[data-testid=lock-pill]');

  await a.click('[data-testid=lock-for-good]');
  await says(b, '[data-testid=locked-pill]', 'locked');
  t.match(await b.locator('.head .red').count(), 1, 'a red pill');
  await says(b, '[data-testid=lock-state]', 'The room is locked for good.');
  await a.click('[data-testid=back]');
  await says(a, `${room('water')} [data-testid=locked-pill]`, 'locked');
  await b.click('[data-testid=lock-for-good]');
  await gone(a, '[data-testid=locked-pill]');
  bob.answer('Widening water');
  await b.click('[data-testid=describe]');
  await says(a, room('water'), 'Widening water');
  await b.click('[data-testid=hide]');
  await gone(a, room('water'));
  await b.click('[data-testid=hide]');
  await says(a, room('water'), '6 frames');

  // The browser's own way back, and forth.
  await a.goBack();
  await joined(a);
  await a.goForward();
  await says(a, '[data-testid=rooms-status]', 'live');
  await a.click(`${room('water')} a`);
  await joined(a);
  alice.answer();
  await a.click('[data-testid=delete]');
  for (const page of [a, b]) {
    await says(page, '[data-testid=notice]', 'water was deleted.');
    await says(page, '.list', 'No rooms here yet.');
  }
  for (const { problems, sockets } of [alice, bob]) {
    t.same(problems, [], 'nothing went wrong in the tab');
    t.equal(sockets.length, 1, 'exactly one WebSocket');
  }
});

t.test('who presents moves the frame of all who follow; others are free again when they like', { skip }, async (t) => {
  const { person } = await start(t);
  const [alice, bob] = [await person('alice', '/rooms/demo'), await person('bob', '/rooms/demo')];
  const [a, b] = [alice.page, bob.page];
  await says(b, '[data-testid=no-room]', 'There is no room demo.');
  await a.getByText('Create it').click();
  await joined(a);
  await b.reload();
  await joined(b);
  await says(b, '[data-testid=me]', 'bob');
  await a.click('[data-testid=upload-demo]');
  await says(b, '[data-testid=frame]', '0 / 120');

  await a.getByText('Present', { exact: true }).click();
  await says(b, '[data-testid=presenter]', 'alice presents, you follow');
  await a.getByLabel('Frame', { exact: true }).fill('40');
  await says(b, '[data-testid=frame]', '40 / 120');
  const cara = await person('cara', '/rooms/demo');
  await says(cara.page, '[data-testid=frame]', '40 / 120');
  await says(cara.page, '[data-testid=member]', /alice.*host.*presents/s);
  t.ok(await b.getByLabel('Frame', { exact: true }).isDisabled());
  await b.getByLabel('follow alice').uncheck();
  await b.getByLabel('Frame', { exact: true }).fill('7');
  await a.getByLabel('Frame', { exact: true }).fill('50');
  await says(cara.page, '[data-testid=frame]', '50 / 120');
  await says(b, '[data-testid=frame]', '7 / 120');
  await b.getByLabel('follow alice').check();
  await says(b, '[data-testid=frame]', '50 / 120');
  await a.click('[data-testid=play]');
  await b.waitForFunction(() => !document.body.innerText.includes('50 / 120'));
  await a.click('[data-testid=play]');
  await says(b, '[data-testid=frame]', await a.innerText('[data-testid=frame]'));
  await a.getByText('Stop presenting').click();
  await gone(b, '[data-testid=presenter]');
  t.ok(await b.getByLabel('Frame', { exact: true }).isEnabled());
  t.same([alice.problems, cara.problems], [[], []]);
});

t.test('chat, scene, bookmarks, selection and jobs are the same on all screens', { skip }, async (t) => {
  const { person, url } = await start(t);
  const [alice, bob] = [await person('alice', '/rooms/demo'), await person('bob', '/rooms')];
  const [a, b] = [alice.page, bob.page];
  await a.getByText('Create it').click();
  await joined(a);
  await a.click('[data-testid=upload-demo]');
  await b.click(`${room('demo')} a`);
  await joined(b);
  await says(b, '[data-testid=frame]', '0 / 120');

  await a.fill('#chat-text', 'Hello <b>there</b>');
  await a.press('#chat-text', 'Enter');
  await says(b, '[data-testid=message]', 'Hello <b>there</b>');
  t.equal(await b.getByText('edit', { exact: true }).count(), 0, 'only one’s own');
  await a.getByText('edit', { exact: true }).click();
  await a.getByLabel('The message, edited').fill('Hello all');
  await a.press('[aria-label="The message, edited"]', 'Enter');
  await says(b, '[data-testid=message]', 'Hello all (edited)');

  await a.getByLabel('Frame', { exact: true }).fill('30');
  alice.answer('widest');
  await a.click('[data-testid=bookmark-it]');
  await a.click('[data-testid=choose]');
  await says(b, '[data-testid=bookmark]', 'widest');
  await b.locator('[data-testid=chosen]').waitFor();
  await b.click('[data-testid=bookmark]');
  await says(b, '[data-testid=frame]', '30 / 120');
  await b.getByText('box', { exact: true }).click();
  await a.locator('button[aria-pressed=true]', { hasText: 'box' }).waitFor();
  await b.getByText('bonds', { exact: true }).click();
  await a.locator('button[aria-pressed=false]', { hasText: 'bonds' }).waitFor();
  await b.getByText('plot', { exact: true }).click();
  await a.locator('[data-testid=plot]').waitFor();
  // In the middle of the picture there is an atom, unless it is turned.
  const { width, height } = (await a.locator('[data-testid=molecule]').boundingBox()) ?? { width: 0, height: 0 };
  for (let x = 0.3; x < 0.7; x += 0.02) {
    await a.click('[data-testid=molecule]', { position: { x: width * x, y: height / 2 } });
    if ((await a.innerText('.facts')).includes('selected')) break;
  }
  await says(b, '.facts', '1 selected');

  await b.fill('[aria-label="Work for a script"]', 'relax');
  await b.press('[aria-label="Work for a script"]', 'Enter');
  await says(a, '[data-testid=job]', /relax bob\s*queued/);
  const body = JSON.stringify({ userName: 'worker' });
  const login = await fetch(`${url}/api/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  const { token } = (await login.json()) as { token: string };
  await fetch(`${url}/api/rooms/demo/jobs/take`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  await says(a, '[data-testid=job]', /relax bob\s*running/);
  await a.getByLabel('take relax away').click();
  await gone(b, '[data-testid=job]');
  for (const { problems, sockets } of [alice, bob]) {
    t.same(problems, []);
    t.equal(sockets.length, 1);
  }
});

t.test('the default room is starred for all, and the first page of whoever comes', { skip }, async (t) => {
  const { person } = await start(t);
  const [alice, bob] = [await person('alice'), await person('bob')];
  const [a, b] = [alice.page, bob.page];
  for (const id of ['one', 'two']) {
    await a.fill('#new-room', id);
    await a.press('#new-room', 'Enter');
    await joined(a);
    await a.click('[data-testid=back]');
  }
  const starred = (id: string): Promise<void> => b.locator(`${room(id)} .star[aria-pressed=true]`).waitFor();
  await a.click(`${room('one')} .star`);
  await starred('one');
  await a.click(`${room('two')} .star`);
  await starred('two');
  t.equal(await b.locator('.star[aria-pressed=true]').count(), 1);
  const cara = await person('cara', '/');
  await joined(cara.page);
  t.match(new URL(cara.page.url()).pathname, /^\/rooms\/two\//);
  for (const { sockets, problems } of [alice, bob, cara]) {
    t.equal(sockets.length, 1);
    t.same(problems, []);
  }
});

t.test(
  'the rooms page joins the overview, a room page its room, and each is left for the other',
  { skip },
  async (t) => {
    const { person } = await start(t);
    const alice = await person('alice');
    const { page, calls } = alice;
    const times = (call: string): number => calls.filter((made) => made === call).length;
    await until(() => times('join:overview') === 1);
    await page.fill('#new-room', 'one');
    await page.press('#new-room', 'Enter');
    await joined(page);
    await until(() => times('join:room one') === 1);
    await page.click('[data-testid=back]');
    await says(page, '[data-testid=rooms-status]', 'live');
    await until(() => times('join:overview') === 2 && times('leave:room one') === 1);
    t.equal(times('join:room one'), 1, 'with all its parts, the page joined it once');
    t.equal(alice.sockets.length, 1);
  },
);

t.test('pages go on by themselves after the program was restarted, where they were', { skip }, async (t) => {
  const args = ['--data', t.testdir(), '--port', String(await freePort())];
  const options = { args, env: { JWT_SECRET: 'a-secret-of-at-least-32-bytes-length!' } };
  const { person, child, gone: ended } = await start(t, options);
  const { page, problems } = await person('alice', '/rooms/demo');
  await page.getByText('Create it').click();
  await joined(page);
  await upload(page, 'water.xyz', XYZ);
  await says(page, '[data-testid=frame]', '0 / 3');
  await page.getByLabel('Frame', { exact: true }).fill('2');
  problems.length = 0;
  child.kill('SIGTERM');
  await ended;
  await says(page, '.connection', 'offline');
  const { ask } = await startExample<Contract>(t, 'zndraw-rooms', options);
  await says(page, '.connection', 'live');
  await joined(page);
  await says(page, '[data-testid=frame]', '2 / 3');
  const login = await ask('/api/login', { method: 'POST', body: { userName: 'bob' } });
  const frames = [{ positions: [[0, 0, 0]], numbers: [6] }];
  await ask('/api/rooms/demo/frames', { method: 'POST', token: String(login.body['token']), body: { frames } });
  await says(page, '[data-testid=frame]', '2 / 4');
  // The browser says so of each try while nobody listens.
  t.same(
    problems.filter((problem) => !problem.includes('ERR_CONNECTION_REFUSED')),
    [],
  );
});

t.test('a token that is good no longer asks for a name again', { skip }, async (t) => {
  const { person } = await start(t);
  const { page } = await person('alice');
  await page.evaluate(() => {
    const session = JSON.parse(sessionStorage.getItem('session') ?? '{}') as { token: string };
    sessionStorage.setItem('session', JSON.stringify({ ...session, token: `${session.token}x` }));
  });
  await page.reload();
  await page.locator('#name').waitFor();
  await page.fill('#name', 'alice again');
  await page.press('#name', 'Enter');
  await says(page, '[data-testid=rooms-status]', 'live');
});

t.test('on a phone nothing scrolls sideways, and axe finds nothing serious, in light and dark', { skip }, async (t) => {
  const { person } = await start(t);
  const { page } = await person('alice');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const width of [390, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      const where = `${width} px, ${colorScheme}`;
      t.same(await seriousFindings(page), [], `rooms, ${where}`);
      t.same(await sideways(page), [], `rooms, ${where}`);
    }
  }
  await page.fill('#new-room', 'water');
  await page.press('#new-room', 'Enter');
  await joined(page);
  await upload(page, 'water.xyz', XYZ);
  await says(page, '[data-testid=frame]', '0 / 3');
  await page.fill('#chat-text', 'hello');
  await page.press('#chat-text', 'Enter');
  await says(page, '[data-testid=message]', 'hello');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const width of [390, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      const where = `${width} px, ${colorScheme}`;
      t.same(await seriousFindings(page), [], `a room, ${where}`);
      t.same(await sideways(page), [], `a room, ${where}`);
    }
  }
});
