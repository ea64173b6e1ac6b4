/** The presenter of one room: who it is, taking it and giving it back. */
import type { RoomState } from '../../client/index.js';
import type { PageClient, PageRoom } from './contract.js';
import { byId, setText } from './dom.js';
import { attempt } from './notices.js';

export class PresenterPanel {
  readonly #client: PageClient;
  readonly #state = byId('presenter-state', HTMLParagraphElement);
  readonly #take = byId('presenter-take', HTMLButtonElement);
  readonly #release = byId('presenter-release', HTMLButtonElement);
  #room: PageRoom | undefined;

  constructor(client: PageClient) {
    this.#client = client;
    this.#take.addEventListener('click', () => attempt(async () => this.#room?.presenter.take()));
    this.#release.addEventListener('click', () => attempt(async () => this.#room?.presenter.release()));
  }

  open(room: PageRoom): void {
    this.#room = room;
  }

  close(): void {
    this.#room = undefined;
  }

  show({ presenter }: RoomState): void {
    const mine = presenter !== null && presenter.sid === this.#client.state.get().sid;
    setText(this.#state, presenter === null ? 'nobody' : mine ? 'you' : presenter.userName);
    const hadFocus = document.activeElement === this.#take || document.activeElement === this.#release;
    this.#take.hidden = mine;
    this.#release.hidden = !mine;
    if (hadFocus) (mine ? this.#release : this.#take).focus();
  }
}
