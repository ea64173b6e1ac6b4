/** The pages: one client, and so one WebSocket, for all of them. */
import { StrictMode, useEffect, useState, type FormEvent } from 'react';
import { createRoot } from 'react-dom/client';
import { connect } from '@roomwire/client';
import { RoomwireProvider, useConnection } from '@roomwire/client/react';
import type { Contract } from '../contract.js';
import { Api, useApi } from './api.js';
import { Notices } from './notices.js';
import { RoomPage } from './room-page.js';
import { RoomsPage } from './rooms-page.js';
import { go, roomPath, useRoute, within } from './route.js';
import { forgetSession, savedSession, signIn, type Session } from './session.js';

declare module '@roomwire/client/react' {
  interface Register {
    contract: Contract;
  }
}

function App() {
  const [session, setSession] = useState(savedSession);
  const [why, setWhy] = useState('');
  if (session === undefined) return <Login enter={setSession} why={why} />;
  const leave = (reason = ''): void => {
    forgetSession();
    setWhy(reason);
    setSession(undefined);
  };
  const client = () =>
    connect<Contract>(location.origin.replace('http', 'ws'), { token: session.token, agent: 'zndraw-rooms' });
  return (
    <Notices>
      <RoomwireProvider client={client}>
        <Api.Provider value={session}>
          <Bar session={session} leave={leave} />
          <Page />
        </Api.Provider>
      </RoomwireProvider>
    </Notices>
  );
}

function Page() {
  const { page, roomId } = useRoute();
  const { userId } = useApi();
  useEffect(() => {
    // A link names its sender; the address is to name us.
    if (roomId !== undefined) go(roomPath(roomId, userId), { replace: true });
  }, [roomId, userId]);
  if (roomId !== undefined) return <RoomPage key={roomId} roomId={roomId} />;
  return page === 'none' ? <ToDefaultRoom /> : <RoomsPage />;
}

function ToDefaultRoom() {
  const { userId, get } = useApi();
  useEffect(() => {
    get<{ roomId: string | null }>('/api/default-room').then(
      ({ roomId }) => go(roomId === null ? '/rooms' : roomPath(roomId, userId), { replace: true }),
      () => go('/rooms', { replace: true }),
    );
  }, []);
  return null;
}

function Bar({ session, leave }: { readonly session: Session; readonly leave: (why?: string) => void }) {
  const { status, reason } = useConnection();
  useEffect(() => {
    if (status !== 'refused') return;
    const isOver = reason?.name === 'unauthenticated' || reason?.name === 'token_expired';
    const why = 'the server has other keys since a restart, or twelve hours are over';
    leave(`You were signed out: ${isOver ? why : (reason?.message ?? '')}. Your name lets you in again.`);
  }, [status]);
  return (
    <header className="bar">
      <a className="brand" href="/rooms" onClick={within('/rooms')}>
        <img src="/favicon.svg" alt="" width="22" height="22" />
        Trajectories
      </a>
      <span className="connection" data-status={status} role="status" title={reason?.message}>
        {status === 'offline' ? 'offline: comes back by itself, messages wait' : status}
      </span>
      <span className="me">
        <b data-testid="me">{session.userName}</b>
        <button className="link" onClick={() => leave()}>
          sign out
        </button>
      </span>
    </header>
  );
}

function Login({ enter, why }: { readonly enter: (session: Session) => void; readonly why: string }) {
  const [name, setName] = useState('');
  const [refusal, setRefusal] = useState(why);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    signIn(name).then(enter, (error: unknown) => setRefusal((error as Error).message));
  };
  return (
    <form className="login card" onSubmit={submit}>
      <h1>Trajectories</h1>
      <p className="quiet">Look at them together. Who are you?</p>
      <input
        id="name"
        aria-label="Your name"
        placeholder="Your name"
        maxLength={60}
        value={name}
        onChange={(event) => setName(event.target.value)}
        autoFocus
        required
      />
      <button className="primary">Enter</button>
      {refusal !== '' && <p role="alert">{refusal}</p>}
    </form>
  );
}

createRoot(document.getElementById('app') as HTMLElement).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
