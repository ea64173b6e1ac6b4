/**
 * How often one user may come into a room: each coming and going is told to all who are there, so one who flaps costs as
 * much as they are many. Going is never refused, nor is a join of a room that the session is in.
 */
import type { PluginHost, Session, Transaction } from '../server/api.js';
import { roomTopic } from './records.js';

/** Comings at once: a page that is reloaded, a network that flaps. */
const BURST = 20;
/** All rooms together, in rooms; and at once, such as after a restart that forgot them. */
const ROOMS = 20;
const ROOMS_BURST = 1_000;

/**
 * In the join's transaction: only there is it known whether the session has left by then. `input`: the call's, by which a
 * transaction that runs again counts once. Throws too_many.
 */
export type CountEntry = (tx: Transaction, session: Session, input: { readonly roomId: string }) => void;

export function entries(host: PluginHost): CountEntry {
  const { entriesPerSecond } = host.limits;
  if (entriesPerSecond === 0) return () => undefined;
  const intoOne = host.rate(entriesPerSecond, BURST);
  const intoAny = host.rate(entriesPerSecond * ROOMS, ROOMS_BURST);
  const counted = new WeakSet<object>();
  return (tx, session, input) => {
    const { roomId } = input;
    if (counted.has(input) || tx.topics(session).includes(roomTopic(roomId))) return;
    const { id } = session.user;
    intoOne(`${roomId}\0${id}`);
    intoAny(id);
    counted.add(input);
  };
}
