/** One topic beside the list: who is in it and how far behind, and what became of its latest events. */
import type { SubscriberReport, TopicReport } from '../../protocol/http-answers.js';
import { topicPath, type Admin } from './admin.js';
import { byId, count, h, setText, timeOf } from './dom.js';
import { isolated } from './isolated.js';
import { KeyedRows, type Row } from './keyed-rows.js';
import { Poll } from './poll.js';
import type { Question } from './why-panel.js';

type Publish = TopicReport['publishes'][number];

/** Where its buttons lead. */
export interface TopicActions {
  readonly follow: (topic: string) => void;
  readonly why: (question: Question) => void;
}

type Ask = (question: Omit<Question, 'topic'>) => void;

export class TopicDetail {
  readonly #admin: Admin;
  readonly #section = byId('topic-detail', HTMLElement);
  readonly #sessions: KeyedRows<SubscriberReport>;
  readonly #publishes: KeyedRows<Publish>;
  readonly #poll = new Poll(() => this.#ask());
  readonly #listeners: (() => void)[] = [];
  #topic: string | undefined;

  constructor(admin: Admin, { follow, why }: TopicActions) {
    this.#admin = admin;
    const ask = (question: Omit<Question, 'topic'>): void => {
      if (this.#topic !== undefined) why({ topic: this.#topic, ...question });
    };
    this.#sessions = new KeyedRows(
      byId('topic-sessions', HTMLTableSectionElement),
      ({ sid }) => sid,
      (sid) => sessionRow(sid, ask),
    );
    this.#publishes = new KeyedRows(
      byId('topic-publishes', HTMLTableSectionElement),
      ({ offset }) => String(offset),
      (offset) => publishRow(offset, ask),
    );
    byId('topic-close', HTMLButtonElement).addEventListener('click', () => {
      this.open(undefined);
      // The button goes with it.
      byId('topics-search', HTMLInputElement).focus();
    });
    byId('topic-follow', HTMLButtonElement).addEventListener('click', () => {
      if (this.#topic !== undefined) follow(this.#topic);
    });
  }

  get topic(): string | undefined {
    return this.#topic;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  open(topic: string | undefined): void {
    this.#topic = topic;
    this.#section.hidden = topic === undefined;
    setText(byId('topic-name', HTMLElement), topic ?? '');
    setText(byId('topic-facts', HTMLElement), '');
    this.#sessions.show([]);
    this.#publishes.show([]);
    for (const listener of this.#listeners) listener();
    this.show();
  }

  show(): void {
    if (this.#topic === undefined) return this.#poll.stop();
    this.#poll.start();
    this.#poll.now();
  }

  hide(): void {
    this.#poll.stop();
  }

  async #ask(): Promise<void> {
    const topic = this.#topic;
    if (topic === undefined || this.#admin.rights === 'refused') return;
    const report = await this.#admin.ask<TopicReport>(topicPath(topic));
    if (topic === this.#topic) this.#draw(report);
  }

  #draw({ exists, known, epoch, head, subscriberCount, subscribers, publishes, similar = [] }: TopicReport): void {
    const facts = exists
      ? `Epoch ${epoch ?? ''}, head ${head}, ${count(subscriberCount, 'session')}`
      : known
        ? 'Nobody is in it, and nothing was ever published to it.'
        : 'The contract has no such topic.';
    const more = subscriberCount > subscribers.length ? `, of which ${subscribers.length} are shown` : '';
    setText(byId('topic-facts', HTMLElement), facts + more);
    const hint = byId('topic-similar', HTMLElement);
    hint.hidden = similar.length === 0;
    setText(hint, `Nobody is in it. Names like it: ${similar.map(isolated).join(', ')}`);
    this.#sessions.show(subscribers);
    this.#publishes.show(publishes);
  }
}

function sessionRow(sid: string, ask: Ask): Row<SubscriberReport> {
  const user = h('td', {});
  const why = h('button', { type: 'button', class: 'link', title: 'Why did it not get an event?' }, sid);
  why.addEventListener('click', () => ask({ who: sid }));
  const lag = h('td', {});
  const buffered = h('td', { class: 'number' });
  const handled = h('td', { class: 'number' });
  return {
    element: h('tr', { 'data-testid': 'subscriber', 'data-sid': sid }, user, h('td', {}, why), lag, buffered, handled),
    show(one) {
      setText(user, one.user);
      const has = one.lag === 0 ? 'has all' : `${one.lag} behind`;
      const through = one.edge === null ? '' : `, through ${one.edge}`;
      setText(lag, one.connected ? `${has}${through}` : 'away, in its grace');
      lag.classList.toggle('warned', one.connected && one.lag > 0);
      setText(buffered, one.connected ? String(one.bufferedBytes) : '');
      setText(handled, one.handled === null ? '?' : String(one.handled));
    },
  };
}

function publishRow(offset: string, ask: Ask): Row<Publish> {
  const why = h('button', { type: 'button', class: 'link', title: 'Why did somebody not get it?' }, offset);
  why.addEventListener('click', () => ask({ offset: Number(offset) }));
  const at = h('td', {});
  const matched = h('td', { class: 'number' });
  const behind = h('td', { class: 'number' });
  return {
    element: h('tr', { 'data-testid': 'publish' }, h('th', { scope: 'row' }, why), at, matched, behind),
    show(one) {
      setText(at, timeOf(one.at));
      setText(matched, String(one.matched));
      matched.classList.toggle('warned', one.matched === 0);
      setText(behind, String(one.behind));
      behind.classList.toggle('warned', one.behind > 0);
    },
  };
}
