/**
 * What the page asks as an administrator. On loopback without keys a guest may ask; elsewhere it takes an API
 * key, which a person pastes: it is kept in this object alone, sent in a header, and gone with the page.
 */

/** `unknown`: nobody asked yet. */
export type Rights = 'unknown' | 'granted' | 'refused';

/** An answer that is none: the status and what the server says. */
export class AskError extends Error {
  override readonly name = 'AskError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const PASTE =
  'Paste one of the server’s API keys (ROOMWIRE_API_KEYS, or auth.apiKeys). It stays in this tab’s memory and is gone when you reload.';

export class Admin {
  #key: string | undefined;
  #rights: Rights;
  #why = `This tool asks the server as an administrator. ${PASTE}`;
  readonly #listeners = new Set<() => void>();

  /** `hasToken`: this page is a user of a server that has keys, which no user's token opens: do not even ask. */
  constructor(hasToken: boolean) {
    this.#rights = hasToken ? 'refused' : 'unknown';
  }

  get rights(): Rights {
    return this.#rights;
  }

  /** Why they were refused, and what to do. */
  get why(): string {
    return this.#why;
  }

  get hasKey(): boolean {
    return this.#key !== undefined;
  }

  /** After each change of the rights. */
  subscribe(listener: () => void): void {
    this.#listeners.add(listener);
  }

  useKey(key: string): void {
    this.#key = key;
    this.#become('unknown');
  }

  forgetKey(): void {
    this.#key = undefined;
    this.#become('refused', `The key is forgotten. ${PASTE}`);
  }

  /** Rejects with AskError, and with what `fetch` throws when the server is not reached. */
  async ask<T>(path: string, options: { readonly method?: string; readonly body?: object } = {}): Promise<T> {
    const { method = 'GET', body } = options;
    const key = this.#key;
    const headers: Record<string, string> = {};
    // fetch takes no others, and would say so in words that help nobody.
    if (key !== undefined && !/^[\x21-\x7e]+$/.test(key)) throw this.#refused(401);
    if (key !== undefined) headers['authorization'] = `Bearer ${key}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const response = await fetch(`.${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    const answer = (await response.json().catch(() => ({}))) as T & { name?: string; detail?: string };
    if (response.ok) {
      if (key === this.#key && this.#rights !== 'granted') this.#become('granted');
      return answer;
    }
    const { status } = response;
    // Of an earlier key it says nothing.
    if ((status === 401 || status === 403) && key === this.#key) throw this.#refused(status);
    throw new AskError(status, `${answer.name ?? status}: ${answer.detail ?? response.statusText}`);
  }

  #refused(status: 401 | 403): AskError {
    const what =
      this.#key === undefined
        ? 'The server does not let this page ask as an administrator.'
        : status === 401
          ? 'The server does not know this key.'
          : 'That is a user’s token, and users may not look into the server.';
    this.#become('refused', `${what} ${PASTE}`);
    return new AskError(status, what);
  }

  #become(rights: Rights, why = this.#why): void {
    this.#rights = rights;
    this.#why = why;
    for (const listener of this.#listeners) listener();
  }
}

/** Where a topic's answers are. */
export function topicPath(topic: string): string {
  return `/api/topics/${encodeURIComponent(topic)}`;
}
