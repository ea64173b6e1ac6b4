/** GET /api/rooms, all its pages. They carry the first page's positions: what is newer comes as events. */
import { RoomwireError } from '../protocol/errors.js';
import type { Positions } from '../protocol/frames.js';
import type { RoomMetadata } from '../protocol/rooms-model.js';
import { ROOMS_PER_PAGE } from './bounds.js';
import { abortWith } from './abort-with.js';
import type { Context } from './context.js';
import { inTime } from './in-time.js';

const PATH = '/api/rooms';

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
    const abort = abortWith(signal);
    const page = await inTime(settings.clock, PATH, async () => {
      const response = await settings.fetch(`${settings.restUrl}${PATH}?${query}`, {
        signal: abort.signal,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      });
      if (!response.ok) throw failure(response.status);
      return (await response.json()) as Page;
      // One that took too long ends, too.
    }).finally(() => abort.abort());
    rooms.push(...page.rooms);
    positions ??= page.positions;
    if (page.next === null) return { rooms, positions };
    query.set('cursor', page.next);
  }
}

function failure(status: number): RoomwireError {
  const refusal = status === 401 ? 'unauthenticated' : status === 403 ? 'forbidden' : 'bad_request';
  return new RoomwireError(status < 500 && status !== 429 ? refusal : 'store_unavailable', `${PATH}: ${status}`);
}
