/**
 * A server for tests of an application: on a free port of this machine, in memory, with tokens for whoever is made up, a
 * clock to turn, and faults on demand.
 */
import { randomBytes } from 'node:crypto';
import { SignJWT } from 'jose';
import type { Contract, ShapeOf } from '../protocol/contract.js';
import type { Plugin, User } from '../server/api.js';
import type { Connection } from '../server/connection/connection.js';
import { createServer, type Server, type ServerOptions } from '../server/server.js';
import { createWsTransport } from '../server/transport/ws.js';
import { writeReset } from '../server/wire/frames.js';
import { Fault } from '../protocol/faults.js';
import { FaultyNetwork, type FaultySocket } from './faulty-transport.js';
import { TurnedTime } from './turned-time.js';
import { checked } from '../protocol/validate.js';

export interface TestServerOptions<C extends Contract, U extends User, P extends readonly Plugin[]> extends Omit<
  ServerOptions<C, U, P>,
  'engine' | 'transport' | 'time'
> {
  /** Registers handlers; again after each restart, with the new server. */
  readonly setup?: (server: Server<ShapeOf<C>, U, P>) => void;
  /** Default 0: any free one. */
  readonly port?: number;
}

export interface TestServer<C extends Contract, U extends User, P extends readonly Plugin[]> {
  /** Such as `http://127.0.0.1:34567`, for `connect` and for HTTP. It stays the same over restarts. */
  readonly url: string;
  /** For HTTP, as a backend's. */
  readonly apiKey: string;
  /** That tokens are signed with (HS256). */
  readonly secret: string;
  /** The latest, after restarts. */
  readonly server: Server<ShapeOf<C>, U, P>;
  /** A token of a made-up user, good for a day of the server's clock. `claims` such as `{ name: 'Ann' }`. */
  token(user: string, claims?: Readonly<Record<string, unknown>>): Promise<string>;
  /** Does one step of the script language: see protocol/faults.ts. Rejects with RoomwireError that names the field. */
  fault(step: Fault): Promise<void>;
  close(): Promise<void>;
}

/** Starts one. `auth` beside its own secret and key is the application's. */
export async function startTestServer<
  const C extends Contract,
  U extends User = User,
  const P extends readonly Plugin[] = [],
>({ setup, port = 0, ...options }: TestServerOptions<C, U, P>): Promise<TestServer<C, U, P>> {
  const secret = String(options.auth?.secret ?? randomBytes(32).toString('hex'));
  const apiKey = options.auth?.apiKeys?.[0] ?? randomBytes(24).toString('base64url');
  const time = new TurnedTime();
  const network = new FaultyNetwork();
  let bound = port;
  const start = async (): Promise<Server<ShapeOf<C>, U, P>> => {
    const server = createServer<C, U, P>({
      ...options,
      auth: { ...options.auth, secret, apiKeys: [...new Set([apiKey, ...(options.auth?.apiKeys ?? [])])] },
      time,
      transport: ({ doors: _, ...given }) => network.around(given, createWsTransport),
    });
    setup?.(server);
    ({ port: bound } = await server.listen({ port: bound }));
    return server;
  };
  let server = await start();

  /** Sessions that are connected, each with its socket. */
  const present = (user?: string): [FaultySocket, Connection][] =>
    [...network.sockets].flatMap((socket) => {
      const connection = socket.events as Connection;
      return user === undefined || connection.session?.user.id === user ? [[socket, connection]] : [];
    });
  const fault = async (given: Fault): Promise<void> => {
    const step = checked(Fault, given);
    switch (step.do) {
      case 'cut':
        for (const [socket] of present(step.user)) socket.terminate();
        break;
      case 'stall':
        network.stalled ||= step.user === undefined;
        for (const [socket] of present(step.user)) socket.stall();
        break;
      case 'resume':
        if (step.user === undefined) network.stalled = false;
        for (const [socket] of present(step.user)) socket.resume();
        break;
      case 'reset': {
        const { topic } = step;
        await server.transact((tx) => {
          const [epoch, offset] = tx.position(topic);
          const bytes = writeReset(topic, epoch, offset);
          // In the order of the events: those up to here are missed, those after it follow.
          tx.afterCommit(() => {
            for (const [socket, { session }] of present()) if (session?.topics.has(topic)) socket.send(bytes);
          });
        });
        break;
      }
      case 'kick': {
        const sessions = present(step.user).flatMap(([, { session }]) => session ?? []);
        const waiting = step.user === undefined ? [] : server.sessionsOf(step.user);
        for (const session of new Set([...sessions, ...waiting])) await server.kick(session, step.reason);
        break;
      }
      case 'restart':
        await server.close();
        server = await start();
        break;
      case 'advance':
        time.advance(step.ms);
        break;
    }
  };
  return {
    url: `http://127.0.0.1:${bound}`,
    apiKey,
    secret,
    get server() {
      return server;
    },
    token: (user, claims = {}) =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject(user)
        .setExpirationTime(Math.floor(time.wall() / 1_000) + 86_400)
        .sign(new TextEncoder().encode(secret)),
    fault,
    close: () => server.close(),
  };
}
