'use client';
/** `@roomwire/client/react`: rooms, their list and locks as hooks. React 18 or newer; safe to render on a server. */
export { useConnection, useEvent, useLock, useRoom, useRooms } from './hooks.js';
export { RoomwireProvider, useClient, type RoomwireProviderProps } from './provider.js';
// With a star, so that an application's `declare module` reaches Register.
export type * from './types.js';
