/**
 * What `roomwire serve` offers without a program of one's own: rooms with chat and the room events of
 * a viewer, and the plain topics its config file names. Data is not looked into.
 */
import * as v from 'valibot';
import { defineContract, type Contract, type TopicDefinition } from '../protocol/contract.js';
import { roomsContract } from '../protocol/rooms-contract.js';

const anything = v.unknown();
const byMembers = { schema: anything, publish: 'subscribers' } as const;

export const defaultContract = defineContract({
  use: [roomsContract()],
  topics: {
    /** What a backend tells one user, on all devices: nobody else may subscribe. */
    'user:{id}': { subscribe: 'own', events: { '*': anything } },
    'room:{id}': {
      events: {
        'chat:message:new': byMembers,
        'chat:message:updated': byMembers,
        /** The presenter's current frame; a policy in serve.ts keeps others out. */
        frame_update: byMembers,
        'frame_selection:update': byMembers,
        'bookmarks:invalidate': anything,
        'frames:invalidate': anything,
        'invalidate:*': anything,
        'queue:update': anything,
      },
    },
  },
});

/** Who may publish each event, and who may subscribe, as the config file says it. */
export interface TopicConfig {
  readonly subscribe?: 'everyone' | 'own' | 'by-call' | undefined;
  readonly events: Readonly<Record<string, 'server' | 'subscribers'>>;
}

/** The default contract with the config's topics and the calls of its proxy. Throws a TypeError for a malformed pattern. */
export function contractWith(topics: Readonly<Record<string, TopicConfig>>, calls: readonly string[] = []): Contract {
  const definitions: Record<string, TopicDefinition> = {};
  for (const [pattern, { subscribe, events }] of Object.entries(topics)) {
    definitions[pattern] = {
      ...(subscribe === undefined || subscribe === 'everyone' ? {} : { subscribe }),
      events: Object.fromEntries(
        Object.entries(events).map(([event, publish]) => [event, { schema: anything, publish }]),
      ),
    };
  }
  const proxied = Object.fromEntries(calls.map((call) => [call, { input: anything }]));
  return defineContract({ use: [defaultContract as unknown as Contract], topics: definitions, calls: proxied });
}
