/** What a start reads of the rooms of an earlier run: what is kept in memory of them, and what newer policies change. */
import type { PluginHost } from '../server/api.js';
import type { Crowd } from './crowd.js';
import { everyone } from './members.js';
import type { Membership } from './membership.js';
import type { Policies } from './policies.js';
import type { Presenters } from './presenter.js';
import { list, listedIn, listRooms, updateRoom } from './records.js';

const PAGE = 200;

export interface RestoreParts {
  readonly crowd: Crowd;
  readonly presenters: Presenters;
  readonly policies: Policies;
  readonly membership: Membership;
}

export async function restoreRooms(
  server: PluginHost,
  { crowd, presenters, policies, membership }: RestoreParts,
): Promise<void> {
  let after = '';
  for (;;) {
    const from = after;
    const rooms = await server.transact((tx) => {
      const page = listRooms(tx, from, PAGE);
      // Those of a version that had no index.
      for (const [roomId, { metadata }] of page) list(tx, roomId, null, listedIn(metadata));
      return page;
    });
    for (const [roomId, record] of rooms) {
      const { metadata } = record;
      crowd.restore(roomId, record);
      presenters.note(roomId, metadata.presenterSid);
      // The policies may be newer than the room.
      if (!metadata.hidden && !policies.listed(roomId)) {
        await server.transact((tx) => updateRoom(tx, roomId, { hidden: true }));
      }
      // Members without a session wait for `memberTtl` anew.
      const gone = await server.transact((tx) => [...everyone(tx, record)].filter(({ sids }) => sids.length === 0));
      for (const { userId } of gone) membership.expectBack(roomId, userId);
    }
    const last = rooms[rooms.length - 1];
    if (last === undefined) return;
    after = last[0];
  }
}
