/** The topics panel: each topic in memory with its rate, asked for once a second while it is seen. */
import type { Stats, TopicLine, TopicList } from '../../protocol/http-answers.js';
import type { Admin } from './admin.js';
import { byId, count, h, setText, timeOf } from './dom.js';
import type { Panel } from './dock.js';
import { KeyedRows, type Row } from './keyed-rows.js';
import { textOf } from './notices.js';
import { Poll } from './poll.js';
import type { TopicDetail } from './topic-detail.js';

export class TopicsPanel implements Panel {
  readonly #admin: Admin;
  readonly #detail: TopicDetail;
  readonly #search = byId('topics-search', HTMLInputElement);
  readonly #sort = byId('topics-sort', HTMLSelectElement);
  readonly #rows: KeyedRows<TopicLine>;
  readonly #poll = new Poll(() => this.#ask());
  #lines: readonly TopicLine[] = [];

  constructor(admin: Admin, detail: TopicDetail) {
    this.#admin = admin;
    this.#detail = detail;
    this.#rows = new KeyedRows(
      byId('topic-rows', HTMLTableSectionElement),
      ({ topic }) => topic,
      (topic) => this.#row(topic),
    );
    this.#search.addEventListener('input', () => this.#poll.now());
    this.#sort.addEventListener('change', () => this.#draw());
    detail.onChange(() => this.#draw());
  }

  show(): void {
    this.#poll.start();
    this.#poll.now();
    this.#detail.show();
  }

  hide(): void {
    this.#poll.stop();
    this.#detail.hide();
  }

  async #ask(): Promise<void> {
    if (this.#admin.rights === 'refused') return;
    const status = byId('topics-status', HTMLSpanElement);
    try {
      const search = encodeURIComponent(this.#search.value.trim());
      const [list, stats] = await Promise.all([
        this.#admin.ask<TopicList>(`/api/topics?limit=200&search=${search}`),
        this.#admin.ask<Stats>('/api/stats'),
      ]);
      setText(status, '');
      this.#lines = list.topics;
      const { length } = list.topics;
      setText(
        byId('topics-count', HTMLSpanElement),
        length === list.total ? count(length, 'topic') : `the ${length} newest of ${list.total} topics`,
      );
      const { connections, sessions, stalled, behind, resets } = stats;
      setText(
        byId('topics-stats', HTMLSpanElement),
        `${count(connections, 'connection')}, ${count(sessions, 'session')}, ${stalled} stalled, ${behind} behind, ${count(resets, 'reset')}`,
      );
      this.#draw();
    } catch (error) {
      setText(status, `No answer, trying again: ${textOf(error)}`);
    }
  }

  #draw(): void {
    const by = this.#sort.value as keyof TopicLine;
    const name = (a: TopicLine, b: TopicLine): number => a.topic.localeCompare(b.topic);
    const most = (a: TopicLine, b: TopicLine): number => Number(b[by] ?? 0) - Number(a[by] ?? 0);
    this.#rows.show([...this.#lines].sort((a, b) => (by === 'topic' ? 0 : most(a, b)) || name(a, b)));
    const empty = byId('topics-empty', HTMLParagraphElement);
    empty.hidden = this.#lines.length > 0;
    setText(
      empty,
      this.#search.value === ''
        ? 'No topic is in memory: create a room, or follow a topic in Events.'
        : 'No topic has that in its name.',
    );
  }

  #row(topic: string): Row<TopicLine> {
    const open = h('button', { type: 'button', class: 'link' }, topic);
    open.addEventListener('click', () => this.#detail.open(topic));
    const number = (): HTMLTableCellElement => h('td', { class: 'number' });
    const [rate, head, sessions, behind, newest] = [number(), number(), number(), number(), number()];
    const element = h(
      'tr',
      { 'data-testid': 'topic', 'data-topic': topic },
      h('th', { scope: 'row' }, open),
      rate,
      head,
      sessions,
      behind,
      newest,
    );
    return {
      element,
      show: (line) => {
        setText(rate, line.perSecond.toFixed(1));
        setText(head, String(line.head));
        setText(sessions, String(line.subscribers));
        setText(behind, String(line.behind));
        behind.classList.toggle('warned', line.behind > 0);
        setText(newest, line.lastAt === null ? '' : timeOf(line.lastAt));
        element.setAttribute('aria-current', String(topic === this.#detail.topic));
      },
    };
  }
}
