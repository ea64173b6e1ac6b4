/** The answers of diagnosis.ts: which topics there are, how one stands, and why an event did or did not arrive. */
import type { Value } from '../../protocol/frames.js';

export interface Verdict {
  readonly verdict:
    | 'never_subscribed'
    /** Subscribed after the event: it was never its to get. */
    | 'joined_after'
    /** Left, kicked or ended before it. */
    | 'left_before'
    /** Away: lost its connection before, and its grace still runs. */
    | 'away'
    /** Connected, and its socket does not take more. */
    | 'behind'
    /** Told by a RESET that it missed it. */
    | 'reset'
    /** Written to its socket; whether the client has it is not known. */
    | 'written'
    /** The client said it has handled it. */
    | 'handled';
  readonly sentence: string;
  /** Of several sessions, whose verdict tells most. */
  readonly weight: number;
}

export interface SubscriberReport {
  readonly sid: string;
  readonly user: string;
  /** False in the grace: it is a member of the topic and will be fed when it is back. */
  readonly connected: boolean;
  /** The last offset written to its socket; null while it is not connected. */
  readonly cursor: number | null;
  /** Events it still needs. */
  readonly lag: number;
  /** Bytes its socket holds. */
  readonly bufferedBytes: number;
  /** The last offset the client said it has handled; null: it said nothing. */
  readonly handled: number | null;
}

export interface PublishReport {
  readonly offset: number;
  /** Store time, ms. */
  readonly at: number;
  /** Connected subscribers at that moment. */
  readonly matched: number;
  /** Of those there now, who have not been sent it yet. */
  readonly behind: number;
}

export interface TopicReport {
  readonly topic: string;
  /** Whether anybody is in it or ever published to it. */
  readonly exists: boolean;
  /** Whether the contract has such a topic. */
  readonly known: boolean;
  readonly epoch: string | null;
  readonly head: number;
  /** Sessions in it, also those in their grace. */
  readonly subscriberCount: number;
  /** The furthest behind first. */
  readonly subscribers: readonly SubscriberReport[];
  /** The newest first. */
  readonly publishes: readonly PublishReport[];
  /** Topics in memory, and some of them; names like the one asked for, those that somebody is in first. Only where nobody is in it. */
  readonly topics?: number;
  readonly samples?: readonly string[];
  readonly similar?: readonly string[];
}

export interface TopicQuery {
  /** Part of the name, whatever its case. */
  readonly search?: string | undefined;
  /** Default 100, at most 500. */
  readonly limit?: number | undefined;
}

export interface TopicLine {
  readonly topic: string;
  readonly epoch: string;
  readonly head: number;
  /** Connected sessions in it. */
  readonly subscribers: number;
  /** Of those, who have not been sent yet what is there for them. */
  readonly behind: number;
  /** Events a second, over the last ten. */
  readonly perSecond: number;
  /** Of its newest event, store time, ms; null: none since the start, as far as memory reaches. */
  readonly lastAt: number | null;
}

export interface TopicList {
  /** Store time, ms. */
  readonly now: number;
  /** Topics in memory that fit, listed or not. */
  readonly total: number;
  /** Those with the newest events first. */
  readonly topics: readonly TopicLine[];
}

export interface HistoryQuery {
  /** Events after this offset; without it the newest. */
  readonly after?: number | undefined;
  /** Default 50, at most 500. */
  readonly limit?: number | undefined;
}

export interface LoggedEvent {
  readonly offset: number;
  /** Store time, ms; null: memory does not hold it any more. */
  readonly at: number | null;
  readonly event: string;
  readonly data: Value;
  /** The sender's session; null: the server. */
  readonly from: string | null;
}

export interface TopicHistory {
  readonly topic: string;
  readonly epoch: string;
  readonly head: number;
  /** In order. The first is later than asked for where the history does not reach that far. */
  readonly events: readonly LoggedEvent[];
}

export interface WhyReport {
  /** Such as `behind`; see docs/http.md. */
  readonly verdict: Verdict['verdict'] | 'no_such_topic' | 'no_such_offset' | 'no_such_session';
  /** For a person. */
  readonly sentence: string;
  /** One for each session of the user. */
  readonly sessions: readonly (Verdict & { readonly sid: string })[];
}
