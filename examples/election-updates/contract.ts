/** What the election's server and its clients say to each other; imports nothing of Node. */
import { defineContract } from '@roomwire/client/protocol';
import * as v from 'valibot';

/** A row as the backend serialises it. `version` grows with every change: apply only what is newer. */
const row = <E extends v.ObjectEntries>(entries: E) =>
  v.object({ id: v.number(), version: v.number(), committee_id: v.number(), ...entries });
/** What a bulk import sends instead of its rows. */
const Summary = v.object({ count: v.number(), committee_ids: v.array(v.number()), version: v.number() });
export const Dashboard = v.object({
  version: v.number(),
  guarantees: v.number(),
  confirmed: v.number(),
  attended: v.number(),
  votes: v.number(),
  results: v.array(v.object({ election_id: v.number(), candidate: v.string(), votes: v.number() })),
});
export type Dashboard = v.InferOutput<typeof Dashboard>;

const update = <S extends v.GenericSchema>(data: S) =>
  v.object({ action: v.picklist(['create', 'update', 'delete']), data });
const updates = {
  guarantee_update: update(v.union([row({ voter: v.string(), status: v.string() }), Summary])),
  attendance_update: update(v.union([row({ voter: v.string(), present: v.boolean() }), Summary])),
  voting_update: update(v.union([row({ election_id: v.number(), candidate: v.string(), votes: v.number() }), Summary])),
};

/** A group's name is its topic's. */
const Groups = v.object(
  { groups: v.pipe(v.array(v.pipe(v.string(), v.maxLength(100))), v.minLength(1), v.maxLength(50)) },
  'groups is missing',
);
const Pong = v.object({ type: v.literal('pong'), timestamp: v.string() });
const Subscribed = v.object({ type: v.literal('subscribed'), groups: v.array(v.string()) });

export const contract = defineContract({
  topics: {
    /** Everyone who is connected. */
    election_updates: { events: { ...updates, dashboard_update: update(Dashboard) } },
    /** Its members and admins, as the backend says. */
    'committee:{id}': { events: updates },
    /** What `send_to_user` sends: the user alone. */
    'user:{id}': { subscribe: 'own', events: { '*': v.unknown() } },
  },
  calls: {
    ping: { input: v.optional(v.unknown()), output: Pong },
    /** Such as `committee:3`; who wants nothing else unsubscribes from `election_updates`. */
    subscribe: { input: Groups, output: Subscribed },
    unsubscribe: { input: Groups, output: v.object({ type: v.literal('unsubscribed'), groups: v.array(v.string()) }) },
    // The server calls the client: a greeting, and the answers above once more for those who listen by name.
    connection_success: {
      input: v.object({ user: v.looseObject({ id: v.string(), name: v.string() }), groups: v.array(v.string()) }),
    },
    pong: { input: Pong },
    subscribed: { input: Subscribed },
  },
});
export type Contract = typeof contract;
