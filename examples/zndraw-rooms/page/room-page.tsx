/** One room: its trajectory, who is in it, who presents and who writes. */
import { useEffect, useRef } from 'react';
import { useConnection, useLock, useRoom } from '@roomwire/client/react';
import { roomApi, useApi } from './api.js';
import { Chat } from './chat.js';
import { People } from './people.js';
import { useNotice } from './notices.js';
import { Pills } from './pills.js';
import { usePlayer } from './player.js';
import { Queue } from './queue.js';
import { go, within } from './route.js';
import { Upload } from './upload.js';
import { Viewer } from './viewer.js';

export function RoomPage({ roomId }: { readonly roomId: string }) {
  const { status, loading, metadata, error, retry } = useRoom(roomId);
  // Who holds the lock writes under its token; all others are refused meanwhile.
  const lock = useLock(roomId).lock?.token;
  const { ask, attempt } = useApi();
  const notice = useNotice();
  const player = usePlayer(roomId);
  const connection = useConnection().status;
  /** It was being joined again: who was in it when it went saw it deleted. */
  const wasAway = useRef(false);
  useEffect(() => {
    if (status !== 'deleted') {
      wasAway.current = loading;
      return;
    }
    const lost = 'was not there any more when this tab came back: a server without --data forgets its rooms';
    notice(`${roomId} ${wasAway.current ? lost : 'was deleted'}.`);
    go('/rooms');
  }, [status, loading, roomId, notice]);

  if (metadata === null) {
    const missing = error?.name === 'room_not_found';
    const create = () => ask('POST', roomApi(roomId)).then(retry);
    const waiting = connection === 'offline' ? 'Offline: the room comes when the connection is back.' : 'One moment …';
    return (
      <main className="empty" data-testid="no-room">
        <p>{missing ? `There is no room ${roomId}.` : (error?.message ?? waiting)}</p>
        {missing && (
          <button className="primary" onClick={() => void attempt(create)}>
            Create it
          </button>
        )}
        <a href="/rooms" onClick={within('/rooms')}>
          All rooms
        </a>
      </main>
    );
  }
  const change = (body: object) => void attempt(() => ask('PATCH', roomApi(roomId), { body, lock }));
  const describe = (): void => {
    const description = prompt('What is in this room?', metadata.description ?? '');
    if (description !== null) change({ description: description.trim() || null });
  };
  const remove = (): void => {
    if (confirm(`Delete ${roomId} for everyone?`)) void attempt(() => ask('DELETE', roomApi(roomId), { lock }));
  };
  return (
    <main className="room" data-testid="room-page" data-status={status}>
      <div className="head">
        <a href="/rooms" onClick={within('/rooms')} data-testid="back">
          ← Rooms
        </a>
        <h1>{roomId}</h1>
        {metadata.isDefault && <span title="the default room">★</span>}
        <button className="link" onClick={describe} title="describe the room" data-testid="describe">
          {metadata.description ?? 'describe it'}
        </button>
        <Pills room={metadata} />
        {status !== 'joined' && <span className="tag">{error?.message ?? status}</span>}
        <span className="actions">
          <button onClick={() => change({ locked: !metadata.locked })} data-testid="lock-for-good">
            {metadata.locked ? 'Unlock' : 'Lock for good'}
          </button>
          <button
            aria-pressed={metadata.hidden}
            onClick={() => change({ hidden: !metadata.hidden })}
            data-testid="hide"
          >
            Hide
          </button>
          <button className="danger" onClick={remove} data-testid="delete">
            Delete
          </button>
        </span>
      </div>
      <Viewer roomId={roomId} player={player} />
      <Upload roomId={roomId} />
      <Queue roomId={roomId} />
      <aside>
        <People roomId={roomId} player={player} />
        <Chat roomId={roomId} />
      </aside>
    </main>
  );
}
