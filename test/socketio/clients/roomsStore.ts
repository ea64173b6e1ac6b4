/** The store of the trajectory viewer's pages. Frozen: see test/socketio/socketio.test.ts. */
export interface Room {
  id: string;
  description?: string | null;
  frameCount: number;
  locked: boolean;
  hidden: boolean;
  isDefault: boolean;
  metadataLocked?: { msg?: string | null; userName?: string; timestamp?: number } | null;
  presenterSid?: string | null;
}

const rooms = new Map<string, Room>();
const listeners = new Set<() => void>();
let connected = false;
let snapshot: { connected: boolean; rooms: Room[] } = { connected, rooms: [] };

function changed(): void {
  snapshot = { connected, rooms: [...rooms.values()] };
  for (const listener of listeners) listener();
}

export const roomsStore = {
  get: () => snapshot,
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  setConnected(value: boolean): void {
    connected = value;
    changed();
  },
  setRoom(id: string, room: Room): void {
    rooms.set(id, room);
    changed();
  },
  updateRoom(id: string, updates: Partial<Room>): void {
    const room = rooms.get(id);
    if (room === undefined) return;
    rooms.set(id, { ...room, ...updates });
    changed();
  },
  removeRoom(id: string): void {
    rooms.delete(id);
    changed();
  },
};
