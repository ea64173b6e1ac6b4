/** What the page asks over HTTP as the user it is: a room's locks, and deleting a room. */
import type { LockInfo } from '../../protocol/rooms-contract.js';

type Headers = Record<string, string>;

export async function deleteRoom(
  roomId: string,
  { token, lockToken }: { readonly token: string | undefined; readonly lockToken?: number | undefined },
): Promise<void> {
  const headers: Headers = lockToken === undefined ? {} : { 'lock-token': String(lockToken) };
  await ask('DELETE', pathOf(roomId), token, headers);
}

export async function locksOf(roomId: string, token: string | undefined): Promise<readonly LockInfo[]> {
  const response = await ask('GET', `${pathOf(roomId)}/locks`, token, {});
  return ((await response.json()) as { readonly locks: readonly LockInfo[] }).locks;
}

function pathOf(roomId: string): string {
  return `/api/rooms/${encodeURIComponent(roomId)}`;
}

async function ask(method: string, path: string, token: string | undefined, headers: Headers): Promise<Response> {
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
  const response = await fetch(`.${path}`, { method, headers });
  if (response.ok) return response;
  const problem = (await response.json().catch(() => ({}))) as { name?: string; detail?: string };
  throw new Error(`${problem.name ?? response.status}: ${problem.detail ?? response.statusText}`);
}
