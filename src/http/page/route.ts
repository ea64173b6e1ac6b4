/** `#/room/<id>` is a room, anything else the overview. */
export function roomInHash(hash: string): string | undefined {
  const [, id] = /^#\/room\/([^/]+)$/.exec(hash) ?? [];
  try {
    return id === undefined ? undefined : decodeURIComponent(id);
  } catch {
    return undefined;
  }
}

export function hashOf(roomId: string): string {
  return `#/room/${encodeURIComponent(roomId)}`;
}
