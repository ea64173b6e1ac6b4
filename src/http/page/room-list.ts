/** The live room list. Joining a room leaves the overview on the server, so in a room it stands still. */
import type { RoomMetadata } from '../../client/index.js';
import type { PageClient } from './contract.js';
import { byId, h, onSubmit, setText } from './dom.js';
import { attempt } from './notices.js';
import { pillsOf } from './pills.js';
import { hashOf } from './route.js';

const MAX_SHOWN = 500;

export class RoomList {
  readonly #client: PageClient;
  readonly #list = byId('room-list', HTMLUListElement);
  readonly #filter = byId('filter', HTMLInputElement);
  readonly #status = byId('rooms-status', HTMLSpanElement);
  readonly #watch = byId('rooms-watch', HTMLButtonElement);
  readonly #empty = byId('rooms-empty', HTMLParagraphElement);
  #current: string | undefined;

  constructor(client: PageClient, create: (roomId: string) => void) {
    this.#client = client;
    const name = byId('create-name', HTMLInputElement);
    onSubmit(byId('create-form', HTMLFormElement), () => {
      create(name.value.trim());
      name.value = '';
    });
    this.#filter.addEventListener('input', () => this.#show());
    this.#watch.addEventListener('click', () => {
      attempt(() => this.watch());
      // The button goes away.
      this.#filter.focus();
    });
    client.rooms.subscribe(() => this.#show());
    client.rooms.status.subscribe(() => this.#show());
    this.#show();
  }

  watch(): Promise<void> {
    return this.#client.rooms.watch();
  }

  /** Which room is open. */
  mark(roomId: string | undefined): void {
    this.#current = roomId;
    this.#show();
  }

  #show(): void {
    const { rooms } = this.#client;
    const { watching, loading } = rooms.status.get();
    setText(
      this.#status,
      loading ? 'loading' : watching ? 'live' : this.#current === undefined ? 'not live' : 'paused',
    );
    this.#status.classList.toggle('good', watching && !loading);
    this.#status.title = watching ? 'kept current by the server' : 'joining a room leaves the overview';
    this.#watch.hidden = watching || loading;
    const wanted = this.#filter.value.trim().toLowerCase();
    const fits = ({ id, description }: RoomMetadata): boolean =>
      `${id} ${description ?? ''}`.toLowerCase().includes(wanted);
    const found = rooms.list().filter(fits).sort(byDefaultAndId);
    this.#replace(found.slice(0, MAX_SHOWN));
    this.#empty.hidden = found.length > 0 && found.length <= MAX_SHOWN;
    const all = rooms.list().length;
    const none = !watching
      ? ''
      : all === 0
        ? 'No rooms yet. Name one above and create it.'
        : `No room fits the filter: empty it to see all ${all}.`;
    setText(this.#empty, found.length > MAX_SHOWN ? `and ${found.length - MAX_SHOWN} more` : none);
  }

  /** Rooms that did not change keep their element, and so the keyboard's focus. */
  #replace(rooms: readonly RoomMetadata[]): void {
    const old = new Map([...this.#list.children].map((item) => [(item as HTMLElement).dataset['room'], item]));
    const items = rooms.map((room) => {
      const item = this.#item(room);
      const before = old.get(room.id);
      return before?.isEqualNode(item) === true ? before : item;
    });
    const kept = new Set<Element>(items);
    for (const item of old.values()) if (!kept.has(item)) item.remove();
    items.forEach((item, i) => {
      const there = this.#list.children[i];
      if (there !== item) this.#list.insertBefore(item, there ?? null);
    });
  }

  #item(room: RoomMetadata): HTMLElement {
    const { id, description } = room;
    const current: Readonly<Record<string, string>> = id === this.#current ? { 'aria-current': 'page' } : {};
    return h(
      'li',
      { 'data-testid': 'room-item', 'data-room': id },
      h(
        'a',
        { href: hashOf(id), ...current },
        h('span', { class: 'name' }, id),
        ...pillsOf(room),
        description === null ? undefined : h('span', { class: 'quiet small' }, description),
      ),
    );
  }
}

function byDefaultAndId(a: RoomMetadata, b: RoomMetadata): number {
  return Number(b.isDefault) - Number(a.isDefault) || a.id.localeCompare(b.id);
}
