/** What the party's server and its clients say to each other; imports nothing of Node. */
import { defineContract, roomsContract } from '@roomwire/client/protocol';
import * as v from 'valibot';

const missing = 'Missing required parameters: code';
/** A party's code, as its guests type it. */
export const Code = v.object(
  { code: v.pipe(v.string(missing), v.trim(), v.minLength(1, missing), v.maxLength(32), v.toUpperCase()) },
  missing,
);

/** Who is in the room; a member is known by e-mail. */
export const RoomInfo = v.object({
  code: v.string(),
  /** E-mail; null: nobody is left. */
  host: v.nullable(v.string()),
  /** In joining order; of a very large room the first. */
  members: v.array(v.object({ email: v.string(), username: v.string() })),
  member_count: v.number(),
});
export type RoomInfo = v.InferOutput<typeof RoomInfo>;

export const contract = defineContract({
  use: [roomsContract()],
  topics: { 'room:{id}': { events: { room_info_updated: RoomInfo } } },
  calls: {
    join_room: { input: Code, output: RoomInfo },
    leave_room: { input: Code, output: v.object({ code: v.string(), left: v.boolean() }) },
    request_room_info: { input: Code, output: RoomInfo },
    /** The server calls the client that asked. */
    room_info_response: { input: RoomInfo },
  },
});
export type Contract = typeof contract;
