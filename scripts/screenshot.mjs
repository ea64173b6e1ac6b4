/**
 * Makes docs/page.png: the page in a real browser, on a real server, in the middle of some work.
 *
 *   npm run docs:screenshot [-- file.png [dark|light [width]]]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const { fetch } = globalThis;
const root = fileURLToPath(new URL('..', import.meta.url));
const [file = `${root}docs/page.png`, colorScheme = 'light', width = '1280'] = process.argv.slice(2);

const server = spawn(process.execPath, [`${root}dist/cli/main.js`, 'serve', '--memory', '--port', '0'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
server.stdout.setEncoding('utf8');
const [line] = await once(server.stdout, 'data');
const [url] = /http:\/\/\S+/.exec(line) ?? [];
if (url === undefined) throw new Error(`the server said no address: ${line}`);
const browser = await chromium.launch({
  executablePath: process.env['ROOMWIRE_CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
});

try {
  for (const [room, fields] of [
    ['crystal-growth', { description: 'Copper, 300 K, second run' }],
    ['lobby', { description: 'Where everyone starts' }],
    ['protein-fold', { description: 'Read only: published', locked: true }],
    ['water-box', { frameCount: 1200 }],
  ]) {
    await ask('POST', `rooms/${room}`, fields);
  }
  await ask('PUT', 'default-room', { roomId: 'lobby' });
  await ask('POST', 'rooms/water-box/locks/trajectory:meta', { msg: 'nightly import', ttl: 60_000 });

  const [ann, bob, eve] = [await open(), await open(), await open()];
  await enter(bob, 'crystal-growth');
  await enter(ann, 'crystal-growth');
  await enter(eve, 'crystal-growth');
  await say(bob, 'The second run is done: 1,200 frames. Shall I upload them?');
  await say(ann, 'Please do. I keep my hands off until you are through.');
  await bob.fill('#lock-message', 'Uploading frames');
  await bob.click('#lock-take');
  await bob.locator('#lease').waitFor();
  await say(bob, 'Under way. The lock says so.');
  await eve.click('#presenter-take');
  await say(eve, 'Then I show the first run meanwhile.');
  await ann.locator('#presenter-state', { hasText: /\w+-\d+/ }).waitFor();
  await ann.fill('#lock-message', 'Fixing a typo');
  await ann.click('#lock-take');
  await ann.locator('#refusal').waitFor();
  await ann.locator('[data-testid=chat-message]').nth(3).waitFor();
  await ann.fill('#lock-message', '');
  const queue = (waiting) => ({ topic: 'room:water-box', event: 'queue:update', data: { waiting } });
  const note = (id) => ({ topic: `user:${id}`, event: 'note', data: { unread: 1 } });
  await ask('POST', 'publish', { messages: Array.from({ length: 120 }, (_, i) => queue(i)) });
  await ask('POST', 'publish', { messages: [note('ann'), note('bob')] });
  await ann.click('#tab-topics');
  await ann.click('[data-topic="room:crystal-growth"] button');
  await ann.locator('[data-testid=subscriber]').nth(2).waitFor();
  await ann.locator('#room-title').click();
  mkdirSync(dirname(file), { recursive: true });
  await ann.screenshot({ path: file });
  console.log(`${file}: ${statSync(file).size} bytes`);
} finally {
  await browser.close();
  server.kill();
}

async function ask(method, path, body) {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}api/${path}`, { method, headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
}

async function open() {
  const context = await browser.newContext({ colorScheme, viewport: { width: Number(width), height: 860 } });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  await page.goto(url);
  await page.locator('#rooms-status', { hasText: 'live' }).waitFor();
  return page;
}

async function enter(page, room) {
  await page.click(`[data-room=${room}] a`);
  await page.locator('#room[aria-busy=false]').waitFor();
}

async function say(page, text) {
  await page.fill('#chat-text', text);
  await page.press('#chat-text', 'Enter');
  await page.locator('[data-testid=chat-message]', { hasText: text }).waitFor();
}
