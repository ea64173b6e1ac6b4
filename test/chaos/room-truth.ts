/**
 * Rooms as their members have them, held against the server: their state is its snapshot (asked for over HTTP), and
 * nobody was shown to leave or join who only lost a connection.
 */
import { isDeepStrictEqual } from 'node:util';
import type { LockInfo, Member } from '../../src/client/node.js';
import type { RoomView } from './view.js';

interface Snapshot {
  readonly room: object;
  readonly memberCount: number;
  readonly holders: {
    readonly locks: readonly LockInfo[];
    readonly presenter: object | null;
    readonly host: object | null;
  };
}

/** What each view has otherwise than the server; nothing when all agree. */
export async function differences(views: readonly RoomView[], http: string, token: string): Promise<string[]> {
  const ask = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${http}/api/rooms/${path}`, { headers: { authorization: `Bearer ${token}` } });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
  const found: string[] = [];
  for (const roomId of new Set(views.map((view) => view.roomId))) {
    const { room, memberCount, holders } = await ask<Snapshot>(roomId);
    const { members } = await ask<{ members: readonly Member[] }>(`${roomId}/members`);
    const { presenter, host } = holders;
    const locks = Object.fromEntries(holders.locks.map((lock) => [lock.target, lock]));
    const truth = { status: 'joined', metadata: room, members, memberCount, complete: true, locks, presenter, host };
    for (const view of views) {
      if (view.roomId !== roomId) continue;
      const state = (view.room?.state.get() ?? {}) as Readonly<Record<string, unknown>>;
      for (const [part, value] of Object.entries(truth)) {
        if (isDeepStrictEqual(plain(state[part]), plain(value))) continue;
        const [has, is] = [JSON.stringify(state[part]), JSON.stringify(value)];
        found.push(`${view.record.name}: ${part} of ${roomId} is ${is}, and it has ${has}`);
      }
    }
  }
  return found;
}

/** Objects of a decoder have no prototype. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));

/**
 * Each member:joined needs somebody who joined as a new client, and each member:left one who was replaced; in each epoch,
 * as a server that forgot everything is joined anew.
 */
export function comings(views: readonly RoomView[]): string[] {
  const joins = new Map<string, number>();
  for (const { record, joins: count } of views) joins.set(`${record.topic} ${record.name}`, count);
  const shown = new Map<string, Set<string>>();
  for (const { record } of views) {
    for (const entry of record.seen) {
      if (!('at' in entry) || entry.byServer !== true) continue;
      const [, event, data] = /^server (member:joined|member:left) (.*)$/.exec(entry.writer) ?? [];
      if (event === undefined) continue;
      const { userId, member } = JSON.parse(data as string) as { userId?: string; member?: Member };
      const [epoch] = entry.at;
      const name = `${event} ${record.topic} ${userId ?? member?.userId} ${epoch}`;
      shown.set(name, (shown.get(name) ?? new Set()).add(entry.at.join(':')));
    }
  }
  return [...shown].flatMap(([name, places]) => {
    const [event, topic, userId] = name.split(' ') as [string, string, string];
    const most = (joins.get(`${topic} ${userId}`) ?? 0) - (event === 'member:left' ? 1 : 0);
    return places.size > most ? [`${topic}: ${places.size} ${event} of ${userId}, who came ${most} times`] : [];
  });
}
