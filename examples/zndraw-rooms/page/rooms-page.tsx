/** All rooms: fetched once, kept current by `room:update` and `room:delete`. */
import { useState, type FormEvent } from 'react';
import type { RoomMetadata } from '@roomwire/client';
import { useConnection, useRooms } from '@roomwire/client/react';
import { roomApi, useApi } from './api.js';
import { HiddenRooms } from './hidden-rooms.js';
import { Pills } from './pills.js';
import { go, roomPath, within } from './route.js';

export function RoomsPage() {
  const { rooms, watching, error } = useRooms();
  const { status } = useConnection();
  const { ask, attempt, userId } = useApi();
  const [name, setName] = useState('');
  const [filter, setFilter] = useState('');
  const create = (event: FormEvent): void => {
    event.preventDefault();
    void attempt(async () => {
      await ask('POST', roomApi(name));
      go(roomPath(name, userId));
    });
  };
  const found = rooms
    .filter(({ id, description }) => `${id} ${description ?? ''}`.toLowerCase().includes(filter.toLowerCase()))
    .sort((a, b) => Number(b.isDefault) - Number(a.isDefault) || a.id.localeCompare(b.id));
  const none =
    rooms.length > 0
      ? `No room fits the filter: empty it to see all ${rooms.length}.`
      : watching
        ? 'No rooms here yet. Name one above and create it.'
        : status === 'offline'
          ? 'The list comes when the connection is back.'
          : 'One moment …';
  return (
    <main className="rooms">
      <div className="head">
        <h1>Rooms</h1>
        <span className="tag" data-testid="rooms-status" data-live={watching}>
          {watching ? 'live' : (error?.message ?? 'loading')}
        </span>
        <input
          type="search"
          aria-label="Filter"
          placeholder="Filter"
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
        />
        <form className="line" onSubmit={create}>
          <input
            id="new-room"
            aria-label="Name of a new room"
            placeholder="Name of a new room"
            required
            maxLength={128}
            pattern="[^\s\/:?#%]+"
            title="no spaces, / : ? # or %"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <button className="primary">Create</button>
        </form>
      </div>
      <ul className="card list">
        {found.map((room) => (
          <RoomLine key={room.id} room={room} />
        ))}
        {found.length === 0 && <li className="quiet">{none}</li>}
      </ul>
      <HiddenRooms rooms={rooms} />
    </main>
  );
}

function RoomLine({ room }: { readonly room: RoomMetadata }) {
  const { ask, attempt, userId } = useApi();
  const path = roomPath(room.id, userId);
  const setDefault = () => ask('PUT', '/api/default-room', { body: { roomId: room.isDefault ? null : room.id } });
  return (
    <li data-testid="room" data-room={room.id}>
      <button
        className="star"
        aria-pressed={room.isDefault}
        title={room.isDefault ? 'the default room' : 'make it the default room'}
        onClick={() => void attempt(setDefault)}
      >
        {room.isDefault ? '★' : '☆'}
      </button>
      <a href={path} onClick={within(path)}>
        <b>{room.id}</b> <span className="quiet">{room.description}</span>
      </a>
      <Pills room={room} />
      <span className="count" data-testid="frame-count">
        {room.frameCount} {room.frameCount === 1 ? 'frame' : 'frames'}
      </span>
    </li>
  );
}
