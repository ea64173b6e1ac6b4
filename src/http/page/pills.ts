/** The marks a room carries wherever it is named: default, permanently locked, locked for now. */
import type { RoomMetadata } from '../../client/index.js';
import { h } from './dom.js';
import { isolated } from './isolated.js';

type Marked = Pick<RoomMetadata, 'isDefault' | 'locked' | 'metadataLocked' | 'hidden'>;

export function pillsOf({ isDefault, locked, metadataLocked, hidden }: Marked): HTMLElement[] {
  const pills: HTMLElement[] = [];
  if (isDefault)
    pills.push(h('span', { class: 'star', title: 'the default room', role: 'img', 'aria-label': 'default room' }, '★'));
  if (locked) pills.push(h('span', { class: 'pill red', 'data-testid': 'locked-pill' }, 'locked for good'));
  if (metadataLocked !== null) {
    const { userName, msg } = metadataLocked;
    const text = `locked by ${isolated(userName)}${msg === null ? '' : `: ${isolated(msg)}`}`;
    pills.push(h('span', { class: 'pill yellow', 'data-testid': 'lock-pill', title: text }, text));
  }
  if (hidden) pills.push(h('span', { class: 'pill' }, 'hidden'));
  return pills;
}
