/** The page for whoever has a narrow screen, a keyboard alone, or a screen reader: nothing scrolls sideways, axe finds nothing serious. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { contractWith } from '../../src/cli/default-contract.js';
import { seriousFindings, sideways } from '../support/accessible.js';
import { says, skipBrowser, startBrowser } from '../support/browser.js';
import { startServer } from '../support/server.js';

for (const width of [390, 1280]) {
  t.test(`at ${width} px, in light and dark`, { skip: skipBrowser }, async (t) => {
    const { http: url, server } = await startServer(t, {
      contract: contractWith({}, []),
      plugins: [rooms(), http()] as const,
    });
    const browser = await startBrowser(t);
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await browser.open(url, { viewport: { width, height: 800 }, colorScheme });
      await says(page, 'body', 'live');
      await page.goto(`${url}/#/room/demo`);
      await says(page, 'body', 'demo');
      t.same(await seriousFindings(page), [], 'the rooms');
      t.same(await sideways(page), []);
      for (const tab of await page.locator('[role=tab]').all()) {
        await tab.click();
        const name = await tab.innerText();
        t.same(await seriousFindings(page), [], name);
        t.same(await sideways(page), [], name);
      }
    }
    t.ok(server);
  });
}
