/**
 * What several operations of HTTP answer, told once: the server's types, the schemas that /openapi.json names
 * (openapi.ts) and, as types alone, what the page reads.
 */
import * as v from 'valibot';
import type { Value } from './frames.js';
import { LockInfo, TopicPositions } from './rooms-contract.js';

const Count = v.pipe(v.number(), v.integer(), v.minValue(0));
const Text = v.string();
const MaybeText = v.nullable(v.string());
const MaybeCount = v.nullable(Count);
/** Store time, ms. */
const Time = v.number();
/** Plain data. Not typed as such: Value contains itself, which compilers of users' programs give up on in here. */
const Data = v.unknown();

const record = <const E extends v.ObjectEntries>(entries: E) => v.pipe(v.object(entries), v.readonly());
const list = <const S extends v.GenericSchema>(item: S) => v.pipe(v.array(item), v.readonly());

export const Problem = record({
  type: Text,
  title: Text,
  status: v.pipe(v.number(), v.integer()),
  detail: Text,
  code: v.exactOptional(v.pipe(v.number(), v.integer())),
  name: v.exactOptional(Text),
  details: v.exactOptional(Data),
});
export type Problem = v.InferOutput<typeof Problem>;

export const Health = record({ status: v.picklist(['ok', 'unavailable']) });

/**
 * Which package carries the connections. `repackaged`: somebody else's copy of the official binaries, or a build of his
 * own. `link`: edges do; /api/edges names their engines.
 */
export const Engine = record({
  name: v.picklist(['uws', 'ws', 'link']),
  package: Text,
  version: Text,
  origin: v.picklist(['official', 'repackaged']),
});
export type EngineInfo = v.InferOutput<typeof Engine>;
/** How a node of a cluster stands. */
export const ClusterReport = record({
  role: v.picklist(['single', 'standby', 'hub', 'over']),
  node: Text,
  term: Count,
  /** The node that is the hub; empty: none is known of. */
  hub: Text,
  /** Records of the log that this node has yet to apply. */
  lag: Count,
  /** Ms since the hub wrote to the log; null: it has not while this node listened. */
  lastBeatMs: MaybeCount,
  /** Ms since the log last answered this node; null: it has not yet. */
  logMs: MaybeCount,
  /** Why this node cannot take part. */
  problem: v.exactOptional(Text),
});
export type ClusterReport = v.InferOutput<typeof ClusterReport>;
/** The same, as a node told it beside the log. */
export const NodeReport = record({
  ...ClusterReport.entries,
  /** HOST:PORT at which the others reach it while it is the hub; empty: nowhere. */
  advertise: Text,
  /** Ms since it told this. */
  seenMs: Count,
});
export type NodeReport = v.InferOutput<typeof NodeReport>;
export const Nodes = record({ nodes: list(NodeReport) });
export const HealthSummary = record({
  ...Health.entries,
  version: Text,
  engine: Engine,
  cluster: v.exactOptional(ClusterReport),
});

export const Edge = record({
  name: Text,
  /** Its end of the link, as this server sees it: an address, or `this machine`. */
  address: Text,
  /** Of its package. */
  version: Text,
  engine: Engine,
  /** Where it listens; null: not yet. */
  port: MaybeCount,
  /** Since it joined, ms. */
  ageMs: Count,
  state: v.picklist(['joined', 'open', 'draining']),
  connections: Count,
  /** Sent to it, and not taken yet. */
  inFlightBytes: Count,
  cpuSeconds: v.number(),
  rssBytes: Count,
  /** How late its event loop was in the last second, seconds: median, 99 %, worst. */
  loopDelay: v.pipe(v.tuple([v.number(), v.number(), v.number()]), v.readonly()),
});
/** A process that carries connections for the hub. */
export type EdgeReport = v.InferOutput<typeof Edge>;
export const Edges = record({ edges: list(Edge) });
export const Drained = record({ told: Count });

export const Stats = record({
  /** Open connections, also those that have not said HELLO yet. */
  connections: Count,
  /** Sessions, also those in their grace. */
  sessions: Count,
  /** Users with a session. */
  users: Count,
  /** Topics in memory; the store may know more. */
  topics: Count,
  /** Bytes of the events kept in memory. */
  ringBytes: Count,
  /** RESETs told since the start: clients too slow for the history. */
  resets: Count,
  /** Connections whose socket takes no more for now. */
  stalled: Count,
  /** Subscriptions that have not been sent yet what is there for them: slow, or catching up. */
  behind: Count,
  /** Those who follow topics over HTTP, or poll them. */
  readers: Count,
});
export type Stats = v.InferOutput<typeof Stats>;

const delivery = {
  status: v.picklist(['ok', 'failing']),
  /** From the publish to the client, ms; while failing: for how long it is awaited. */
  ms: v.number(),
  /** The part of it until the commit. */
  commitMs: v.exactOptional(v.number()),
  /** While failing: where it stands still, and why, as far as it is known. */
  stage: v.exactOptional(v.picklist(['connect', 'login', 'subscribe', 'commit', 'delivery'])),
  reason: v.exactOptional(Text),
  /** While failing: since when, ISO 8601. */
  since: v.exactOptional(Text),
  /** When an event last arrived, ISO 8601; null: not yet. */
  lastOk: MaybeText,
  store: record({
    name: Text,
    durable: v.boolean(),
    /** False from a commit that failed to the next that succeeds. */
    healthy: v.boolean(),
    /** Ms that the commit under way takes already; null: none is. */
    committingMs: MaybeCount,
  }),
};
export const Delivery = record({ ...delivery, counts: Stats });
/** What the probe found: see PluginHost.checkDelivery. */
export type Delivery = Omit<v.InferOutput<typeof Delivery>, 'counts'>;
/** How far the probe's event came: to the port, past HELLO, into the topic, through the store, to the client. */
export type DeliveryStage = NonNullable<Delivery['stage']>;

const Subscriber = record({
  sid: Text,
  user: Text,
  /** False in the grace: it is a member of the topic and will be fed when it is back. */
  connected: v.boolean(),
  /** The edge that carries its connection; null: this process does, or there is none. */
  edge: MaybeText,
  /** The last offset written to its socket; null while it is not connected. */
  cursor: MaybeCount,
  /** Events it still needs. */
  lag: Count,
  /** Bytes its socket holds. */
  bufferedBytes: Count,
  /** The last offset the client said it has handled; null: it said nothing. */
  handled: MaybeCount,
});
export type SubscriberReport = v.InferOutput<typeof Subscriber>;

const Publish = record({
  offset: Count,
  at: Time,
  /** Connected subscribers at that moment. */
  matched: Count,
  /** Of those there now, who have not been sent it yet. */
  behind: Count,
});
export type PublishReport = v.InferOutput<typeof Publish>;

export const Topic = record({
  topic: Text,
  /** Whether anybody is in it or ever published to it. */
  exists: v.boolean(),
  /** Whether the contract has such a topic. */
  known: v.boolean(),
  epoch: MaybeText,
  head: Count,
  /** Sessions in it, also those in their grace. */
  subscriberCount: Count,
  /** The furthest behind first. */
  subscribers: list(Subscriber),
  /** The newest first. */
  publishes: list(Publish),
  /** Topics in memory, and some of them; names like the one asked for, those that somebody is in first. Only where nobody is in it. */
  topics: v.exactOptional(Count),
  samples: v.exactOptional(list(Text)),
  similar: v.exactOptional(list(Text)),
});
export type TopicReport = v.InferOutput<typeof Topic>;

const Line = record({
  topic: Text,
  epoch: Text,
  head: Count,
  /** Connected sessions in it. */
  subscribers: Count,
  /** Of those, who have not been sent yet what is there for them. */
  behind: Count,
  /** Events a second, over the last ten. */
  perSecond: v.number(),
  /** Of its newest event; null: none since the start, as far as memory reaches. */
  lastAt: v.nullable(Time),
});
export type TopicLine = v.InferOutput<typeof Line>;

export const Topics = record({
  now: Time,
  /** Topics in memory that fit, listed or not. */
  total: Count,
  /** Those with the newest events first. */
  topics: list(Line),
});
export type TopicList = v.InferOutput<typeof Topics>;

const Logged = record({
  offset: Count,
  /** Null: memory does not hold it any more. */
  at: v.nullable(Time),
  event: Text,
  data: Data,
  /** The sender's session; null: the server. */
  from: MaybeText,
});
export interface LoggedEvent extends v.InferOutput<typeof Logged> {
  readonly data: Value;
}

export const History = record({
  topic: Text,
  epoch: Text,
  head: Count,
  /** In order. The first is later than asked for where the history does not reach that far. */
  events: list(Logged),
});
export interface TopicHistory extends v.InferOutput<typeof History> {
  readonly events: readonly LoggedEvent[];
}

/** What one who follows a topic is answered. */
export const Polled = record({
  ...History.entries,
  /** To be sent as Last-Event-ID with the next request: `<epoch>:<offset>`. */
  lastEventId: Text,
  /** The history does not reach back to where the reader was: refetch, and go on from `lastEventId`. */
  reset: v.boolean(),
});

/** A lock of any room, for a person who watches all of them; `waiting`: calls in line for it. */
const Watched = record({ roomId: Text, ...LockInfo.entries, waiting: Count });
export type WatchedLock = v.InferOutput<typeof Watched>;
export const WatchedLocks = record({ now: Time, total: Count, locks: list(Watched) });
export type WatchedLocks = v.InferOutput<typeof WatchedLocks>;

export const ContractShown = record({
  topics: list(
    record({
      pattern: Text,
      subscribe: v.picklist(['everyone', 'own', 'by-call']),
      events: list(record({ event: Text, publish: v.picklist(['server', 'subscribers']) })),
    }),
  ),
  calls: list(Text),
});
export type ContractShown = v.InferOutput<typeof ContractShown>;

const VERDICTS = [
  'never_subscribed',
  /** Subscribed after the event: it was never its to get. */
  'joined_after',
  /** Left, kicked or ended before it. */
  'left_before',
  /** Away: lost its connection before, and its grace still runs. */
  'away',
  /** Connected, and its socket does not take more. */
  'behind',
  /** Told by a RESET that it missed it. */
  'reset',
  /** Written to its socket; whether the client has it is not known. */
  'written',
  /** The client said it has handled it. */
  'handled',
] as const;
export const Why = record({
  /** See docs/http.md. */
  verdict: v.picklist([...VERDICTS, 'no_such_topic', 'no_such_offset', 'no_such_session']),
  /** For a person. */
  sentence: Text,
  /** One for each session of the user; `weight`: the one that tells most has the most. */
  sessions: list(
    record({
      sid: Text,
      /** The edge that carries its connection; null: this process does, or there is none. */
      edge: MaybeText,
      verdict: v.picklist(VERDICTS),
      sentence: Text,
      weight: v.number(),
    }),
  ),
});
export type WhyReport = v.InferOutput<typeof Why>;

export const Session = record({
  sid: Text,
  user: record({ id: Text, name: Text }),
  connected: v.boolean(),
  topics: list(Text),
});
export type Session = v.InferOutput<typeof Session>;
export const User = record({ userId: Text, connections: Count, sessions: list(Session) });
export type User = v.InferOutput<typeof User>;
const Present = record({ userId: Text, name: Text, sessions: Count });
/** Users with a session. */
export const Users = record({ users: list(Present) });
export type PresentUser = v.InferOutput<typeof Present>;
export type UserList = v.InferOutput<typeof Users>;
export const Kicked = record({ kicked: Count });
/** The sessions that a user has now, as they are after it. */
export const UserMoved = record({ userId: Text, topic: Text, sessions: list(Session) });
/** By a client. */
export const Answered = record({ result: Data });

export const Published = record({ epoch: Text, offset: Count, matched: Count, diagnosis: v.exactOptional(Topic) });
export type Published = v.InferOutput<typeof Published>;

export { TopicPositions as Positions };
