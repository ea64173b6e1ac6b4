/**
 * Makes examples/<name>/page.png: the example's page in a real browser, with its program running, in the middle of some work.
 *
 *   npm run docs:example-screenshots [-- <name>]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const { fetch } = globalThis;
const root = fileURLToPath(new URL('..', import.meta.url));

const scenes = {
  async 'election-updates'(tab, lines) {
    const links = Object.fromEntries(lines.flatMap((line) => [[...line.split(': ')].map((part) => part.trim())]));
    const [, token] = links['Ada, admin'].split('#');
    const backend = new URL(links['Ada, admin']).origin;
    const post = async (path, body) => {
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(`${backend}/api/${path}/`, { method: 'POST', headers, body: JSON.stringify(body) });
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return response.json();
    };
    const page = await tab(links['Ben, committee 3']);
    await page.locator('#state.live').waitFor();
    await page.locator('#votes', { hasText: '0' }).waitFor();
    const import_ = Array.from({ length: 1280 }, (_, i) => ({
      committee_id: i % 2 ? 3 : 5,
      voter: `Voter ${i}`,
      status: i % 3 ? 'confirmed' : 'pending',
    }));
    await post('guarantees/import', import_);
    for (const [candidate, votes] of [
      ['Okafor', 812],
      ['Lindqvist', 655],
      ['Marchetti', 431],
      ['Haddad', 208],
    ]) {
      await post('voting', { committee_id: 3, election_id: 1, candidate, votes });
    }
    for (const voter of ['Ines Duarte', 'Tom Becker', 'Aiko Mori']) {
      await post('attendance', { committee_id: 3, voter, present: true });
    }
    await post('guarantees', { committee_id: 5, voter: 'Lena Novak', status: 'confirmed' });
    await page.locator('#feed li', { hasText: 'Lena Novak' }).waitFor();
    return page;
  },
};

const [only] = process.argv.slice(2);
for (const [name, scene] of Object.entries(scenes)) {
  if (only === undefined || only === name) await shoot(name, scene);
}

async function shoot(name, scene) {
  const program = spawn(process.execPath, [`${root}scripts/example.mjs`, name, '--port', '0', '--backend-port', '0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const browser = await chromium.launch({
    executablePath: process.env['ROOMWIRE_CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  });
  try {
    const lines = [];
    const printed = createInterface(program.stdout).on('line', (line) => lines.push(line));
    // The links to sign in are the last that it prints.
    while (lines.filter((line) => line.includes('#')).length < 3) await once(printed, 'line');
    const tab = async (url) => {
      const context = await browser.newContext({ viewport: { width: 1120, height: 640 } });
      const page = await context.newPage();
      page.setDefaultTimeout(20_000);
      await page.goto(url);
      return page;
    };
    const page = await scene(tab, lines);
    const file = `${root}examples/${name}/page.png`;
    await page.screenshot({ path: file, animations: 'disabled' });
    console.log(`${file}: ${statSync(file).size} bytes`);
  } finally {
    await browser.close();
    program.kill();
  }
}
