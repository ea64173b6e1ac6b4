/** A person without a mouse: Tab goes from one thing to the next, and what it never comes to cannot be used. */
import type { Page } from 'playwright-core';

/** More stops than any page has. */
const MOST = 200;

/** Presses Tab until what the selector names has the focus. Fails with the stops on the way. */
export async function tabTo(page: Page, selector: string): Promise<void> {
  const passed: string[] = [];
  while (passed.length < MOST) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate((selector) => {
      const at = document.activeElement;
      return at === null || at.matches(selector) ? null : `${at.tagName}#${at.id}`;
    }, selector);
    if (stop === null) return;
    passed.push(stop);
  }
  throw new Error(`Tab does not come to ${selector}: ${[...new Set(passed)].join(', ')}`);
}

/** What looks as if it could be used, and a whole round of Tab did not come to. Tabs of a tool are for the arrow keys. */
export async function unreached(page: Page): Promise<string[]> {
  await page.evaluate(() => {
    const reached = new Set<EventTarget>();
    document.addEventListener('focusin', ({ target }) => target !== null && reached.add(target));
    Object.assign(window, { reached });
    (document.activeElement as HTMLElement | null)?.blur();
  });
  for (let stops = 0, before = -1; stops < MOST && stops !== before;) {
    before = stops;
    for (let n = 0; n < 20; n++) await page.keyboard.press('Tab');
    stops = await page.evaluate(() => (window as unknown as { reached: Set<unknown> }).reached.size);
  }
  return page.evaluate(() => {
    const { reached } = window as unknown as { reached: Set<Element> };
    const controls = 'a[href], button, input, select, textarea, summary, [onclick], [tabindex="0"]';
    const isUsable = (element: Element): boolean =>
      element.matches(controls) || ['pointer', 'grab'].includes(getComputedStyle(element).cursor);
    const isReached = (element: Element): boolean => {
      for (let at: Element | null = element; at !== null; at = at.parentElement) {
        if (reached.has(at) || (at instanceof HTMLLabelElement && at.control !== null && reached.has(at.control)))
          return true;
      }
      return false;
    };
    return [...document.querySelectorAll('body *')]
      .filter(
        (element) =>
          element.getClientRects().length > 0 &&
          isUsable(element) &&
          element.closest(':disabled, [aria-disabled=true], [role=tab]') === null &&
          !isReached(element),
      )
      .map((element) => element.outerHTML.slice(0, 160));
  });
}
