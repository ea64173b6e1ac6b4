/** The trajectory viewer's hook, as its team has it: one socket for all pages, over Socket.IO 4. Frozen: see test/socketio/socketio.test.ts. */
import { useEffect } from 'react';
import { io } from 'socket.io-client';
import { roomsStore, type Room } from './roomsStore.js';

const SOCKET_URL = 'http://127.0.0.1:3000';

export const socket = io(SOCKET_URL, { autoConnect: false, transports: ['websocket'], reconnectionDelay: 50 });

export function signIn(token: string): void {
  socket.auth = { token };
}

interface SocketManagerOptions {
  roomId?: string | undefined;
  isOverview?: boolean;
}
type Update = Partial<Omit<Room, 'id'>> & { roomId: string; created?: boolean };

export const useSocketManager = (options: SocketManagerOptions = {}) => {
  const { roomId, isOverview } = options;

  useEffect(() => {
    function join() {
      if (isOverview) socket.emit('join:overview');
      else if (roomId) socket.emit('join:room', { roomId });
    }
    function onConnect() {
      roomsStore.setConnected(true);
      join();
    }
    function onDisconnect() {
      roomsStore.setConnected(false);
    }
    function onRoomUpdate(data: Update) {
      const { roomId, created, ...updates } = data;
      if (created) {
        roomsStore.setRoom(roomId, {
          id: roomId,
          frameCount: 0,
          locked: false,
          hidden: false,
          isDefault: false,
          ...updates,
        });
      } else {
        roomsStore.updateRoom(roomId, updates);
      }
    }
    function onRoomDelete(data: { roomId: string }) {
      roomsStore.removeRoom(data.roomId);
    }

    socket.on('connect', onConnect);
    socket.on('disconnect', onDisconnect);
    socket.on('room:update', onRoomUpdate);
    socket.on('room:delete', onRoomDelete);
    if (socket.connected) join();
    else socket.connect();

    return () => {
      if (isOverview) socket.emit('leave:overview');
      else if (roomId) socket.emit('leave:room', { roomId });
      socket.off('connect', onConnect);
      socket.off('disconnect', onDisconnect);
      socket.off('room:update', onRoomUpdate);
      socket.off('room:delete', onRoomDelete);
    };
  }, [roomId, isOverview]);
};
