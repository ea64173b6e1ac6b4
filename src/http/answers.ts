/** The answers that several operations share, as schemas: named in /openapi.json (openapi.ts). */
import * as v from 'valibot';
import { LockInfo, TopicPositions } from '../protocol/rooms-contract.js';

const Count = v.pipe(v.number(), v.integer(), v.minValue(0));
const Text = v.string();
const MaybeText = v.nullable(v.string());
const MaybeCount = v.nullable(Count);

export const Problem = v.object({
  type: Text,
  title: Text,
  status: v.pipe(v.number(), v.integer()),
  detail: Text,
  code: v.optional(v.pipe(v.number(), v.integer())),
  name: v.optional(Text),
  details: v.optional(v.unknown()),
});

export const Health = v.object({ status: v.picklist(['ok', 'unavailable']) });

export const Engine = v.object({
  name: v.picklist(['uws', 'ws']),
  package: Text,
  version: Text,
  origin: v.picklist(['official', 'repackaged']),
});
export const HealthSummary = v.object({ ...Health.entries, version: Text, engine: Engine });

export const Stats = v.object({
  connections: Count,
  sessions: Count,
  users: Count,
  topics: Count,
  ringBytes: Count,
  resets: Count,
  stalled: Count,
  behind: Count,
});

export const Delivery = v.object({
  status: v.picklist(['ok', 'failing']),
  ms: v.number(),
  commitMs: v.optional(v.number()),
  stage: v.optional(v.picklist(['connect', 'login', 'subscribe', 'commit', 'delivery'])),
  reason: v.optional(Text),
  since: v.optional(Text),
  lastOk: MaybeText,
  store: v.object({ name: Text, durable: v.boolean(), healthy: v.boolean(), committingMs: MaybeCount }),
  counts: Stats,
});

export const Topic = v.object({
  topic: Text,
  exists: v.boolean(),
  known: v.boolean(),
  epoch: MaybeText,
  head: Count,
  subscriberCount: Count,
  subscribers: v.array(
    v.object({
      sid: Text,
      user: Text,
      connected: v.boolean(),
      cursor: MaybeCount,
      lag: Count,
      bufferedBytes: Count,
      handled: MaybeCount,
    }),
  ),
  publishes: v.array(v.object({ offset: Count, at: v.number(), matched: Count, behind: Count })),
  topics: v.optional(Count),
  samples: v.optional(v.array(Text)),
  similar: v.optional(v.array(Text)),
});

export const Topics = v.object({
  now: v.number(),
  total: Count,
  topics: v.array(
    v.object({
      topic: Text,
      epoch: Text,
      head: Count,
      subscribers: Count,
      behind: Count,
      perSecond: v.number(),
      lastAt: v.nullable(v.number()),
    }),
  ),
});

export const History = v.object({
  topic: Text,
  epoch: Text,
  head: Count,
  events: v.array(
    v.object({ offset: Count, at: v.nullable(v.number()), event: Text, data: v.unknown(), from: MaybeText }),
  ),
});

export const WatchedLocks = v.object({
  now: v.number(),
  total: Count,
  locks: v.array(v.object({ roomId: Text, ...LockInfo.entries, waiting: Count })),
});

export const ContractShown = v.object({
  topics: v.array(
    v.object({
      pattern: Text,
      subscribe: v.picklist(['everyone', 'own', 'by-call']),
      events: v.array(v.object({ event: Text, publish: v.picklist(['server', 'subscribers']) })),
    }),
  ),
  calls: v.array(Text),
});

export const Why = v.object({
  verdict: Text,
  sentence: Text,
  sessions: v.array(v.object({ sid: Text, verdict: Text, sentence: Text, weight: v.number() })),
});

export const Session = v.object({
  sid: Text,
  user: v.object({ id: Text, name: Text }),
  connected: v.boolean(),
  topics: v.array(Text),
});
export const User = v.object({ userId: Text, connections: Count, sessions: v.array(Session) });
export const Kicked = v.object({ kicked: Count });

export const Published = v.object({
  epoch: Text,
  offset: Count,
  matched: Count,
  diagnosis: v.optional(Topic),
});

export { TopicPositions as Positions };
