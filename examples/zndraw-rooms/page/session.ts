/** Who this tab is: a name and a token from `/api/login`. Kept for the tab alone, so that two tabs are two people. */
export interface Session {
  readonly userId: string;
  readonly userName: string;
  readonly token: string;
}

const KEY = 'session';

export function savedSession(): Session | undefined {
  const saved = sessionStorage.getItem(KEY);
  return saved === null ? undefined : (JSON.parse(saved) as Session);
}

export function forgetSession(): void {
  sessionStorage.removeItem(KEY);
}

/** Throws an Error that says why it was refused. */
export async function signIn(userName: string): Promise<Session> {
  const session = await request<Session>('POST', '/api/login', { body: { userName } });
  sessionStorage.setItem(KEY, JSON.stringify(session));
  return session;
}

export interface Asked {
  readonly body?: unknown;
  readonly token?: string;
  /** The fencing token of the lock that guards what is written. */
  readonly lock?: number | undefined;
}

/** A request as docs/http.md has it. Throws an Error that says why it was refused. */
export async function request<T>(method: string, path: string, { body, token, lock }: Asked = {}): Promise<T> {
  const asked = fetch(path, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(lock === undefined ? {} : { 'lock-token': String(lock) }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const response = await asked.catch(() => {
    throw new Error('The server cannot be reached: try again when it is there.');
  });
  const text = await response.text();
  if (!response.ok) throw new Error((JSON.parse(text || '{}') as { detail?: string }).detail ?? response.statusText);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}
