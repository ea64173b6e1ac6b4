/**
 * How often one user may come into a room: each coming and going is told to all who are there, so one who flaps costs as
 * much as they are many. Going is never refused, nor is a join of a room that the session is in. A guard of calls.ts.
 */
import type { PluginHost, Session } from '../server/api.js';
import { roomTopic } from './records.js';

/** Comings at once: a page that is reloaded, a network that flaps. */
const BURST = 20;
/** All rooms together, in rooms; and at once, such as after a restart that forgot them. */
const ROOMS = 20;
const ROOMS_BURST = 1_000;

/** Throws too_many. */
export type CountEntry = (session: Session, roomId: string) => void;

export function entries(host: PluginHost): CountEntry {
  const { entriesPerSecond } = host.limits;
  if (entriesPerSecond === 0) return () => undefined;
  const intoOne = host.rate(entriesPerSecond, BURST);
  const intoAny = host.rate(entriesPerSecond * ROOMS, ROOMS_BURST);
  return ({ user, topics }, roomId) => {
    if (topics.has(roomTopic(roomId))) return;
    intoOne(`${roomId}\0${user.id}`);
    intoAny(user.id);
  };
}
