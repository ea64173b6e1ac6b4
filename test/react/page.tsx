/**
 * What scene.ts opens in a browser: one widget per line of `app.go([...])`, such as `room a`,
 * `lock a notes`, `rooms`, `chat a`, `connection`. Each keeps all that it was shown, render by render.
 */
import * as React from 'react';
import { StrictMode, useState, type ComponentType, type ReactNode } from 'react';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import { connect, type Client } from '../../src/client/index.js';
import type { Contract as AnyContract } from '../../src/protocol/contract.js';
import type { roomContract } from '../support/rooms.js';
import {
  RoomwireProvider,
  useClient,
  useConnection,
  useEvent,
  useLock,
  useRoom,
  useRooms,
  type LockView,
} from '../../src/react/index.js';

/** A render of a widget: what it is and what it showed. */
export interface Shown {
  readonly widget: string;
  readonly status?: string | undefined;
  readonly id?: string | null | undefined;
  readonly [field: string]: unknown;
}

type Contract = typeof roomContract;

declare global {
  interface Window {
    app: {
      go(widgets: readonly string[]): void;
      /** Where it is inside of an `<Activity>` (React 19). */
      hide(hidden: boolean): void;
      /** The renders so far, oldest first. */
      shown: Shown[];
      heard: unknown[];
      locks: Record<string, LockView>;
      retry: () => void;
      client: Client | null;
    };
  }
}

const query = new URLSearchParams(location.search);
const url = query.get('server') as string;
const shown: Shown[] = [];
window.app = {
  go: () => undefined,
  hide: () => undefined,
  shown,
  heard: [],
  locks: {},
  retry: () => undefined,
  client: null,
};

function show(entry: Shown): ReactNode {
  shown.push(entry);
  return <pre data-widget={entry.widget}>{JSON.stringify(entry)}</pre>;
}

function RoomWidget({ widget, id, create }: { widget: string; id: string; create: boolean }) {
  const view = useRoom<Contract>(id, { create });
  window.app.retry = view.retry;
  return show({
    widget,
    asked: id,
    status: view.status,
    loading: view.loading,
    id: view.metadata?.id ?? null,
    description: view.metadata?.description,
    members: view.members.map(({ name }) => name),
    locks: Object.keys(view.locks),
    error: view.error?.name,
  });
}

function LockWidget({ widget, id, target }: { widget: string; id: string; target: string }) {
  const view = useLock(id, target);
  window.app.locks[widget] = view;
  const { status, holder, deadline, lock, error } = view;
  return show({ widget, status, holder: holder?.userId, deadline, token: lock?.token, error: error?.name });
}

function RoomsWidget({ widget, group }: { widget: string; group: string | undefined }) {
  const { rooms, watching, loading, error } = useRooms({ group });
  return show({ widget, rooms: rooms.map(({ id }) => id), watching, loading, error: error?.name });
}

function ChatWidget({ widget, id }: { widget: string; id: string }) {
  const [count, setCount] = useState(0);
  const { room } = useRoom<Contract>(id);
  useEvent(room, 'chat:message:new', ({ text }) => {
    // Of the latest render.
    window.app.heard.push(`${count} ${text}`);
    setCount(count + 1);
  });
  useEvent(room, 'reset', () => window.app.heard.push('reset'));
  return show({ widget });
}

function ConnectionWidget({ widget }: { widget: string }) {
  // Of no contract in particular, whichever an example has registered.
  window.app.client = useClient<AnyContract>();
  return show({ widget, ...useConnection() });
}

function Widget({ widget }: { widget: string }) {
  const [kind, first = '', second = ''] = widget.split(' ');
  if (kind === 'room') return <RoomWidget widget={widget} id={first} create={second === 'create'} />;
  if (kind === 'lock') return <LockWidget widget={widget} id={first} target={second} />;
  if (kind === 'rooms') return <RoomsWidget widget={widget} group={first || undefined} />;
  if (kind === 'chat') return <ChatWidget widget={widget} id={first} />;
  return <ConnectionWidget widget={widget} />;
}

function App() {
  const [widgets, setWidgets] = useState<readonly string[]>([]);
  window.app.go = (next) => flushSync(() => setWidgets(next));
  // By place: a widget that is asked for another room stays the same component, as a page of a router does.
  return widgets.map((widget, place) => <Widget key={place} widget={widget} />);
}

type Hideable = ComponentType<{ readonly mode: 'visible' | 'hidden'; readonly children: ReactNode }>;
const { Activity } = React as unknown as { readonly Activity?: Hideable };

/** Hidden and shown, its state stays and its effects do not. */
function Shelf({ children }: { children: ReactNode }) {
  const [hidden, setHidden] = useState(false);
  window.app.hide = (next) => flushSync(() => setHidden(next));
  if (!Activity) throw new Error('this React has no Activity');
  return <Activity mode={hidden ? 'hidden' : 'visible'}>{children}</Activity>;
}

const make = (): Client => connect(url);
const client = query.has('made') ? make : make();
if (query.has('closed')) (client as Client).close();
const provider = (
  <RoomwireProvider client={client}>
    <App />
  </RoomwireProvider>
);
const app = query.has('activity') ? <Shelf>{provider}</Shelf> : provider;
createRoot(document.body.appendChild(document.createElement('main'))).render(
  query.has('strict') ? <StrictMode>{app}</StrictMode> : app,
);
