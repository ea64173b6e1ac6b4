/** What an idle session costs the server that has joined a room of ten: clients come, are counted, and go again. */
import { WebSocket } from 'ws';
import { connect, type Client } from '../../src/client/node.js';
import { tokenFor } from '../support/tokens.js';
import type { Holdings } from './child.js';

const MEMBERS = 10;
const CONNECTING = 50;

export interface SessionMemory {
  /** Bytes that the collected heap grew by for each. */
  readonly heap: number;
  /** Bytes that the process grew by: pages that it had already are not in it. */
  readonly rss: number;
}

/**
 * Of `count` sessions, beyond a quarter as many that were there before: what code needs once it runs
 * is not in it. All have left when it resolves; `name` keeps their rooms and users from those of another time.
 */
export async function sessionMemory(
  { port, count, name }: { readonly port: number; readonly count: number; readonly name: string },
  holdings: () => Promise<Holdings>,
): Promise<SessionMemory> {
  const clients: Client[] = [];
  const enter = async (upTo: number): Promise<void> => {
    const lane = async (): Promise<void> => {
      while (clients.length < upTo) {
        const id = `${name}-${clients.length}`;
        const room = `${name}-${Math.floor(clients.length / MEMBERS)}`;
        // It has its place before anything is awaited.
        clients.push(connect(`ws://127.0.0.1:${port}`, { WebSocket, token: () => tokenFor(id), instance: id }));
        await clients.at(-1)?.room(room).join({ create: true });
      }
    };
    await Promise.all(Array.from({ length: CONNECTING }, lane));
  };
  try {
    const first = Math.ceil(count / 4);
    await enter(first);
    const before = await holdings();
    await enter(first + count);
    const after = await holdings();
    if (after.sessions !== first + count) throw new Error(`${after.sessions} of ${first + count} sessions are there`);
    return {
      heap: (after.heapUsed + after.external - before.heapUsed - before.external) / count,
      rss: (after.rss - before.rss) / count,
    };
  } finally {
    for (const client of clients) client.close();
  }
}
