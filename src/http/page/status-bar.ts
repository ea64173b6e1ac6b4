/** The top bar: the connection's state and why, who this tab is, and the token when one is needed. */
import type { ClientState } from '../../client/index.js';
import type { PageClient } from './contract.js';
import { byId, onSubmit, seconds, setText } from './dom.js';
import { untwisted } from './isolated.js';

/** What a person can do about a refusal, by its name; a token is asked for by the form. */
const refusals: Readonly<Record<string, string>> = {
  unauthenticated: '',
  token_expired: '',
  forbidden: 'Forget the token, and use one of a user who may connect.',
  kicked: 'The server ended this session: “Connect now” begins another.',
  taken_over: 'This session goes on in another tab: “Connect now” begins one here.',
};

/** Kept for this tab only, so that a reload need not ask again. */
const TOKEN_KEY = 'roomwire.token';

export function savedToken(): string | undefined {
  return sessionStorage.getItem(TOKEN_KEY) ?? undefined;
}

export class StatusBar {
  readonly #client: PageClient;
  readonly #connection = byId('connection', HTMLParagraphElement);
  readonly #text = byId('connection-text', HTMLSpanElement);
  readonly #detail = byId('connection-detail', HTMLSpanElement);
  readonly #advice = byId('connection-advice', HTMLSpanElement);
  readonly #retry = byId('retry', HTMLButtonElement);
  readonly #form = byId('token-form', HTMLFormElement);

  constructor(client: PageClient) {
    this.#client = client;
    const token = byId('token', HTMLInputElement);
    const forget = byId('forget-token', HTMLButtonElement);
    // Another token is another identity, and a session that was ended does not come back: everything starts anew.
    const start = (): void => location.reload();
    this.#retry.addEventListener('click', () => {
      if (client.state.get().status === 'refused') start();
      else client.reconnect();
    });
    onSubmit(this.#form, () => {
      sessionStorage.setItem(TOKEN_KEY, token.value.trim());
      start();
    });
    forget.hidden = savedToken() === undefined;
    forget.addEventListener('click', () => {
      sessionStorage.removeItem(TOKEN_KEY);
      start();
    });
    client.state.subscribe((state) => this.#show(state));
    this.#show(client.state.get());
  }

  /** Called a few times a second. */
  tick(): void {
    const { status, retryAt, reason, attempt } = this.#client.state.get();
    const waits = status === 'offline' && retryAt !== undefined;
    const next = waits ? `, try ${attempt} in ${seconds(retryAt - Date.now())}` : '';
    const why =
      reason === undefined || status === 'live'
        ? ''
        : untwisted(`${reason.code} ${reason.name} ${reason.message}`.trim());
    setText(this.#detail, why + next);
  }

  #show(state: ClientState): void {
    const { status, user, sid, reason } = state;
    this.#connection.dataset['status'] = status;
    setText(this.#text, status);
    this.#retry.hidden = status !== 'offline' && status !== 'refused';
    this.#form.hidden = !(status === 'refused' && reason !== undefined && reason.code >= 4100 && reason.code < 4200);
    setText(this.#advice, adviceFor(state));
    setText(byId('user-name', HTMLElement), user?.name ?? '…');
    setText(byId('sid', HTMLElement), sid ?? '');
    this.tick();
  }
}

function adviceFor({ status, reason }: ClientState): string {
  if (status === 'offline') return 'This tab comes back by itself; what you write in a chat waits.';
  if (status !== 'refused') return '';
  return refusals[reason?.name ?? ''] ?? '“Connect now” tries again.';
}
