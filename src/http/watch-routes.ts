/** For a person who watches the server: its topics by their traffic, all locks, the contract. */
import * as v from 'valibot';
import type { RoomsApi } from '../rooms/rooms.js';
import type { PluginHost } from '../server/api.js';
import { ContractShown, Topics, WatchedLocks } from '../protocol/http-answers.js';
import { answering, WholeNumber, type Route } from './route.js';

const LOCKS = 200;

export function watchRoutes(server: PluginHost, rooms: RoomsApi | undefined): Route[] {
  const routes = [
    answering({
      method: 'GET',
      path: '/api/topics',
      id: 'listTopics',
      summary: 'The topics in memory with their rates, those with the newest events first.',
      for: 'admins',
      query: { search: v.optional(v.string()), limit: v.optional(WholeNumber) },
      answer: { description: 'at most 500, and how many fit', schema: Topics },
      handle: ({ query }) => server.topics(query),
    }),
    answering({
      method: 'GET',
      path: '/api/contract',
      id: 'getContract',
      summary: 'The names of the contract: topics with their events, calls.',
      for: 'admins',
      answer: { description: 'who may subscribe and publish, too', schema: ContractShown },
      handle: () => namesOf(server),
    }),
  ];
  if (rooms === undefined) return routes;
  const locks = answering({
    method: 'GET',
    path: '/api/locks',
    id: 'watchLocks',
    summary: 'The locks of all rooms.',
    for: 'admins',
    answer: { description: 'the one held longest first, at most 200, and how many there are', schema: WatchedLocks },
    handle: async () => ({ ...(await rooms.locks.watch(LOCKS)), total: rooms.holders().lock }),
  });
  return [...routes, locks];
}

function namesOf({ contract }: PluginHost): object {
  return {
    topics: contract.topics.map(({ pattern, subscribe, events }) => ({
      pattern,
      subscribe,
      events: Object.entries(events).map(([event, { publish }]) => ({ event, publish })),
    })),
    calls: Object.keys(contract.calls),
  };
}
