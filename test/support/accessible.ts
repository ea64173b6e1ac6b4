/** What axe-core finds of a page, and whether it scrolls sideways. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Axe {
  run(): Promise<{
    violations: { id: string; impact: string; nodes: { html: string; failureSummary?: string }[] }[];
  }>;
}

/** Serious and critical ones, each with the elements. */
export async function seriousFindings(page: Page): Promise<string[]> {
  // Evaluated, not added as an element: the page's policy allows no other scripts.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { violations } = await (window as unknown as { axe: Axe }).axe.run();
    return violations
      .filter(({ impact }) => ['serious', 'critical'].includes(impact))
      .flatMap(({ id, nodes }) =>
        nodes.map(({ html, failureSummary = '' }) => `${id}: ${html.slice(0, 160)} ${failureSummary.slice(0, 200)}`),
      );
  });
}

/** What is wider than its place and scrolls sideways for it: the page, or a part of it. */
export function sideways(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('html, body *')]
      .filter((element) => {
        const isScrolled = element.tagName === 'HTML' || /auto|scroll/.test(getComputedStyle(element).overflowX);
        // A field of text scrolls within itself.
        return (
          isScrolled && !['INPUT', 'TEXTAREA'].includes(element.tagName) && element.scrollWidth > element.clientWidth
        );
      })
      .map(
        ({ tagName, id, className, scrollWidth, clientWidth }) =>
          `${tagName.toLowerCase()}#${id}.${className}: ${scrollWidth} in ${clientWidth}`,
      ),
  );
}
