/** The shortest way from “X says it did not arrive” to the answer: who, which topic, which event. */
import type {
  LoggedEvent,
  PresentUser,
  Session,
  TopicHistory,
  User,
  UserList,
  WhyReport,
} from '../../protocol/http-answers.js';
import { topicPath, type Admin } from './admin.js';
import type { Panel } from './dock.js';
import { byId, count, h, onSubmit, setText, timeOf } from './dom.js';
import { isolated, untwisted } from './isolated.js';
import { textOf } from './notices.js';
import { jsonText } from './tap.js';
import { adviceFor } from './verdicts.js';

const EVENTS = 50;
const MAX_CHARACTERS = 200;
/** Users who are proposed. */
const USERS = 20;

export interface Question {
  readonly who?: string;
  readonly topic?: string;
  readonly offset?: number;
}

export class WhyPanel implements Panel {
  readonly #admin: Admin;
  readonly #who = byId('why-who', HTMLInputElement);
  readonly #topic = byId('why-topic', HTMLInputElement);
  readonly #offset = byId('why-offset', HTMLInputElement);
  readonly #answer = byId('why-answer', HTMLDivElement);
  #events: readonly LoggedEvent[] = [];
  /** The newest question: a late answer to an earlier one is not shown. */
  #asked = 0;

  constructor(admin: Admin) {
    this.#admin = admin;
    this.#who.addEventListener('input', () => void this.#propose());
    this.#who.addEventListener('change', () => void this.#lookUp());
    this.#topic.addEventListener('change', () => {
      // An offset is one of a topic's.
      this.#offset.value = '';
      void this.#list();
    });
    onSubmit(byId('why-form', HTMLFormElement), () => void this.#ask());
  }

  show(): void {
    if (this.#topic.value !== '') void this.#list();
  }

  /** Fills in what is known, and asks when nothing is missing. */
  open({ who = this.#who.value, topic = this.#topic.value, offset }: Question): void {
    this.#who.value = who;
    this.#topic.value = topic;
    this.#offset.value = offset === undefined ? '' : String(offset);
    this.#answer.replaceChildren();
    if (who !== '') void this.#lookUp();
    if (who === '') this.#who.focus();
    else if (topic === '') this.#topic.focus();
    else return void this.#ask();
    void this.#list();
  }

  async #ask(): Promise<void> {
    const who = this.#who.value.trim();
    const topic = this.#topic.value.trim();
    const question = ++this.#asked;
    try {
      await this.#list();
      const newest = this.#events.at(-1)?.offset ?? 0;
      const offset = this.#offset.value === '' ? newest : Number(this.#offset.value);
      const path = `${topicPath(topic)}/why?offset=${offset}&user=${encodeURIComponent(who)}`;
      const why = await this.#admin.ask<WhyReport>(path);
      if (question !== this.#asked) return;
      this.#offset.value = offset === 0 ? '' : String(offset);
      this.#mark();
      this.#show(`${isolated(who)}, event ${offset} of ${isolated(topic)}`, why);
    } catch (error) {
      if (question === this.#asked) this.#answer.replaceChildren(h('p', { class: 'failing' }, textOf(error)));
    }
  }

  #show(question: string, { verdict, sentence, sessions }: WhyReport): void {
    const { kind, next } = adviceFor(verdict);
    const pill = h('span', { class: 'tag verdict', 'data-kind': kind }, verdict.replaceAll('_', ' '));
    const each = sessions.map((one) => {
      const through = one.edge === null ? '' : ` (through ${one.edge})`;
      return h('li', {}, h('code', {}, one.sid), `${through}: ${untwisted(one.sentence)}`);
    });
    this.#answer.replaceChildren(
      h('p', { class: 'line' }, pill, h('strong', {}, question)),
      h('p', {}, untwisted(sentence)),
      h('p', { class: 'quiet' }, next),
      ...(each.length > 1 ? [h('ul', { class: 'small' }, ...each)] : []),
    );
  }

  /** Who that is, where they are: a click takes the topic. */
  async #lookUp(): Promise<void> {
    const who = this.#who.value.trim();
    const box = byId('why-user', HTMLElement);
    if (who === '' || this.#admin.rights === 'refused') return void box.replaceChildren();
    const sessions = await this.#sessionsOf(who).catch(() => []);
    const alike = sessions.length > 0 ? [] : await this.#usersLike(who);
    if (who !== this.#who.value.trim()) return;
    const topics = [...new Set(sessions.flatMap((session) => session.topics))];
    const options = topics.map((topic) => h('option', { value: topic }));
    byId('why-topics', HTMLDataListElement).replaceChildren(...options);
    if (sessions.length === 0) {
      const none = 'Nobody of that id is here now; what is remembered of them is asked.';
      const meant = ['Nobody of that id is here now. By name:', ...alike.map((user) => this.#userButton(user))];
      box.replaceChildren(...(alike.length === 0 ? [none] : meant));
      return;
    }
    const connected = sessions.filter((session) => session.connected).length;
    const name = sessions[0]?.user.name ?? who;
    box.replaceChildren(
      `${isolated(name)}: ${count(sessions.length, 'session')}, ${connected} connected, in`,
      ...(topics.length === 0 ? [' no topic'] : topics.map((topic) => this.#topicButton(topic))),
    );
  }

  #topicButton(topic: string): HTMLElement {
    const button = h('button', { type: 'button', class: 'link', 'data-testid': 'why-take' }, topic);
    button.addEventListener('click', () => {
      this.#topic.value = topic;
      this.#offset.value = '';
      void this.#ask();
    });
    return button;
  }

  #userButton({ userId, name }: PresentUser): HTMLElement {
    const text = `${isolated(name)} (${isolated(userId)})`;
    const button = h('button', { type: 'button', class: 'link', 'data-testid': 'why-mean' }, text);
    button.addEventListener('click', () => {
      this.#who.value = userId;
      this.#topic.focus();
      void this.#lookUp();
    });
    return button;
  }

  /** What is typed is a part of a name or an id; what is chosen is the id. */
  async #propose(): Promise<void> {
    const who = this.#who.value.trim();
    const users = await this.#usersLike(who);
    if (who !== this.#who.value.trim()) return;
    const options = users.map(({ userId, name }) => h('option', { value: userId, label: `${name} (${userId})` }));
    byId('why-users', HTMLDataListElement).replaceChildren(...options);
  }

  async #usersLike(who: string): Promise<readonly PresentUser[]> {
    if (who === '' || this.#admin.rights === 'refused') return [];
    const path = `/api/users?limit=${USERS}&search=${encodeURIComponent(who)}`;
    const { users } = await this.#admin.ask<UserList>(path).catch(() => ({ users: [] }));
    return users;
  }

  async #sessionsOf(who: string): Promise<readonly Session[]> {
    const id = encodeURIComponent(who);
    const { sessions } = await this.#admin.ask<User>(`/api/users/${id}`);
    return sessions.length > 0 ? sessions : [await this.#admin.ask<Session>(`/api/sessions/${id}`)];
  }

  /** The topic's latest events, to choose the one that is missed. */
  async #list(): Promise<void> {
    const topic = this.#topic.value.trim();
    const history = await this.#history(topic);
    if (topic !== this.#topic.value.trim()) return;
    this.#events = history.events;
    const none = history.events.length === 0;
    setText(byId('why-caption', HTMLElement), none ? 'No event of the topic is kept' : 'Its latest events: choose one');
    byId('why-events', HTMLElement).replaceChildren(...[...history.events].reverse().map((event) => this.#row(event)));
    this.#mark();
  }

  async #history(topic: string): Promise<Pick<TopicHistory, 'events'>> {
    if (topic === '' || this.#admin.rights === 'refused') return { events: [] };
    try {
      return await this.#admin.ask<TopicHistory>(`${topicPath(topic)}/events?limit=${EVENTS}`);
    } catch {
      // Such as a topic that the contract does not have: the answer to the question says so.
      return { events: [] };
    }
  }

  #row({ offset, at, event, data }: LoggedEvent): HTMLElement {
    const choose = h('button', { type: 'button', class: 'link' }, String(offset));
    choose.addEventListener('click', () => {
      this.#offset.value = String(offset);
      if (this.#who.value.trim() === '') this.#who.focus();
      else void this.#ask();
    });
    return h(
      'tr',
      { 'data-testid': 'why-event', 'data-offset': String(offset) },
      h('th', { scope: 'row' }, choose),
      h('td', {}, at === null ? '' : timeOf(at)),
      h('td', {}, event),
      h('td', {}, h('code', {}, jsonText(data).slice(0, MAX_CHARACTERS))),
    );
  }

  #mark(): void {
    for (const row of byId('why-events', HTMLElement).children) {
      row.setAttribute('aria-current', String((row as HTMLElement).dataset['offset'] === this.#offset.value));
    }
  }
}
