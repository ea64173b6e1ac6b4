/** What the page asks over HTTP as the user it is: a room's locks, whether lists show it, and deleting it. */
import type { RoomMetadata } from '../../client/index.js';
import type { LockInfo } from '../../protocol/rooms-contract.js';

/** As whom, and under which lock. */
export interface Writing {
  readonly token: string | undefined;
  readonly lockToken?: number | undefined;
}

export async function deleteRoom(roomId: string, writing: Writing): Promise<void> {
  await ask('DELETE', pathOf(roomId), writing);
}

export async function hideRoom(roomId: string, hidden: boolean, writing: Writing): Promise<void> {
  await ask('PATCH', pathOf(roomId), writing, { hidden });
}

export async function locksOf(roomId: string, token: string | undefined): Promise<readonly LockInfo[]> {
  const response = await ask('GET', `${pathOf(roomId)}/locks`, { token });
  return ((await response.json()) as { readonly locks: readonly LockInfo[] }).locks;
}

/** Those that this user may show again, among the rooms of one page; and where the next one begins. */
export async function hiddenRooms(
  token: string | undefined,
  cursor: string,
): Promise<{ readonly rooms: readonly RoomMetadata[]; readonly next: string | null }> {
  const query = new URLSearchParams({ hidden: 'true', limit: '1000', cursor });
  const response = await ask('GET', `/api/rooms?${query}`, { token });
  const { rooms, next } = (await response.json()) as {
    readonly rooms: readonly RoomMetadata[];
    readonly next: string | null;
  };
  return { rooms: rooms.filter(({ hidden }) => hidden), next };
}

function pathOf(roomId: string): string {
  return `/api/rooms/${encodeURIComponent(roomId)}`;
}

async function ask(method: string, path: string, { token, lockToken }: Writing, body?: object): Promise<Response> {
  const headers: Record<string, string> = {};
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
  if (lockToken !== undefined) headers['lock-token'] = String(lockToken);
  if (body !== undefined) headers['content-type'] = 'application/json';
  const response = await fetch(`.${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  if (response.ok) return response;
  const problem = (await response.json().catch(() => ({}))) as { name?: string; detail?: string };
  throw new Error(`${problem.name ?? response.status}: ${problem.detail ?? response.statusText}`);
}
