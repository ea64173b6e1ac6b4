/** What the server answers an administrator, as docs/http.md has it: the parts that the page shows. */

export interface TopicLine {
  readonly topic: string;
  readonly head: number;
  readonly subscribers: number;
  readonly behind: number;
  readonly perSecond: number;
  /** Store time, ms; null: none since the start. */
  readonly lastAt: number | null;
}

export interface TopicList {
  readonly now: number;
  readonly total: number;
  readonly topics: readonly TopicLine[];
}

export interface Stats {
  readonly connections: number;
  readonly sessions: number;
  readonly stalled: number;
  readonly behind: number;
  readonly resets: number;
}

export interface Subscriber {
  readonly sid: string;
  readonly user: string;
  readonly connected: boolean;
  readonly lag: number;
  readonly bufferedBytes: number;
  readonly handled: number | null;
}

export interface TopicReport {
  readonly topic: string;
  readonly exists: boolean;
  readonly known: boolean;
  readonly epoch: string | null;
  readonly head: number;
  readonly subscriberCount: number;
  readonly subscribers: readonly Subscriber[];
  readonly publishes: readonly {
    readonly offset: number;
    readonly at: number;
    readonly matched: number;
    readonly behind: number;
  }[];
  readonly similar?: readonly string[];
}

export interface LoggedEvent {
  readonly offset: number;
  readonly at: number | null;
  readonly event: string;
  readonly data: unknown;
  readonly from: string | null;
}

export interface History {
  readonly epoch: string;
  readonly head: number;
  readonly events: readonly LoggedEvent[];
}

export interface Names {
  readonly topics: readonly { readonly pattern: string; readonly events: readonly { readonly event: string }[] }[];
  readonly calls: readonly string[];
}

export interface WatchedLock {
  readonly roomId: string;
  readonly target: string;
  readonly userId: string;
  readonly userName: string;
  /** Null: held over HTTP. */
  readonly sid: string | null;
  readonly msg: string | null;
  /** When it was taken, seconds. */
  readonly timestamp: number;
  /** Store time, ms. */
  readonly expiresAt: number;
  /** Calls in line for it. */
  readonly waiting: number;
}

export interface WatchedLocks {
  readonly now: number;
  readonly total: number;
  readonly locks: readonly WatchedLock[];
}

export interface Why {
  readonly verdict: string;
  readonly sentence: string;
  readonly sessions: readonly { readonly sid: string; readonly sentence: string }[];
}

/** A session. */
export interface WhoIsHere {
  readonly sid: string;
  readonly user: { readonly id: string; readonly name: string };
  readonly connected: boolean;
  readonly topics: readonly string[];
}

export interface Who {
  readonly sessions: readonly WhoIsHere[];
}

export interface Published {
  readonly offset: number;
  readonly matched: number;
  readonly diagnosis?: TopicReport;
}

/** Where a topic's answers are. */
export function topicPath(topic: string): string {
  return `/api/topics/${encodeURIComponent(topic)}`;
}
