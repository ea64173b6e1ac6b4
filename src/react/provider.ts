/** `<RoomwireProvider client={…}>`: the one client of the components under it, and so the one WebSocket. */
import { createContext, createElement, useContext, useEffect, useRef, useState, type ReactNode } from 'react';
import type { Client } from '../client/types.js';
import type { Shape, Shaped, ShapeOf } from '../protocol/shape.js';
import { keptOf, type Kept } from './kept.js';
import { Stay } from './stay.js';
import type { ClientSource, Registered } from './types.js';

/** Undefined: there is no provider. Null: its client is yet to be made. */
const Context = createContext<Kept | null | undefined>(undefined);

export interface RoomwireProviderProps<S extends Shape = Shape> {
  /**
   * A client that lives as long as the application; or how to make one, which is called once after
   * the first render, so never on a server, and whose client is closed when the provider goes. Shown again, it makes another.
   */
  readonly client: ClientSource<S>;
  readonly children?: ReactNode;
}

export function RoomwireProvider<S extends Shape>({ client: source, children }: RoomwireProviderProps<S>) {
  const [made, setMade] = useState<Client | null>(null);
  const owned = useRef<{ readonly client: Client; readonly stay: Stay } | undefined>(undefined);
  const given = typeof source === 'function' ? null : (source as unknown as Client);
  useEffect(() => {
    if (typeof source !== 'function') return undefined;
    if (!owned.current || owned.current.client.state.get().status === 'closed') {
      const client = source() as unknown as Client;
      const end = (): void => {
        if (owned.current?.client === client) owned.current = undefined;
        client.close();
        // Hidden, it may be shown again: with another client, and until then with none.
        setMade((current) => (current === client ? null : current));
      };
      owned.current = { client, stay: new Stay(end) };
    }
    setMade(owned.current.client);
    return owned.current.stay.retain();
    // Called once for each time that it is shown, however often the function is made anew.
  }, [given]);
  const client = given ?? made;
  return createElement(Context.Provider, { value: client && keptOf(client) }, children);
}

/** Null until there is a client. Throws outside of a provider. */
export function useKept(): Kept | null {
  const kept = useContext(Context);
  if (kept === undefined) throw new Error('roomwire: put <RoomwireProvider client={…}> around what uses its hooks');
  return kept;
}

/** For calls, publishes and whatever the hooks do not show. Null until there is a client. */
export function useClient<C extends Shaped = Registered>(): Client<ShapeOf<C>> | null {
  return (useKept()?.client ?? null) as Client<ShapeOf<C>> | null;
}
