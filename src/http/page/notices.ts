/** Short messages in the corner, read out by screen readers, that go away by themselves. */
import { RoomwireError } from '../../client/index.js';
import { messageOf } from '../../protocol/code-texts.js';
import { byId, h } from './dom.js';
import { untwisted } from './isolated.js';

const SHOWN_MS = 8_000;
const MAX_SHOWN = 4;

export function notice(text: string, kind: 'info' | 'problem' = 'info'): void {
  const box = byId('notices', HTMLDivElement);
  const close = h('button', { type: 'button', class: 'link', 'aria-label': 'Dismiss' }, '✕');
  const item = h('p', { class: `notice ${kind}`, 'data-testid': 'notice' }, h('span', {}, text), close);
  close.addEventListener('click', () => item.remove());
  box.append(item);
  while (box.children.length > MAX_SHOWN) box.firstElementChild?.remove();
  setTimeout(() => item.remove(), SHOWN_MS);
}

export function textOf(error: unknown): string {
  if (error instanceof RoomwireError) return `${error.name}: ${untwisted(messageOf(error))}`;
  return untwisted(error instanceof Error ? error.message : String(error));
}

/** Runs what a click started; its failure becomes a notice. */
export function attempt(work: () => Promise<unknown>): void {
  work().catch((error: unknown) => notice(textOf(error), 'problem'));
}
