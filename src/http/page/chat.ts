/** The chat of one room: published by members, shown in the order that all of them see. */
import type { EventInfo } from '../../client/index.js';
import { newId } from '../../client/new-id.js';
import type { ChatMessage, PageClient, PageRoom } from './contract.js';
import { byId, h, isAtEnd, onSubmit, setText } from './dom.js';
import { attempt } from './notices.js';

const MAX_SHOWN = 200;
/** How long a message waits for a connection; then it is back in its field. */
const WAIT_MS = 120_000;

export class Chat {
  readonly #client: PageClient;
  readonly #log = byId('chat-log', HTMLOListElement);
  readonly #text = byId('chat-text', HTMLInputElement);
  readonly #result = byId('chat-result', HTMLParagraphElement);
  #room: PageRoom | undefined;
  #stop: () => void = () => undefined;

  constructor(client: PageClient) {
    this.#client = client;
    onSubmit(byId('chat-form', HTMLFormElement), () => attempt(() => this.#send()));
  }

  open(room: PageRoom): void {
    this.close();
    this.#room = room;
    this.#log.replaceChildren();
    this.#stop = room.on('chat:message:new', (message, info) => this.#show(message, info));
    setText(this.#result, 'Messages show from the moment you joined.');
  }

  close(): void {
    this.#stop();
    this.#room = undefined;
    this.#text.value = '';
  }

  /** A line of the room itself, such as who came. */
  note(text: string): void {
    this.#append(h('li', { class: 'event', 'data-testid': 'chat-note' }, text));
  }

  async #send(): Promise<void> {
    const text = this.#text.value.trim();
    const room = this.#room;
    const { user } = this.#client.state.get();
    if (text === '' || room === undefined || user === undefined) return;
    this.#text.value = '';
    const waiting = this.#client.state.get().status === 'live' ? undefined : this.#wait(text);
    const message = { user: user.name, text, at: Date.now() };
    try {
      // With a key it is sent again after a lost connection, and said once.
      const options = { key: newId(), timeoutMs: WAIT_MS };
      const { matched, offset } = await room.publish('chat:message:new', message, options);
      if (room === this.#room)
        setText(this.#result, `Event ${offset}, sent to ${matched} ${matched === 1 ? 'session' : 'sessions'}.`);
    } catch (error) {
      // Not lost: it can be sent again.
      if (room === this.#room && this.#text.value === '') this.#text.value = text;
      throw error;
    } finally {
      waiting?.remove();
    }
  }

  /** A message that was typed without a connection. */
  #wait(text: string): HTMLElement {
    const item = h(
      'li',
      { class: 'message own waiting', 'data-testid': 'chat-waiting' },
      h('b', {}, 'waiting for the connection'),
      h('span', { class: 'text' }, text),
    );
    this.#append(item);
    return item;
  }

  /** The server does not look into the data, so any of it may be missing. */
  #show({ user, text, at }: Partial<ChatMessage>, { from, offset }: EventInfo): void {
    const own = from !== null && from === this.#client.state.get().sid;
    const time =
      typeof at === 'number' ? new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) : '';
    this.#append(
      h(
        'li',
        { class: own ? 'message own' : 'message', 'data-testid': 'chat-message' },
        h('b', {}, String(user ?? 'someone')),
        h('time', { title: offset === null ? '' : `event ${offset}` }, time),
        h('span', { class: 'text' }, String(text ?? '')),
      ),
    );
  }

  #append(item: HTMLElement): void {
    const follow = isAtEnd(this.#log);
    this.#log.append(item);
    while (this.#log.children.length > MAX_SHOWN) this.#log.firstElementChild?.remove();
    if (follow) this.#log.scrollTop = this.#log.scrollHeight;
  }
}
