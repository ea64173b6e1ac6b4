/** For screenshots: a program of examples/ on a free port, tokens for it, and a browser to look at it with. */
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const { Buffer } = globalThis;

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const SECRET = 'a-secret-for-screenshots-and-nothing-else';
export const KEY = 'the-key-of-the-backend';

/** Resolves to its address, the line that said it, and how to end it. */
export async function startExample(name, args = []) {
  const env = { ...process.env, JWT_SECRET: SECRET, API_KEY: KEY, WEBHOOK_SECRET: KEY };
  const command = [`${root}scripts/example.mjs`, name, '--port', '0', ...args];
  const child = spawn(process.execPath, command, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const errors = [];
  createInterface(child.stderr).on('line', (line) => errors.push(line));
  const lines = createInterface(child.stdout);
  for (;;) {
    const [line] = await Promise.race([once(lines, 'line'), once(child, 'exit')]);
    if (typeof line !== 'string') throw new Error(`examples/${name} ended by itself:\n${errors.join('\n')}`);
    const [url] = /http:\/\/[\w.:]+/.exec(line) ?? [];
    if (url !== undefined) return { url, line, stop: () => child.kill() };
  }
}

export function token(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ exp: Math.floor(Date.now() / 1000) + 3600, ...claims })}`;
  return `${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`;
}

export async function startBrowser() {
  const browser = await chromium.launch({
    executablePath: process.env['ROOMWIRE_CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  });
  return {
    /** A tab with a profile of its own. */
    async open(url, { width = 1120, height = 700, scale = 1, colorScheme = 'light' } = {}) {
      const viewport = { width, height };
      const context = await browser.newContext({ colorScheme, viewport, deviceScaleFactor: scale });
      const page = await context.newPage();
      page.setDefaultTimeout(20_000);
      if (url !== undefined) await page.goto(url);
      return page;
    },
    close: () => browser.close(),
  };
}
