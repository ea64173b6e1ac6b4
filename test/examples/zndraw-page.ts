/** The pages of examples/zndraw-rooms, started for a test: people who have signed in, and what they do. */
import type { Page } from 'playwright-core';
import type { Test } from 'tap';
import type { Contract } from '../../examples/zndraw-rooms/contract.js';
import { says, startBrowser } from '../support/browser.js';
import { startExample } from '../support/example.js';

/** Three frames of a molecule of water, which widens. */
export const XYZ = [0.9, 1, 1.1].map((at) => `3\nwater\nO 0 0 0\nH ${at} 0.3 0\nH -${at} 0.3 0\n`).join('');

export async function start(t: Test, options: Parameters<typeof startExample>[2] = {}) {
  const program = await startExample<Contract>(t, 'zndraw-rooms', options);
  const { url } = program;
  const browser = await startBrowser(t);
  return {
    ...program,
    /** A tab of somebody who has signed in. `at`: through a proxy. */
    async person(name: string, path = '/rooms', at = url) {
      const tab = await browser.open(at + path);
      const { page } = tab;
      await page.fill('#name', name);
      await page.press('#name', 'Enter');
      await says(page, '[data-testid=me]', name);
      return {
        ...tab,
        /** Answers dialogs with this. */
        answer: (text?: string) => page.once('dialog', (dialog) => void dialog.accept(text)),
        count: (request: string) => tab.requests.filter((made) => made === request).length,
      };
    },
  };
}
export const room = (id: string): string => `[data-room=${id}]`;
export const gone = (page: Page, selector: string): Promise<void> =>
  page.locator(selector).waitFor({ state: 'detached' });
export const joined = (page: Page): Promise<void> =>
  page.locator('[data-testid=room-page][data-status=joined]').waitFor();

export async function upload(page: Page, name: string, text: string): Promise<void> {
  await page.setInputFiles('input[type=file]', { name, mimeType: 'chemical/x-xyz', buffer: Buffer.from(text) });
}
