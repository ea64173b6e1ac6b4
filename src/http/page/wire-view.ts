/** The wire panel: the last frames that this tab's socket sent and received. */
import { byId, h, setText, timeOf } from './dom.js';
import { RollingLog } from './rolling-log.js';
import { jsonOf, type SeenFrame } from './tap.js';

const MAX_FRAMES = 200;
const MAX_CHARACTERS = 4_000;
const ways = { sent: '↑', received: '↓', socket: '•' } as const;

export class WireView {
  readonly #count = byId('wire-count', HTMLSpanElement);
  readonly #log: RollingLog<SeenFrame>;
  #total = 0;
  #bytes = 0;

  constructor() {
    this.#log = new RollingLog({
      list: byId('wire-log', HTMLOListElement),
      pause: byId('wire-pause', HTMLButtonElement),
      row,
      max: MAX_FRAMES,
      drawn: (missed) => {
        const later = missed > 0 ? `, ${missed} while paused` : '';
        setText(this.#count, `${this.#total} frames, ${size(this.#bytes)}${later}`);
      },
    });
    byId('wire-clear', HTMLButtonElement).addEventListener('click', () => this.#log.replace([]));
  }

  show(): void {
    this.#log.show();
  }

  add(frame: SeenFrame): void {
    if (frame.direction !== 'socket') this.#total++;
    this.#bytes += frame.size;
    this.#log.add(frame);
  }
}

function row(frame: SeenFrame): HTMLElement {
  const { direction, op, at, size: bytes } = frame;
  const json = jsonOf(frame);
  return h(
    'li',
    { class: direction, 'data-testid': 'frame', 'data-op': op },
    h('time', {}, timeOf(at)),
    h('span', { class: 'way', role: 'img', 'aria-label': direction, title: direction }, ways[direction]),
    h('b', {}, op),
    h('code', {}, json.length > MAX_CHARACTERS ? `${json.slice(0, MAX_CHARACTERS)}…` : json),
    h('span', { class: 'size' }, bytes === 0 ? '' : size(bytes)),
  );
}

function size(bytes: number): string {
  return bytes < 1_000 ? `${bytes} B` : `${(bytes / 1_000).toFixed(1)} kB`;
}
