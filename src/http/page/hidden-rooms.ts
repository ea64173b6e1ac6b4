/** The hidden rooms that this user may show again: asked for while their part of the list is unfolded, as no overview tells of them. */
import type { RoomMetadata } from '../../client/index.js';
import type { PageClient } from './contract.js';
import { byId, h, setText } from './dom.js';
import { KeyedRows, type Row } from './keyed-rows.js';
import { attempt, textOf } from './notices.js';
import { hiddenRooms, hideRoom } from './rest.js';
import { hashOf } from './route.js';

/** A server with many rooms answers in pages. */
const PAGES = 5;
const AGAIN_MS = 1_000;

export class HiddenRooms {
  readonly #token: string | undefined;
  readonly #fold = byId('hidden-rooms', HTMLDetailsElement);
  readonly #note = byId('hidden-note', HTMLParagraphElement);
  readonly #rows: KeyedRows<RoomMetadata>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: PageClient, token: string | undefined) {
    this.#token = token;
    this.#rows = new KeyedRows(
      byId('hidden-list', HTMLUListElement),
      ({ id }) => id,
      (id) => this.#row(id),
    );
    this.#fold.addEventListener('toggle', () => this.#askIn(0));
    // One that is hidden leaves the list of all, one that is shown comes into it.
    client.rooms.subscribe(() => this.#askIn(AGAIN_MS));
  }

  /** Not more often than that, however many rooms change. */
  #askIn(ms: number): void {
    if (!this.#fold.open || (this.#timer !== undefined && ms > 0)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#ask();
    }, ms);
  }

  async #ask(): Promise<void> {
    try {
      const found: RoomMetadata[] = [];
      let cursor: string | null = '';
      for (let n = 0; n < PAGES && cursor !== null; n++) {
        const page = await hiddenRooms(this.#token, cursor);
        found.push(...page.rooms);
        cursor = page.next;
      }
      this.#rows.show(found);
      const none = found.length === 0 ? 'None that you may show again: that is for a room’s host.' : '';
      this.#say(cursor === null ? none : 'There are more rooms than were looked at.');
    } catch (error) {
      this.#say(`They could not be asked for: ${textOf(error)}`);
    }
  }

  #say(text: string): void {
    setText(this.#note, text);
    this.#note.hidden = text === '';
  }

  #row(id: string): Row<RoomMetadata> {
    const show = h('button', { type: 'button', 'aria-label': `Show ${id} in the list again` }, 'Show');
    show.addEventListener('click', () => attempt(() => this.#show(id)));
    const link = h('a', { href: hashOf(id) }, h('span', { class: 'name' }, id));
    return { element: h('li', { 'data-testid': 'hidden-room', 'data-hidden': id }, link, show), show: () => undefined };
  }

  async #show(id: string): Promise<void> {
    await hideRoom(id, false, { token: this.#token });
    // The button goes away.
    this.#fold.querySelector('summary')?.focus();
    this.#askIn(0);
  }
}
