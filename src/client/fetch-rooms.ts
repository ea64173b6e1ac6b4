/** GET /api/rooms, all its pages. They carry the first page's positions: what is newer comes as events. */
import { RoomwireError } from '../protocol/errors.js';
import type { Positions } from '../protocol/frames.js';
import type { RoomMetadata } from '../protocol/rooms-model.js';
import { ANSWER_MS, ROOMS_PER_PAGE } from './bounds.js';
import type { Context } from './context.js';
import { inTime } from './in-time.js';

interface Page {
  readonly rooms: readonly RoomMetadata[];
  readonly next: string | null;
  readonly positions: Positions;
}

export async function fetchRooms(
  { settings, connection }: Context,
  group: string | undefined,
  signal: AbortSignal,
): Promise<Omit<Page, 'next'>> {
  const rooms: RoomMetadata[] = [];
  const query = new URLSearchParams({ limit: ROOMS_PER_PAGE });
  if (group !== undefined) query.set('group', group);
  for (let positions: Positions | undefined; ;) {
    const { token } = connection;
    const abort = new AbortController();
    const stop = (): void => abort.abort(signal.reason);
    signal.addEventListener('abort', stop, abort);
    if (signal.aborted) stop();
    const page = await inTime(settings.timers, ANSWER_MS, 'GET /api/rooms', async () => {
      const response = await settings.fetch(`${settings.httpUrl}/api/rooms?${query}`, {
        signal: abort.signal,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      });
      if (!response.ok) throw failure(response.status);
      return (await response.json()) as Page;
    }).finally(() => {
      // A request that took too long ends, too, and nothing hears `signal` any more.
      abort.abort();
    });
    rooms.push(...page.rooms);
    positions ??= page.positions;
    if (page.next === null) return { rooms, positions };
    query.set('cursor', page.next);
  }
}

function failure(status: number): RoomwireError {
  const name =
    status === 401
      ? 'unauthenticated'
      : status === 403
        ? 'forbidden'
        : status < 500 && status !== 429
          ? 'bad_request'
          : 'store_unavailable';
  return new RoomwireError(name, `GET /api/rooms: ${status}`);
}
