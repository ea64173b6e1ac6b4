/** What the page asks over HTTP: deleting a room, and the presenter's name, which updates do not carry. */

interface Asker {
  readonly token: string | undefined;
}
export interface NamedPresenter {
  readonly sid: string | null;
  readonly userId: string;
  readonly userName: string;
}

export async function deleteRoom(
  roomId: string,
  { token, lockToken }: Asker & { lockToken?: number | undefined },
): Promise<void> {
  const headers: Record<string, string> = bearer(token);
  if (lockToken !== undefined) headers['lock-token'] = String(lockToken);
  await ask(roomId, { method: 'DELETE', headers });
}

export async function presenterOf(roomId: string, { token }: Asker): Promise<NamedPresenter | null> {
  const response = await ask(roomId, { headers: bearer(token) });
  const { holders } = (await response.json()) as { holders: { presenter: NamedPresenter | null } };
  return holders.presenter;
}

function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

async function ask(roomId: string, init: RequestInit): Promise<Response> {
  const response = await fetch(`/api/rooms/${encodeURIComponent(roomId)}`, init);
  if (response.ok) return response;
  const problem = (await response.json().catch(() => ({}))) as { name?: string; detail?: string };
  throw new Error(`${problem.name ?? response.status}: ${problem.detail ?? response.statusText}`);
}
