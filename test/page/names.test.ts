/** Names of others in the page: each in an isolate of its own, alone and in sentences. */
import fc from 'fast-check';
import t from 'tap';
import { isolated } from '../../src/http/page/isolated.js';
import { says, skipBrowser } from '../support/browser.js';
import { startPage } from '../support/page.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { RLO, UNSEEN } from '../support/unseen.js';

t.test('a name in a sentence cannot leave its isolate', async () => {
  const part = fc.constantFrom(...UNSEEN, 'a', 'ש', ' ');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const within = isolated(parts.join('')).replace(/^\u2068(.*)\u2069$/su, '$1');
      return !/[\u202a-\u202e\u2066-\u2069]/.test(within);
    }),
  );
});

t.test('the page isolates the names of others, alone and in sentences', { skip: skipBrowser }, async (t) => {
  const s = await startPage(t, { auth: { secret: SECRET } });
  const name = `Ann ${RLO}txt.exe`;
  const ann = await s.client({ token: await tokenFor('ann', { name }) });
  await ann.call('join:room', { roomId: 'demo', create: true });
  const { page, problems } = await s.openTab(`${s.http}/`);
  await page.fill('#token', await tokenFor('bob'));
  await page.press('#token', 'Enter');
  await says(page, '#connection', 'live');
  await page.click('[data-room=demo] a');
  await ann.call('lock:acquire', { roomId: 'demo', msg: `busy ${RLO}` });
  await says(page, '#lock-state', /holds it/);
  const sentence = await page.innerText('#lock-state');
  t.match(sentence, 'Ann \\u202etxt.exe');
  t.notMatch(sentence, RLO);
  const bare = await page.evaluate((override) => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found: string[] = [];
    let seen = 0;
    while (walker.nextNode()) {
      const { parentElement: element, textContent: text } = walker.currentNode;
      if (element === null || text?.includes(override) !== true) continue;
      seen++;
      if (getComputedStyle(element).unicodeBidi !== 'isolate') found.push(element.outerHTML);
    }
    return { found, seen };
  }, RLO);
  t.same(bare.found, []);
  t.ok(bare.seen > 0, 'a name alone in its element is shown as it is');
  t.same(problems, []);
});
