/** Which page the address names: `/rooms`, or `/rooms/<roomId>/<userId>`. Going to another loads nothing anew. */
import { useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();

export function go(path: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, '', path);
  else history.pushState(null, '', path);
  for (const listener of [...listeners]) listener();
}

export const roomPath = (roomId: string, userId: string): string =>
  `/rooms/${encodeURIComponent(roomId)}/${encodeURIComponent(userId)}`;

/** A link that changes the page without loading it anew. */
export function within(path: string) {
  return (event: { preventDefault(): void; readonly metaKey: boolean; readonly ctrlKey: boolean }): void => {
    if (event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    go(path);
  };
}

/** `page: 'none'`: the default room decides. */
export interface Route {
  readonly page: 'none' | 'rooms' | 'room';
  readonly roomId?: string;
}

export function useRoute(): Route {
  const path = useSyncExternalStore(subscribe, () => location.pathname);
  const [, roomId] = /^\/rooms\/([^/]+)/.exec(path) ?? [];
  if (roomId !== undefined) return { page: 'room', roomId: decodeURIComponent(roomId) };
  return { page: path === '/' ? 'none' : 'rooms' };
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  addEventListener('popstate', listener);
  return () => {
    listeners.delete(listener);
    removeEventListener('popstate', listener);
  };
}
