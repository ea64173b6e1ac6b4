/** Debian's chromium for tests of pages: where it is, when to skip, and tabs that remember what they asked for. */
import { existsSync } from 'node:fs';
import { chromium, type Page } from 'playwright-core';

const CHROMIUM = process.env['ROOMWIRE_CHROMIUM'] ?? '/usr/bin/chromium';
const REQUIRED = process.env['ROOMWIRE_REQUIRE_BROWSER'] === '1';
/** For tap: why there is no browser, where there is none and none is required. */
export const skipBrowser: string | false = !REQUIRED && !existsSync(CHROMIUM) && `no browser at ${CHROMIUM}`;
const QUIET = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Tab {
  readonly page: Page;
  /** Errors and warnings of its console, and what it threw. */
  readonly problems: string[];
  /** Every request that it made over HTTP, such as `GET /api/dashboard/`. */
  readonly requests: string[];
  /** The addresses of the WebSockets that it opened. */
  readonly sockets: string[];
}

/** A browser for this test; each tab has a profile of its own. */
export async function startBrowser(t: { teardown(fn: () => unknown): void }) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: QUIET });
  t.teardown(() => browser.close());
  return {
    async open(url: string): Promise<Tab> {
      const context = await browser.newContext();
      const page = await context.newPage();
      page.setDefaultTimeout(20_000);
      const tab: Tab = { page, problems: [], requests: [], sockets: [] };
      page.on('console', (line) => ['error', 'warning'].includes(line.type()) && tab.problems.push(line.text()));
      page.on('pageerror', (error) => tab.problems.push(String(error)));
      page.on('request', (request) => tab.requests.push(`${request.method()} ${new URL(request.url()).pathname}`));
      page.on('websocket', (socket) => tab.sockets.push(socket.url()));
      await page.goto(url);
      return tab;
    },
  };
}

/** Resolves when an element of this selector has this text; fails with what it had instead. */
export async function says(page: Page, selector: string, text: string | RegExp): Promise<void> {
  const found = page.locator(selector).filter({ hasText: text }).first();
  await found.waitFor({ state: 'visible' }).catch(async () => {
    const all = await page.locator(selector).allInnerTexts();
    throw new Error(`${selector} says ${JSON.stringify(all)}, not ${String(text)}`);
  });
}
