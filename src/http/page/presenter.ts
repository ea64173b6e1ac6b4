/** The presenter of one room: who it is, taking it and giving it back. */
import type { RoomState } from '../../client/index.js';
import type { PageClient, PageRoom } from './contract.js';
import { byId, setText } from './dom.js';
import { attempt } from './notices.js';
import { presenterOf, type NamedPresenter } from './rest.js';

export class PresenterPanel {
  readonly #client: PageClient;
  readonly #token: string | undefined;
  readonly #named: () => void;
  readonly #state = byId('presenter-state', HTMLParagraphElement);
  readonly #take = byId('presenter-take', HTMLButtonElement);
  readonly #release = byId('presenter-release', HTMLButtonElement);
  #room: PageRoom | undefined;
  /** What was asked for over HTTP: updates name the session only. */
  #known: NamedPresenter | undefined;
  #asked: string | undefined;

  /** `named` is called when a presenter's name became known. */
  constructor(client: PageClient, token: string | undefined, named: () => void) {
    this.#client = client;
    this.#token = token;
    this.#named = named;
    this.#take.addEventListener('click', () => attempt(async () => this.#room?.presenter.take()));
    this.#release.addEventListener('click', () => attempt(async () => this.#room?.presenter.release()));
  }

  open(room: PageRoom): void {
    this.#room = room;
    this.#known = this.#asked = undefined;
  }

  close(): void {
    this.#room = undefined;
  }

  /** The presenter's user, as far as it is known. */
  userId({ presenter }: RoomState): string | undefined {
    if (presenter === null) return undefined;
    const { sid, user } = this.#client.state.get();
    if (presenter.sid === sid) return user?.id;
    return presenter.userId ?? (this.#known?.sid === presenter.sid ? this.#known?.userId : undefined);
  }

  show(state: RoomState): void {
    const { presenter } = state;
    const mine = presenter !== null && presenter.sid === this.#client.state.get().sid;
    const known = this.#known?.sid === presenter?.sid ? this.#known : undefined;
    const name = presenter?.userName ?? known?.userName;
    setText(this.#state, presenter === null ? 'nobody' : mine ? 'you' : (name ?? 'somebody'));
    const hadFocus = document.activeElement === this.#take || document.activeElement === this.#release;
    this.#take.hidden = mine;
    this.#release.hidden = !mine;
    if (hadFocus) (mine ? this.#release : this.#take).focus();
    if (presenter !== null && !mine && name === undefined && state.status === 'joined') this.#ask(presenter.sid);
  }

  #ask(sid: string | null): void {
    const room = this.#room;
    if (room === undefined || sid === null || this.#asked === sid) return;
    this.#asked = sid;
    presenterOf(room.id, { token: this.#token }).then(
      (presenter) => {
        if (room !== this.#room || presenter === null) return;
        this.#known = presenter;
        this.#named();
      },
      // A name that is missing is no reason to disturb.
      () => undefined,
    );
  }
}
