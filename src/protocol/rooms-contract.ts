/**
 * The contract of the rooms plugin: one typed model for the socket, REST and the clients. The
 * names are those of the field's first user (join:room, room:update, lock:acquire, …).
 */
import * as v from 'valibot';
import { defineContract } from './contract.js';
import type * as Model from './rooms-model.js';

/** The model's type, if the schema gives no more and no less. */
type Told<M, S extends v.GenericSchema<unknown, M>> = M extends v.InferOutput<S> ? M : never;

/** As `v.maxBytes`, which encodes each text to count its bytes: a UTF-16 unit has at most three. */
function maxBytes(most: number): v.MaxBytesAction<string, number, undefined> {
  const counting = v.maxBytes<string, number>(most);
  return {
    ...counting,
    '~run': (dataset, config) =>
      dataset.typed && dataset.value.length * 3 <= most ? dataset : counting['~run'](dataset, config),
  };
}

/** Ids travel in URLs, topics and keys: 1–128 bytes of UTF-8, no white space, `/`, `:`, `?`, `#`, `%` or control characters. */
export const RoomId = v.pipe(
  v.string(),
  v.regex(/^[^\s/:?#%\p{Cc}\p{Surrogate}]+$/u, 'takes no spaces, / : ? # or %'),
  maxBytes(128),
);
/** Control, bidi and zero-width characters and the like: two names that look the same must not be two. */
const seen = v.regex(/^[^\p{Cc}\p{Cf}\p{DI}\p{Zl}\p{Zp}\p{Surrogate}]*$/u, 'has characters that nobody sees');
/** Every client and proxy takes these path segments for steps, so that a request would mean something else. */
const noStep = v.regex(/^(?!\.\.?$)/, "'.' and '..' cannot be part of a URL");
/** The id of a room that is to be made; one made earlier may still have what new ones may not. */
export const NewRoomId = v.pipe(RoomId, seen, noStep);
/** What a lock guards, such as `trajectory:meta`. */
export const LockTarget = v.pipe(v.string(), v.minLength(1), maxBytes(128), seen, noStep);
const LockMessage = v.pipe(v.string(), v.maxLength(500));
const Description = v.pipe(v.string(), v.maxLength(2000));
const Group = v.pipe(v.string(), v.regex(/^[\w.-]{1,64}$/, 'takes 1 to 64 letters, digits, . _ -'));

/** The lock whose state is part of RoomMetadata (`metadataLocked`). */
export const METADATA_TARGET = 'trajectory:meta';

export const LockMetadata = v.object({ msg: v.nullable(v.string()), userName: v.string(), timestamp: v.number() });
const metadataEntries = {
  id: v.string(),
  description: v.nullable(v.string()),
  frameCount: v.number(),
  locked: v.boolean(),
  hidden: v.boolean(),
  isDefault: v.boolean(),
  metadataLocked: v.nullable(LockMetadata),
  presenterSid: v.nullable(v.string()),
  group: v.nullable(v.string()),
  version: v.number(),
};
export const RoomMetadata = v.object(metadataEntries);
export type RoomMetadata = Told<Model.RoomMetadata, typeof RoomMetadata>;

export const RoomFields = v.object({
  description: v.optional(v.nullable(Description)),
  frameCount: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER))),
  locked: v.optional(v.boolean()),
  hidden: v.optional(v.boolean()),
  group: v.optional(v.nullable(Group)),
});
export type RoomFields = Told<Model.RoomFields, typeof RoomFields>;

export const Member = v.object({ userId: v.string(), name: v.string(), order: v.number(), online: v.number() });
export type Member = Told<Model.Member, typeof Member>;

const HolderOwner = { userId: v.string(), userName: v.string(), sid: v.nullable(v.string()) };
export const LockInfo = v.object({
  target: v.string(),
  ...HolderOwner,
  msg: v.nullable(v.string()),
  timestamp: v.number(),
  expiresAt: v.number(),
});
export type LockInfo = Told<Model.LockInfo, typeof LockInfo>;
export const Holders = v.object({
  locks: v.array(LockInfo),
  presenter: v.nullable(v.object(HolderOwner)),
  host: v.nullable(v.object({ userId: v.string(), userName: v.string() })),
});
export type Holders = Told<Model.Holders, typeof Holders>;

export const TopicPositions = v.record(v.string(), v.tuple([v.string(), v.number()]));
const JoinedOverview = v.object({ status: v.literal('joined'), room: v.string(), positions: TopicPositions });
const Left = v.object({ status: v.literal('left'), room: v.string() });
export const Lease = v.object({
  target: v.string(),
  token: v.number(),
  expiresAt: v.number(),
  waited: v.optional(v.number()),
});
export type Lease = Told<Model.Lease, typeof Lease>;

const lockTarget = { roomId: RoomId, target: v.optional(LockTarget) };
const held = { ...lockTarget, token: v.number() };
/** Milliseconds; capped by limits.lockMaxMs. */
const Wait = v.pipe(v.number(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const Ttl = v.pipe(v.number(), v.minValue(1), v.maxValue(Number.MAX_SAFE_INTEGER));

/** `metadata` extends RoomMetadata with the application's own fields, each with a default in the plugin's options. */
export function roomsContract<const E extends v.ObjectEntries = Record<never, never>>(
  options: { readonly metadata?: E } = {},
) {
  const extension = (options.metadata ?? {}) as E;
  const metadata = v.object({ ...metadataEntries, ...extension });
  const update = v.looseObject({
    roomId: v.string(),
    version: v.number(),
    created: v.optional(v.boolean()),
    ...v.partial(v.omit(metadata as typeof RoomMetadata, ['id', 'version'])).entries,
    ...(v.partial(v.object(extension)).entries as { readonly [K in keyof E]: v.OptionalSchema<E[K], undefined> }),
  });
  const deleted = v.object({ roomId: v.string(), version: v.number() });
  return defineContract({
    topics: {
      'overview:{group}': { subscribe: 'by-call', events: { 'room:update': update, 'room:delete': deleted } },
      'room:{id}': {
        subscribe: 'by-call',
        events: {
          'room:update': update,
          'room:delete': deleted,
          'lock:update': v.object({ roomId: v.string(), target: v.string(), lock: v.nullable(LockInfo) }),
          'member:joined': v.object({ roomId: v.string(), member: Member }),
          'member:left': v.object({ roomId: v.string(), userId: v.string(), reason: v.string() }),
          /** Another device of a member came or went. */
          'member:online': v.object({ roomId: v.string(), userId: v.string(), online: v.number() }),
          /** The room has become too large to name each member (complete: false, no names), or small enough again. */
          'member:mode': v.object({
            roomId: v.string(),
            memberCount: v.number(),
            complete: v.boolean(),
            members: v.array(Member),
          }),
          /** Volatile, in a room too large to name each: how many there are now. */
          'member:count': v.object({ roomId: v.string(), memberCount: v.number() }),
          /** Beside room:update's presenterSid: who that is. */
          'presenter:update': v.object({ roomId: v.string(), presenter: v.nullable(v.object(HolderOwner)) }),
          'host:update': v.object({
            roomId: v.string(),
            host: v.nullable(v.object({ userId: v.string(), userName: v.string() })),
          }),
        },
      },
    },
    calls: {
      'join:overview': { input: v.object({ group: v.optional(Group) }), output: JoinedOverview },
      'leave:overview': { input: v.object({ group: v.optional(Group) }), output: Left },
      'join:room': {
        input: v.object({
          roomId: RoomId,
          /** Creates the room when there is none, with these fields. */
          create: v.optional(v.union([v.boolean(), RoomFields])),
        }),
        output: v.object({
          status: v.literal('joined'),
          room: v.string(),
          roomId: v.string(),
          created: v.boolean(),
          metadata,
          members: v.array(Member),
          memberCount: v.number(),
          /** False: `members` is a first page; go on with room:members. */
          complete: v.boolean(),
          holders: Holders,
          positions: TopicPositions,
        }),
      },
      'leave:room': { input: v.object({ roomId: RoomId }), output: Left },
      'room:members': {
        input: v.object({ roomId: RoomId, after: v.optional(v.string()) }),
        output: v.object({
          members: v.array(Member),
          memberCount: v.number(),
          next: v.nullable(v.string()),
          positions: TopicPositions,
        }),
      },
      'lock:acquire': {
        input: v.object({
          ...lockTarget,
          ttl: v.optional(Ttl),
          msg: v.optional(v.nullable(LockMessage)),
          /** Ms to wait in line while another holds it. */
          wait: v.optional(Wait),
        }),
        output: Lease,
      },
      'lock:refresh': {
        input: v.object({ ...held, ttl: v.optional(Ttl), msg: v.optional(v.nullable(LockMessage)) }),
        output: Lease,
      },
      'lock:msg': { input: v.object({ ...held, msg: v.nullable(LockMessage) }), output: Lease },
      /** Ends another's lease: for those whom `access` lets. */
      'lock:force': { input: v.object(lockTarget), output: v.object({ target: v.string(), released: v.boolean() }) },
      'lock:release': { input: v.object(held), output: v.object({ target: v.string(), released: v.boolean() }) },
      'presenter:take': { input: v.object({ roomId: RoomId }), output: v.object({ presenterSid: v.string() }) },
      'presenter:release': { input: v.object({ roomId: RoomId }), output: v.object({ presenterSid: v.null() }) },
      'presenter:give': {
        input: v.object({ roomId: RoomId, sid: v.string() }),
        output: v.object({ presenterSid: v.string() }),
      },
      'host:give': {
        input: v.object({ roomId: RoomId, userId: v.string() }),
        output: v.object({ userId: v.string() }),
      },
      'member:kick': {
        input: v.object({ roomId: RoomId, userId: v.string() }),
        output: v.object({ kicked: v.boolean() }),
      },
    },
  });
}
