/**
 * What each contestant promises, beside what it reaches: figures compare only where these do. As it
 * is set up here, which is as its own documentation recommends; printed with the results and in the README.
 */
import type { Peer } from '../contestants.js';

export interface Promises {
  /** What holds of events' order and their loss. */
  readonly events: string;
  /** After a reconnect. */
  readonly reconnect: string;
  /** What a publisher is told. */
  readonly publisher: string;
  readonly members: string;
  /** A subscriber that reads too slowly. */
  readonly slow: string;
}

export const HEADINGS: Readonly<Record<keyof Promises, string>> = {
  events: 'order and loss',
  reconnect: 'after a reconnect',
  publisher: 'a publisher learns',
  members: 'who is there',
  slow: 'a slow subscriber',
};

const nothing = { reconnect: 'missed events are lost', publisher: 'nothing' } as const;
const engine = { ...nothing, events: 'in order on a connection', members: 'its user’s own map' } as const;
const socketIo = {
  events: 'in order on a connection, at most once',
  reconnect: 'missed events are lost (its recovery is off by default)',
  publisher: 'what its user’s handler acknowledges',
  members: 'rooms; the list is its user’s own map',
} as const;

export const PROMISES: Readonly<Record<Peer, Promises>> = {
  roomwire: {
    events: 'one order for all of a topic; a gap is always told',
    reconnect: 'missed events follow, once, or the client is told to refetch',
    publisher: 'the offset, how many matched; on LMDB, that it is stored',
    members: 'the answer to a join lists them; every change after it follows',
    slow: 'waits in the log; past it, is told to refetch',
  },
  uws: { ...engine, slow: 'loses events past its buffer (4 MiB), untold' },
  ws: { ...engine, slow: 'the server’s memory grows' },
  'socket.io': { ...socketIo, slow: 'the server’s memory grows' },
  'socket.io-uws': { ...socketIo, slow: 'loses events past its buffer (4 MiB), untold' },
  nats: {
    ...nothing,
    events: 'one order for each publisher, at most once',
    members: 'no members',
    slow: 'is disconnected',
  },
  floor: {
    ...nothing,
    events: 'bytes, written once for each subscriber',
    members: 'no members',
    slow: 'holds everyone up',
  },
};

/** A line for each of these, for a terminal. */
export function promisesOf(peers: readonly Peer[]): string {
  const width = Math.max(...peers.map(({ length }) => length));
  const kinds = Object.keys(HEADINGS) as (keyof Promises)[];
  return peers
    .map((peer) => `${peer.padEnd(width)}  ${kinds.map((kind) => PROMISES[peer][kind]).join(' · ')}`)
    .join('\n');
}
