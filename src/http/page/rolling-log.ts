/** A list of what came last: drawn at most once per animation frame, bounded, paused at will, and it stays at its end. */
import { isAtEnd, setText } from './dom.js';

export interface RollingLogOptions<T> {
  readonly list: HTMLElement;
  readonly pause: HTMLButtonElement;
  readonly row: (item: T) => HTMLElement;
  /** Rows that are kept. */
  readonly max: number;
  /** After each drawing; `missed`: how many came while it was paused. */
  readonly drawn: (missed: number) => void;
}

export class RollingLog<T> {
  readonly #options: RollingLogOptions<T>;
  /** Seen but not drawn; like the list it keeps the newest only. */
  #waiting: T[] = [];
  #missed = 0;
  #paused = false;
  #drawing = false;

  constructor(options: RollingLogOptions<T>) {
    this.#options = options;
    const { pause } = options;
    pause.addEventListener('click', () => {
      this.#paused = !this.#paused;
      pause.setAttribute('aria-pressed', String(this.#paused));
      setText(pause, this.#paused ? 'Resume' : 'Pause');
      this.#draw();
    });
  }

  add(item: T): void {
    this.#waiting.push(item);
    if (this.#paused) this.#missed++;
    if (this.#waiting.length > this.#options.max) this.#waiting.shift();
    this.redraw();
  }

  /** Shows these instead of all that was shown, also while it is paused. */
  replace(items: readonly T[]): void {
    const { list, row, max } = this.#options;
    this.#waiting = [];
    this.#missed = 0;
    list.replaceChildren(...items.slice(-max).map(row));
    list.scrollTop = list.scrollHeight;
    this.#draw();
  }

  /** It is seen from now on: where it was hidden it could not follow its end. */
  show(): void {
    const { list } = this.#options;
    if (!this.#paused) list.scrollTop = list.scrollHeight;
  }

  /** Soon; for a count that changed. */
  redraw(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    const { list, row, max, drawn } = this.#options;
    this.#drawing = false;
    if (!this.#paused) {
      const follow = isAtEnd(list);
      list.append(...this.#waiting.map(row));
      this.#waiting = [];
      this.#missed = 0;
      while (list.children.length > max) list.firstElementChild?.remove();
      if (follow) list.scrollTop = list.scrollHeight;
    }
    drawn(this.#missed);
  }
}
