/** Two pages that use the hook: the list of rooms, and one room. Frozen: see test/socketio/socketio.test.ts. */
import { useState, useSyncExternalStore } from 'react';
import { createRoot } from 'react-dom/client';
import { roomsStore } from './roomsStore.js';
import { signIn, useSocketManager } from './useSocketManager.js';

declare global {
  interface Window {
    start(token: string): void;
    goTo(roomId: string | undefined): void;
  }
}

function App() {
  const [roomId, goTo] = useState<string | undefined>();
  window.goTo = goTo;
  useSocketManager({ roomId, isOverview: roomId === undefined });
  const { connected, rooms } = useSyncExternalStore(roomsStore.subscribe, roomsStore.get);
  return (
    <main>
      <h1>{`${roomId ?? 'rooms'}: ${connected ? 'connected' : 'not connected'}`}</h1>
      <ul>
        {rooms.map((room) => (
          <li key={room.id}>
            {room.id} {room.description} {room.locked ? 'locked' : 'open'} {room.metadataLocked?.msg ?? 'free'}
          </li>
        ))}
      </ul>
    </main>
  );
}

window.start = (token) => {
  signIn(token);
  createRoot(document.body.appendChild(document.createElement('div'))).render(<App />);
};
