/** The wire panel: the last frames sent and received, drawn at most once per animation frame. */
import { byId, h, isAtEnd, setText } from './dom.js';
import { jsonOf, type SeenFrame } from './tap.js';

const MAX_FRAMES = 200;
const MAX_CHARACTERS = 4_000;
const ways = { sent: '↑', received: '↓', socket: '•' } as const;

export class WireView {
  readonly #log = byId('wire-log', HTMLOListElement);
  readonly #count = byId('wire-count', HTMLSpanElement);
  readonly #pause = byId('wire-pause', HTMLButtonElement);
  /** Seen but not drawn; like the panel it keeps the newest only. */
  #waiting: SeenFrame[] = [];
  #missed = 0;
  #total = 0;
  #bytes = 0;
  #paused = false;
  #drawing = false;

  constructor() {
    const panel = byId('wire', HTMLElement);
    const hide = byId('wire-hide', HTMLButtonElement);
    this.#pause.addEventListener('click', () => {
      this.#paused = !this.#paused;
      this.#pause.setAttribute('aria-pressed', String(this.#paused));
      setText(this.#pause, this.#paused ? 'Resume' : 'Pause');
      this.#draw();
    });
    byId('wire-clear', HTMLButtonElement).addEventListener('click', () => {
      this.#log.replaceChildren();
      this.#waiting = [];
      this.#missed = 0;
      this.#draw();
    });
    hide.addEventListener('click', () => {
      const hidden = panel.toggleAttribute('data-folded');
      hide.setAttribute('aria-expanded', String(!hidden));
      setText(hide, hidden ? 'Show' : 'Hide');
    });
  }

  add(frame: SeenFrame): void {
    if (frame.direction !== 'socket') this.#total++;
    this.#bytes += frame.size;
    this.#waiting.push(frame);
    if (this.#paused) this.#missed++;
    if (this.#waiting.length > MAX_FRAMES) this.#waiting.shift();
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#drawing = false;
    if (!this.#paused) {
      const follow = isAtEnd(this.#log);
      this.#log.append(...this.#waiting.map(row));
      this.#waiting = [];
      this.#missed = 0;
      while (this.#log.children.length > MAX_FRAMES) this.#log.firstElementChild?.remove();
      if (follow) this.#log.scrollTop = this.#log.scrollHeight;
    }
    const later = this.#missed > 0 ? `, ${this.#missed} while paused` : '';
    setText(this.#count, `${this.#total} frames, ${size(this.#bytes)}${later}`);
  }
}

function row(frame: SeenFrame): HTMLElement {
  const { direction, op, at, size: bytes } = frame;
  const json = jsonOf(frame);
  const time = new Date(at).toLocaleTimeString([], { hour12: false });
  return h(
    'li',
    { class: direction, 'data-testid': 'frame', 'data-op': op },
    h('time', {}, time),
    h('span', { class: 'way', role: 'img', 'aria-label': direction, title: direction }, ways[direction]),
    h('b', {}, op),
    h('code', {}, json.length > MAX_CHARACTERS ? `${json.slice(0, MAX_CHARACTERS)}…` : json),
    h('span', { class: 'size' }, bytes === 0 ? '' : size(bytes)),
  );
}

function size(bytes: number): string {
  return bytes < 1_000 ? `${bytes} B` : `${(bytes / 1_000).toFixed(1)} kB`;
}
