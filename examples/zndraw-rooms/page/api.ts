/** Requests with this tab's token, and what is fetched anew whenever the room says that it changed. */
import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState } from 'react';
import { useEvent, useRoom } from '@roomwire/client/react';
import { useNotice } from './notices.js';
import { request, type Asked, type Session } from './session.js';

export const Api = createContext<Session | undefined>(undefined);

export interface ApiOfTab {
  readonly userId: string;
  readonly userName: string;
  readonly get: <T>(path: string) => Promise<T>;
  readonly ask: <T>(method: string, path: string, asked?: Omit<Asked, 'token'>) => Promise<T>;
  /** For what a click starts: its failure is shown. False: it failed. */
  readonly attempt: (work: () => Promise<unknown>) => Promise<boolean>;
}

export function useApi(): ApiOfTab {
  const session = useContext(Api);
  const notice = useNotice();
  if (session === undefined) throw new Error('not signed in');
  return useMemo(() => {
    const { userId, userName, token } = session;
    return {
      userId,
      userName,
      get: (path) => request('GET', path, { token }),
      ask: (method, path, asked) => request(method, path, { ...asked, token }),
      async attempt(work) {
        try {
          await work();
          return true;
        } catch (error) {
          notice((error as Error).message);
          return false;
        }
      },
    };
  }, [session, notice]);
}

export const roomApi = (roomId: string): string => `/api/rooms/${encodeURIComponent(roomId)}`;

type Told = 'bookmarks:invalidate' | 'queue:update' | 'frame_selection:update' | `invalidate:${string}`;

/** What is at `path` of the room: fetched once it is entered, after `event`, and when events were missed. */
export function useFetched<T>(roomId: string, path: string, event: Told): T | undefined {
  const { get } = useApi();
  const { room, status } = useRoom(roomId);
  const [value, setValue] = useState<T>();
  const turn = useRef(0);
  const load = useCallback(() => {
    const mine = ++turn.current;
    get<T>(`${roomApi(roomId)}/${path}`).then(
      // An answer that was overtaken is older than what is shown.
      (fetched) => mine === turn.current && setValue(fetched),
      () => undefined,
    );
  }, [get, roomId, path]);
  useEffect(() => {
    if (status === 'joined') load();
  }, [status, load]);
  useEvent(room, event, load);
  useEvent(room, 'reset', load);
  return value;
}
