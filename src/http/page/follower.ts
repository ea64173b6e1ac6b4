/**
 * Following a topic: over the socket where the contract lets this tab subscribe; else, for an administrator,
 * by reading its log each second, which nobody in the topic sees. What comes goes to the event stream.
 */
import type { TopicHistory } from '../../protocol/http-answers.js';
import { RoomwireError, type Subscription } from '../../client/index.js';
import { topicPath, type Admin } from './admin.js';
import type { FreeClient } from './contract.js';
import { byId, h, onSubmit } from './dom.js';
import { isolated } from './isolated.js';
import { notice, textOf } from './notices.js';
import { Poll } from './poll.js';
import type { StreamPanel } from './stream-panel.js';

/** Events from before that are shown first. */
const BEFORE = 20;
const MOST = 20;
/** The contract keeps the topic to calls, or to others. */
const CLOSED = new Set(['join_required', 'forbidden']);

interface Log {
  epoch: string | undefined;
  after: number;
}

export class Follower {
  readonly #client: FreeClient;
  readonly #admin: Admin;
  readonly #stream: StreamPanel;
  readonly #live = new Map<string, Subscription>();
  readonly #logs = new Map<string, Log>();
  readonly #poll = new Poll(() => this.#read());

  constructor(client: FreeClient, admin: Admin, stream: StreamPanel) {
    this.#client = client;
    this.#admin = admin;
    this.#stream = stream;
    const topic = byId('follow-topic', HTMLInputElement);
    onSubmit(byId('follow-form', HTMLFormElement), () => {
      const name = topic.value.trim();
      if (name === '') return;
      topic.value = '';
      void this.follow(name);
    });
  }

  async follow(topic: string): Promise<void> {
    if (this.#live.has(topic) || this.#logs.has(topic)) return;
    if (this.#live.size + this.#logs.size >= MOST) return notice(`At most ${MOST} topics can be followed.`, 'problem');
    const subscription = this.#client.subscribe(topic);
    this.#live.set(topic, subscription);
    this.#draw();
    try {
      await subscription.ready;
      subscription.on('removed', ({ reason }) => {
        if (this.#live.get(topic) !== subscription) return;
        this.#unfollow(topic);
        notice(`${isolated(topic)} is followed no more: ${isolated(reason)}`, 'problem');
      });
    } catch (error) {
      if (this.#live.get(topic) !== subscription) return;
      this.#live.delete(topic);
      subscription.unsubscribe();
      if (error instanceof RoomwireError && CLOSED.has(error.name) && this.#admin.rights !== 'refused') {
        this.#logs.set(topic, { epoch: undefined, after: 0 });
        this.#poll.start();
        this.#poll.now();
      } else notice(`${isolated(topic)} cannot be followed. ${adviceFor(error)}`, 'problem');
    }
    this.#draw();
  }

  #unfollow(topic: string): void {
    this.#live.get(topic)?.unsubscribe();
    this.#live.delete(topic);
    this.#logs.delete(topic);
    if (this.#logs.size === 0) this.#poll.stop();
    this.#draw();
  }

  async #read(): Promise<void> {
    for (const [topic, log] of this.#logs) {
      try {
        await this.#readOne(topic, log);
      } catch (error) {
        // A name that is wrong, or rights that are gone, do not come back by asking again.
        const { status = 0 } = error as { readonly status?: number };
        if (![401, 403, 404].includes(status)) continue;
        this.#unfollow(topic);
        notice(`${isolated(topic)} cannot be followed. ${textOf(error)}`, 'problem');
      }
    }
  }

  async #readOne(topic: string, log: Log): Promise<void> {
    const first = log.epoch === undefined;
    const query = first ? `limit=${BEFORE}` : `limit=500&after=${log.after}`;
    const { epoch, head, events } = await this.#admin.ask<TopicHistory>(`${topicPath(topic)}/events?${query}`);
    if (this.#logs.get(topic) !== log) return;
    if (!first && epoch !== log.epoch) {
      // Deleted and made anew: all of it is news.
      Object.assign(log, { epoch, after: 0 });
      return this.#poll.now();
    }
    const [oldest] = events;
    const missed = !first && oldest !== undefined && oldest.offset > log.after + 1;
    if (missed) {
      const gap = { at: Date.now(), topic, event: null, offset: oldest.offset - 1, from: null, data: 'not kept' };
      this.#stream.add(gap);
    }
    for (const { at, ...event } of events) {
      // This tab may be in the topic as well.
      if (this.#stream.has(topic, event.offset, event.data)) continue;
      this.#stream.add({ topic, ...event, at: at ?? Date.now() });
    }
    log.epoch = epoch;
    log.after = events.at(-1)?.offset ?? head;
    if (log.after < head) this.#poll.now();
  }

  #draw(): void {
    const chip = (topic: string, way: string, title: string): HTMLElement => {
      const stop = h('button', { type: 'button', class: 'link', 'aria-label': `Do not follow ${topic} any more` }, '✕');
      stop.addEventListener('click', () => {
        this.#unfollow(topic);
        byId('follow-topic', HTMLInputElement).focus();
      });
      return h('li', { class: 'pill', 'data-testid': 'followed', title }, `${isolated(topic)} (${way})`, stop);
    };
    byId('followed', HTMLUListElement).replaceChildren(
      ...[...this.#live.keys()].map((topic) => chip(topic, 'live', 'over the socket: this tab is in the topic')),
      ...[...this.#logs.keys()].map((topic) =>
        chip(topic, 'from its log', 'read each second: nobody in the topic sees it'),
      ),
    );
  }
}

function adviceFor(error: unknown): string {
  if (!(error instanceof RoomwireError) || !CLOSED.has(error.name)) return textOf(error);
  return 'It is joined by a call, or others’ own. An API key lets you read its log: the Topics tab takes one.';
}
