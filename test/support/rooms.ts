/** Starts a server with rooms, in one line. */
import * as v from 'valibot';
import { defineContract } from '../../src/protocol/contract.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { rooms, type RoomsApi, type RoomsOptions } from '../../src/rooms/rooms.js';
import type { Plugin } from '../../src/server/api.js';
import type { ServerOptions } from '../../src/server/server.js';
import { startServer, type Test } from './server.js';

export const roomContract = defineContract({
  use: [roomsContract()],
  topics: {
    'room:{id}': {
      events: {
        'chat:message:new': { schema: v.object({ text: v.string() }), publish: 'subscribers' },
        frame_update: v.object({ frame: v.number() }),
      },
    },
  },
});

type RoomsPlugins = readonly [Plugin<'rooms', RoomsApi>];
type Options = Partial<ServerOptions<typeof roomContract, { id: string; name: string }, RoomsPlugins>> & {
  readonly rooms?: RoomsOptions;
};

export function startRooms(t: Test, { rooms: roomsOptions, ...options }: Options = {}) {
  return startServer(t, { contract: roomContract, plugins: [rooms(roomsOptions)] as const, ...options });
}
