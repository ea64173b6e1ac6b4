/** The event stream: every event that this tab gets or follows, in the order in which it came, and a filter. */
import type { EventItem } from '../../protocol/frames.js';
import { byId, count, h, setText, timeOf } from './dom.js';
import { filterOf } from './filter.js';
import { isolated } from './isolated.js';
import { RollingLog } from './rolling-log.js';
import { jsonText, type SeenFrame } from './tap.js';

/** Remembered for the filter to find, and rows of what it finds. */
const REMEMBERED = 2_000;
const SHOWN = 300;
const MAX_CHARACTERS = 2_000;

export interface SeenEvent {
  readonly at: number;
  readonly topic: string;
  /** Null: a sign that some were missed, with the reason as its data. */
  readonly event: string | null;
  /** Null for volatile ones. */
  readonly offset: number | null;
  readonly from: string | null;
  readonly data: unknown;
}

interface Entry extends Omit<SeenEvent, 'data'> {
  readonly json: string;
  /** What the filter looks at. */
  readonly text: string;
}

export class StreamPanel {
  readonly #filter = byId('stream-filter', HTMLInputElement);
  readonly #log: RollingLog<Entry>;
  /** The oldest first. */
  #entries: Entry[] = [];
  #fits = filterOf('');
  #fitting = 0;

  constructor() {
    this.#log = new RollingLog({
      list: byId('stream-log', HTMLOListElement),
      pause: byId('stream-pause', HTMLButtonElement),
      row,
      max: SHOWN,
      drawn: (missed) => this.#drawn(missed),
    });
    this.#filter.addEventListener('input', () => {
      this.#fits = filterOf(this.#filter.value);
      this.#replace();
    });
    byId('stream-clear', HTMLButtonElement).addEventListener('click', () => {
      this.#entries = [];
      this.#replace();
    });
  }

  show(): void {
    this.#log.show();
  }

  /** What crossed the socket. */
  seen({ op, at, value }: SeenFrame): void {
    if (op === 'EVENTS') {
      const [, topic, first, ...items] = value as unknown as [number, string, number, ...EventItem[]];
      for (const [i, [event, data, from]] of items.entries())
        this.add({ at, topic, offset: first + i, event, data, from });
    } else if (op === 'LATEST') {
      const [, topic, event, slot, data, from] = value as [number, string, string, string, unknown, string | null];
      this.add({ at, topic, offset: null, event: `${event} (${slot})`, data, from });
    } else if (op === 'RESET') {
      const [, topic, , offset, reason] = value as [number, string, string, number, string];
      this.add({ at, topic, offset, event: null, data: reason, from: null });
    }
  }

  add({ data, ...seen }: SeenEvent): void {
    const json = jsonText(data).slice(0, MAX_CHARACTERS);
    const entry = { ...seen, json, text: `${seen.topic} ${seen.event ?? 'missed'} ${json} ${seen.from ?? ''}` };
    this.#entries.push(entry);
    const fits = this.#fits(entry.text);
    if (fits) this.#fitting++;
    if (this.#entries.length > REMEMBERED) {
      const oldest = this.#entries.shift() as Entry;
      if (this.#fits(oldest.text)) this.#fitting--;
    }
    if (fits) this.#log.add(entry);
    else this.#log.redraw();
  }

  /** Whether this event came lately, from wherever. */
  has(topic: string, offset: number, data: unknown): boolean {
    const json = jsonText(data).slice(0, MAX_CHARACTERS);
    return this.#entries.some((one) => one.offset === offset && one.topic === topic && one.json === json);
  }

  #replace(): void {
    const fitting = this.#entries.filter(({ text }) => this.#fits(text));
    this.#fitting = fitting.length;
    this.#log.replace(fitting);
  }

  #drawn(missed: number): void {
    const all = this.#entries.length;
    byId('stream-hint', HTMLParagraphElement).hidden = all > 0;
    const some = this.#fitting === all ? count(all, 'event') : `${this.#fitting} of ${count(all, 'event')}`;
    setText(byId('stream-count', HTMLSpanElement), missed > 0 ? `${some}, ${missed} while paused` : some);
  }
}

function row({ at, topic, event, offset, from, json }: Entry): HTMLElement {
  const time = h('time', {}, timeOf(at));
  if (event === null) {
    const told = `${isolated(topic)}: events up to ${offset ?? 0} were missed (${json})`;
    return h('li', { 'data-testid': 'stream-event' }, time, h('span', { class: 'gap' }, told));
  }
  return h(
    'li',
    { 'data-testid': 'stream-event', 'data-topic': topic },
    time,
    h('span', { class: 'topic' }, topic),
    h('span', { class: 'size', title: 'offset' }, offset === null ? 'volatile' : `#${offset}`),
    h('b', {}, event),
    h('code', {}, json),
    h('span', { class: 'size', title: 'the session that sent it' }, from ?? 'server'),
  );
}
