/** The hooks. What they share lives in kept-*.ts; here it is subscribed to, and kept while mounted. */
import { useCallback, useEffect, useRef, useSyncExternalStore } from 'react';
import type { ClientState, EventInfo, MetadataOf, Room } from '../client/types.js';
import type { Shape, Shaped, ShapeOf } from '../protocol/shape.js';
import { noRooms } from './kept-list.js';
import { closedLock, unknownLock } from './kept-lock.js';
import { closedRoom, hear, nowhere } from './kept-room.js';
import { useKept } from './provider.js';
import type {
  LockView,
  Registered,
  RoomEventHandler,
  RoomEventNames,
  RoomsView,
  RoomView,
  UseRoomOptions,
} from './types.js';

const DEFAULT_TARGET = 'trajectory:meta';
const nothing = (): (() => void) => () => undefined;
const connecting: ClientState = { status: 'connecting', attempt: 0 };

/**
 * In the room while mounted, with all its components: joined with the first, left a second after the last.
 *
 * @example
 * const { status, metadata, members, error } = useRoom('demo', { create: true });
 */
export function useRoom<C extends Shaped = Registered>(
  id: string,
  { create }: UseRoomOptions = {},
): RoomView<ShapeOf<C>> {
  const kept = useKept();
  const room = kept?.room(id);
  const without = kept ? closedRoom : nowhere;
  const view = useSyncExternalStore(room?.subscribe ?? nothing, room?.get ?? (() => without), () => nowhere);
  // How to create it counts when it is joined, not when it changes.
  useEffect(() => room?.retain(create), [room]);
  return view as unknown as RoomView<ShapeOf<C>>;
}

/** The list of rooms, watched while mounted. One group at a time: that of the component mounted last. */
export function useRooms<C extends Shaped = Registered>({
  group,
}: { readonly group?: string | undefined } = {}): RoomsView<MetadataOf<ShapeOf<C>>> {
  const list = useKept()?.list;
  const get = useCallback(() => list?.get(group) ?? noRooms, [list, group]);
  const view = useSyncExternalStore(list?.subscribe ?? nothing, get, () => noRooms);
  useEffect(() => list?.retain(group), [list, group]);
  return view as RoomsView<MetadataOf<ShapeOf<C>>>;
}

/**
 * A lock of the room, which is joined as by `useRoom`. The lease is renewed while it is held, and
 * given back when the last component that uses the lock has gone.
 *
 * @example
 * const { status, holder, deadline, acquire, release } = useLock('demo', 'trajectory:meta');
 */
export function useLock(id: string, target: string = DEFAULT_TARGET): LockView {
  const kept = useKept();
  const lock = kept?.lock(id, target);
  const without = kept ? closedLock : unknownLock;
  const view = useSyncExternalStore(lock?.subscribe ?? nothing, lock?.get ?? (() => without), () => unknownLock);
  useEffect(() => lock?.retain(), [lock]);
  return view;
}

/**
 * Hears an event of a room while mounted, with the handler of the latest render. Of the join of the
 * same component on none is missed. Also `'reset'`, `'removed'` and `'*'`, as `room.on` has them.
 *
 * @example
 * const { room } = useRoom('demo');
 * useEvent(room, 'chat:message:new', (message) => setMessages((all) => [...all, message]));
 */
export function useEvent<S extends Shape, E extends RoomEventNames<S>>(
  room: Room<S> | null,
  event: E,
  handler: RoomEventHandler<S, E>,
): void {
  const latest = useRef<(data: unknown, info: EventInfo) => void>(() => undefined);
  useEffect(() => {
    latest.current = handler as typeof latest.current;
  });
  useEffect(() => {
    return room ? hear(room as unknown as Room, event, (data, info) => latest.current(data, info)) : undefined;
  }, [room, event]);
}

/** The connection: `live`, `offline`, and since when and why. */
export function useConnection(): ClientState {
  const state = useKept()?.client.state;
  const subscribe = useCallback((listener: () => void) => state?.subscribe(listener) ?? nothing(), [state]);
  const get = useCallback(() => state?.get() ?? connecting, [state]);
  return useSyncExternalStore(subscribe, get, () => connecting);
}
