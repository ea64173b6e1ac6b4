/**
 * What the person on call asks: how does a topic stand, who is behind, and why did this session not
 * get that event. Reads what hub, sessions and attendance know; changes nothing.
 */
import { RoomwireError } from '../../protocol/errors.js';
import type {
  PublishReport,
  SubscriberReport,
  TopicHistory,
  TopicList,
  TopicReport,
  WhyReport,
} from '../../protocol/http-answers.js';
import type { HistoryQuery, TopicQuery } from '../api.js';
import type { Hub } from '../hub/hub.js';
import type { Policy } from '../policy.js';
import type { SessionRegistry } from '../sessions/registry.js';
import type { ServerSession } from '../sessions/session.js';
import { historyOf } from './history.js';
import { spanOf, type Span } from '../hub/attendance.js';
import { similarNames } from './similar.js';
import { topicList } from './topic-list.js';
import { verdictOf } from './verdict.js';

const SUBSCRIBERS = 100;
const PUBLISHES = 50;
const SAMPLES = 10;
const SIMILAR = 5;
const SIMILAR_LOOKED_AT = 50;

export interface DiagnosisParts {
  readonly hub: Hub;
  readonly registry: SessionRegistry;
  readonly policy: Policy;
}

export class Diagnosis {
  readonly #hub: Hub;
  readonly #registry: SessionRegistry;
  readonly #policy: Policy;

  constructor({ hub, registry, policy }: DiagnosisParts) {
    this.#hub = hub;
    this.#registry = registry;
    this.#policy = policy;
  }

  topics(query: TopicQuery): TopicList {
    return topicList(this.#hub, query);
  }

  /** Rejects with unknown_topic and store_unavailable. */
  async history(name: string, query: HistoryQuery): Promise<TopicHistory> {
    this.#policy.topic(name);
    return historyOf(this.#hub, name, query);
  }

  async topic(name: string): Promise<TopicReport> {
    const known = this.#isKnown(name);
    const [epoch, head] = known ? await this.#hub.transact((tx) => tx.position(name)) : ['', 0];
    const sessions = this.#registry.members.in(name);
    const exists = head > 0 || sessions.length > 0;
    const report = {
      topic: name,
      exists,
      known,
      epoch: exists ? epoch : null,
      head,
      subscriberCount: sessions.length,
      subscribers: sessions
        .map((session) => subscriberReport(session, name, head))
        .sort((a, b) => b.lag - a.lag)
        .slice(0, SUBSCRIBERS),
      publishes: this.#publishes(name),
    };
    return sessions.length > 0 ? report : { ...report, ...this.#others(name) };
  }

  #isKnown(name: string): boolean {
    try {
      this.#policy.topic(name);
      return true;
    } catch (error) {
      if (error instanceof RoomwireError) return false;
      throw error;
    }
  }

  #others(name: string): Pick<TopicReport, 'topics' | 'samples' | 'similar'> {
    const samples: string[] = [];
    for (const topic of this.#hub.topicNames()) {
      // Not itself: a publish to a misspelt name puts that in memory.
      if (topic !== name && samples.push(topic) === SAMPLES) break;
    }
    const isEmpty = (topic: string): number => (this.#registry.members.in(topic).length > 0 ? 0 : 1);
    // Where somebody is comes first: one that was misspelt before is there as well.
    const similar = similarNames(name, this.#hub.topicNames(), SIMILAR_LOOKED_AT)
      .sort((a, b) => isEmpty(a) - isEmpty(b))
      .slice(0, SIMILAR);
    return { topics: this.#hub.topicCount - (this.#hub.topic(name) === undefined ? 0 : 1), samples, similar };
  }

  /** Of those that memory still holds. */
  #publishes(name: string): PublishReport[] {
    const topic = this.#hub.topic(name);
    if (topic === undefined) return [];
    const found: PublishReport[] = [];
    const needed = topic.cursors.map(({ next }) => next).sort((a, b) => a - b);
    for (let i = topic.ring.chunks.length - 1; i >= 0 && found.length < PUBLISHES; i--) {
      const { first, count, at, matched } = topic.ring.chunks[i] as (typeof topic.ring.chunks)[number];
      // What was read back from the store has lost its time.
      if (at === undefined) break;
      for (let offset = first + count - 1; offset >= first && found.length < PUBLISHES; offset--) {
        const behind = needed.findIndex((next) => next > offset);
        found.push({ offset, at, matched: matched ?? 0, behind: behind === -1 ? needed.length : behind });
      }
    }
    return found;
  }

  /** `who`: a session's id or a user's. */
  async why(name: string, offset: number, who: string): Promise<WhyReport> {
    const report = await this.topic(name);
    if (!report.exists) return { verdict: 'no_such_topic', sentence: absentTopic(report), sessions: [] };
    if (offset > report.head || offset < 1) {
      const sentence = `${name} has no event ${offset}: its newest is ${report.head}. Was it published to another topic, or refused?`;
      return { verdict: 'no_such_offset', sentence, sessions: [] };
    }
    const spans = this.#spans(name, report.epoch, who);
    if (spans.size === 0) {
      const known = this.#registry.get(who) !== undefined || this.#registry.ofUser(who).length > 0;
      const sentence = known
        ? `${who} is connected or in its grace, but was never subscribed to ${name} as far as memory reaches.`
        : `Nobody called ${who} is here, and nothing is remembered of an earlier stay: never connected, or as another user.`;
      const verdict = known ? 'never_subscribed' : 'no_such_session';
      return { verdict, sentence: `${sentence}${nobodyIn(report)}`, sessions: [] };
    }
    const at = this.#hub.topic(name)?.ring.find(offset)?.at;
    const sessions = [...spans].map(([sid, of]) => {
      const session = this.#registry.get(sid);
      const edge = session?.connection?.edge ?? null;
      return { sid, edge, ...verdictOf({ topic: name, offset, at, spans: of, session }) };
    });
    // Of several devices the one that tells most: who got it, else who may still get it.
    const [best] = [...sessions].sort((a, b) => b.weight - a.weight);
    const { verdict, sentence } = best as (typeof sessions)[number];
    return {
      verdict,
      sentence: sessions.length === 1 ? sentence : `${sentence} (${sessions.length} sessions)`,
      sessions,
    };
  }

  /** By session, the oldest first. */
  #spans(name: string, epoch: string | null, who: string): Map<string, Span[]> {
    const spans = this.#hub.fanOut.attendance.find({ topic: name, epoch, who });
    const live = this.#registry.get(who);
    for (const session of live === undefined ? this.#registry.ofUser(who) : [live]) {
      const cursor = session.connection?.outbox.cursors.get(name);
      if (cursor === undefined && !session.topics.has(name)) continue;
      const of = spans.get(session.sid) ?? [];
      if (cursor !== undefined) of.push(spanOf(cursor));
      spans.set(session.sid, of);
    }
    return spans;
  }
}

function subscriberReport(session: ServerSession, topic: string, head: number): SubscriberReport {
  const cursor = session.connection?.outbox.cursors.get(topic);
  return {
    sid: session.sid,
    user: session.user.id,
    connected: cursor !== undefined,
    edge: session.connection?.edge ?? null,
    cursor: cursor === undefined ? null : cursor.next - 1,
    lag: cursor === undefined ? 0 : Math.max(0, head + 1 - cursor.next),
    bufferedBytes: cursor === undefined ? 0 : (session.connection?.bufferedBytes ?? 0),
    handled: cursor === undefined || cursor.handledAt === 0 ? null : cursor.handled,
  };
}

function absentTopic({ topic, known, topics, similar = [] }: TopicReport): string {
  const what = known
    ? `Nobody is in ${topic}, and nothing was ever published to it`
    : `The contract has no topic ${topic}`;
  return `${what}; ${topics ?? 0} other topics are in memory.${didYouMean(similar)}`;
}

/** For a topic that was published to though nobody is in it: perhaps its name is wrong. */
function nobodyIn({ topic, subscriberCount, similar = [] }: TopicReport): string {
  return subscriberCount > 0 ? '' : ` Nobody is in ${topic} at all.${didYouMean(similar)}`;
}

function didYouMean(similar: readonly string[]): string {
  return similar.length > 0 ? ` Did you mean ${similar.join(' or ')}?` : '';
}
