/** Debian's chromium for tests of pages: where it is, when to skip, and tabs that remember what they asked for. */
import { existsSync } from 'node:fs';
import { chromium, type BrowserContextOptions, type Page } from 'playwright-core';
import { decodeAll } from '../../src/protocol/codec.js';
import { Op } from '../../src/protocol/frames.js';
import { shown } from './until.js';

export const CHROMIUM = process.env['ROOMWIRE_CHROMIUM'] ?? '/usr/bin/chromium';
/** Until `eventually` gives up. */
const EVENTUALLY_MS = 60_000;
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
  // A page that a test makes up comes from nowhere, which may not speak to this machine otherwise.
  '--disable-features=LocalNetworkAccessChecks',
];

export interface Tab {
  readonly page: Page;
  /** Errors and warnings of its console, and what it threw. */
  readonly problems: string[];
  /** All lines of its console. */
  readonly said: string[];
  /** Every request that it made over HTTP, such as `GET /api/dashboard/`. */
  readonly requests: string[];
  /** The addresses of the WebSockets that it opened. */
  readonly sockets: string[];
  /** The calls it sent over them, such as `join:room demo`. A test is told a little after the server. */
  readonly calls: string[];
}

/** A browser for this test; each tab has a profile of its own. */
export async function startBrowser(t: { teardown(fn: () => unknown): void }) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: QUIET });
  t.teardown(() => browser.close());
  return {
    /**
     * `script`: what the page at this address is to be, instead of what the server has there. `clock`: the page's timers run on
     * `page.clock`, which can be moved on.
     */
    async open(
      url: string,
      options: BrowserContextOptions & { readonly script?: string; readonly clock?: boolean } = {},
    ): Promise<Tab> {
      const { script, clock = false, ...rest } = options;
      const context = await browser.newContext(rest);
      if (script !== undefined) {
        const code = script.replaceAll('</script', '<\\/script');
        const body = `<!doctype html><link rel="icon" href="data:,"><body><script>${code}</script>`;
        await context.route(url, (route) => route.fulfill({ contentType: 'text/html', body }));
      }
      const page = await context.newPage();
      page.setDefaultTimeout(20_000);
      const tab: Tab = { page, problems: [], said: [], requests: [], sockets: [], calls: [] };
      page.on('console', (line) => ['error', 'warning'].includes(line.type()) && tab.problems.push(line.text()));
      page.on('console', (line) => tab.said.push(line.text()));
      page.on('pageerror', (error) => tab.problems.push(String(error)));
      page.on('request', (request) => tab.requests.push(`${request.method()} ${new URL(request.url()).pathname}`));
      page.on('websocket', (socket) => {
        tab.sockets.push(socket.url());
        socket.on('framesent', ({ payload }) => {
          // Of another protocol than ours.
          if (typeof payload === 'string') return;
          for (const [op, , name, input] of decodeAll(payload)) {
            const { roomId = '' } = (input ?? {}) as { readonly roomId?: string };
            if (op === Op.CALL) tab.calls.push(`${name as string} ${roomId}`.trim());
          }
        });
      });
      if (clock) await page.clock.install();
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

/** Resolves when the condition holds, and fails, naming it, when it never does; looks again after a while, which leaves the machine to the browser. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + EVENTUALLY_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${EVENTUALLY_MS} ms: ${shown(condition)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves when the first row of a table that fits has these cells, of which the last may be left out. */
export async function rowSays(page: Page, row: string, cells: readonly string[]): Promise<void> {
  const wanted = { row, cells };
  await page
    .waitForFunction(({ row, cells }) => {
      const found = [...(document.querySelector(row)?.children ?? [])].map((cell) => cell.textContent);
      return cells.every((cell, i) => found[i] === cell);
    }, wanted)
    .catch(async () => {
      const all = await page.locator(row).allInnerTexts();
      throw new Error(`${row} says ${JSON.stringify(all)}, not ${cells.join(' | ')}`);
    });
}
