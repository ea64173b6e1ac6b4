/** What the server, its pages and its scripts say to each other; imports nothing of Node. */
import { defineContract, roomsContract } from '@roomwire/client/protocol';
import * as v from 'valibot';

const Index = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1e9));
const Coordinate = v.pipe(v.number(), v.finite());

/** One frame of a trajectory: the atoms' places, and their atomic numbers. */
export const Frame = v.pipe(
  v.object(
    {
      positions: v.pipe(v.array(v.tuple([Coordinate, Coordinate, Coordinate])), v.maxLength(5_000, 'too many atoms')),
      numbers: v.array(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(118))),
    },
    'a frame has positions and numbers',
  ),
  v.check(({ positions, numbers }) => positions.length === numbers.length, 'each atom has a position and a number'),
);
export type Frame = v.InferOutput<typeof Frame>;

const content = v.pipe(v.string(), v.trim(), v.minLength(1, 'content is missing'), v.maxLength(4_000));
export const ChatMessage = v.object({
  id: v.string(),
  roomId: v.string(),
  author: v.object({ id: v.string(), name: v.string() }),
  content: v.string(),
  /** Milliseconds since the Unix epoch. */
  createdAt: v.number(),
  updatedAt: v.number(),
  isEdited: v.boolean(),
  /** Of two copies of a message the one with the greater version is the newer. */
  version: v.number(),
});
export type ChatMessage = v.InferOutput<typeof ChatMessage>;

export const Job = v.object({
  id: v.string(),
  name: v.string(),
  userName: v.string(),
  status: v.picklist(['queued', 'running']),
});
export type Job = v.InferOutput<typeof Job>;

const Operation = v.picklist(['set', 'delete']);

/** Beside what `roomsContract()` has: join:room, room:update, room:delete, lock:acquire, … */
export const contract = defineContract({
  use: [roomsContract()],
  topics: {
    'room:{id}': {
      events: {
        /** Volatile: where the presenter is. The server takes it from the presenter alone. */
        frame_update: { schema: v.object({ frame: Index }), publish: 'subscribers' },
        'frames:invalidate': v.object({
          operation: v.picklist(['replace', 'delete']),
          /** Frames from here on are others now, or gone; with `replace` only this one. */
          affectedFrom: Index,
        }),
        'frame_selection:update': v.object({ indices: v.array(Index) }),
        'bookmarks:invalidate': v.object({ index: Index, operation: Operation }),
        /** `invalidate:geometry`, `invalidate:figure`, `invalidate:settings`, `invalidate:selection`. */
        'invalidate:*': v.object({ key: v.string(), operation: Operation }),
        'queue:update': v.object({ jobs: v.array(Job) }),
        'chat:message:new': ChatMessage,
        'chat:message:updated': ChatMessage,
      },
    },
  },
  calls: {
    'frame_selection:set': {
      input: v.object({ roomId: v.string(), indices: v.pipe(v.array(Index), v.maxLength(10_000)) }),
      output: v.object({ indices: v.array(Index) }),
    },
    'chat:message:create': {
      input: v.object({ roomId: v.string(), content }, 'roomId or content is missing'),
      output: ChatMessage,
    },
    'chat:message:edit': {
      input: v.object(
        { roomId: v.string(), messageId: v.string(), content },
        'roomId, messageId or content is missing',
      ),
      output: ChatMessage,
    },
  },
});
export type Contract = typeof contract;
