/** What the page asks over HTTP: deleting a room. */

export async function deleteRoom(
  roomId: string,
  { token, lockToken }: { readonly token: string | undefined; readonly lockToken?: number | undefined },
): Promise<void> {
  const headers: Record<string, string> = {};
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
  if (lockToken !== undefined) headers['lock-token'] = String(lockToken);
  const response = await fetch(`/api/rooms/${encodeURIComponent(roomId)}`, { method: 'DELETE', headers });
  if (response.ok) return;
  const problem = (await response.json().catch(() => ({}))) as { name?: string; detail?: string };
  throw new Error(`${problem.name ?? response.status}: ${problem.detail ?? response.statusText}`);
}
