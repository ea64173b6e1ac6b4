/** The rooms that no list shows, for who may show them again. No overview tells of them: asked for while they are unfolded. */
import { useCallback, useEffect, useState } from 'react';
import type { RoomMetadata } from '@roomwire/client';
import { roomApi, useApi } from './api.js';
import { roomPath, within } from './route.js';

/** `rooms`: those that the list shows. One that is hidden leaves them, one that is shown again comes to them. */
export function HiddenRooms({ rooms }: { readonly rooms: readonly RoomMetadata[] }) {
  const { get, ask, attempt, userId } = useApi();
  const [isOpen, setOpen] = useState(false);
  const [hidden, setHidden] = useState<readonly RoomMetadata[]>([]);
  const load = useCallback(
    () =>
      attempt(async () => {
        const all = await get<{ rooms: RoomMetadata[] }>('/api/rooms?hidden=true&limit=1000');
        setHidden(all.rooms.filter((room) => room.hidden));
      }),
    [get, attempt],
  );
  const count = rooms.length;
  useEffect(() => {
    if (isOpen) void load();
  }, [isOpen, load, count]);
  return (
    <details className="hidden-rooms" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Hidden rooms</summary>
      <ul className="card list">
        {hidden.map(({ id, description }) => (
          <li key={id} data-testid="hidden-room" data-hidden={id}>
            <a href={roomPath(id, userId)} onClick={within(roomPath(id, userId))}>
              <b>{id}</b> <span className="quiet">{description}</span>
            </a>
            <button
              aria-label={`Show ${id} in the list again`}
              onClick={() => void attempt(() => ask('PATCH', roomApi(id), { body: { hidden: false } })).then(load)}
            >
              Show
            </button>
          </li>
        ))}
        {hidden.length === 0 && <li className="quiet">None. A room is hidden on its own page.</li>}
      </ul>
    </details>
  );
}
