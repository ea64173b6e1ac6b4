/** Why one session did or did not get one event, in a sentence, from the spans of its subscription. */
import type { WhyReport } from '../../protocol/http-answers.js';
import type { ServerSession } from '../sessions/session.js';
import type { Span } from '../hub/attendance.js';

type Verdict = Omit<WhyReport['sessions'][number], 'sid' | 'edge'>;

export interface Question {
  readonly topic: string;
  readonly offset: number;
  /** When it was committed, where that is remembered (store time, ms). */
  readonly at: number | undefined;
  /** The oldest first. */
  readonly spans: readonly Span[];
  /** Undefined once it ended. */
  readonly session: ServerSession | undefined;
}

const time = (ms: number): string => new Date(ms).toISOString();

export function verdictOf({ topic, offset, at, spans, session }: Question): Verdict {
  const handled = spans.find((span) => span.handled >= offset);
  if (handled !== undefined) {
    const sentence = `Handled by the client: at ${time(handled.handledAt)} it said it had handled ${topic} up to ${handled.handled}.`;
    return { verdict: 'handled', sentence, weight: 7 };
  }
  // A resumed session says where it stands: what lies before that has arrived.
  const resumed = spans.find((span, i) => i > 0 && span.via === 'resumed' && span.start >= offset);
  if (resumed !== undefined && spans.some((span) => span.start < offset && span.written >= offset)) {
    const sentence = `Received by the client: at ${time(resumed.since)} it resumed after ${resumed.start}, which is past it.`;
    return { verdict: 'handled', sentence, weight: 7 };
  }
  const covering = spans.filter((span) => span.start < offset && (span.ended === undefined || span.written >= offset));
  const span = covering[covering.length - 1];
  if (span !== undefined) return inSpan(span, offset, at);
  return outside({ topic, offset, at, spans, session });
}

/** It was this subscription's to get. */
function inSpan(span: Span, offset: number, at: number | undefined): Verdict {
  const reset = span.stalls.find((stall) => stall.reset && stall.from <= offset && offset <= (stall.to ?? 0));
  if (reset !== undefined) {
    const sentence = `RESET at ${time(reset.since)}: it was too slow for the history and was told to refetch; events ${reset.from} to ${reset.to ?? 0} were not sent.`;
    return { verdict: 'reset', sentence, weight: 5 };
  }
  const stall = span.stalls.find(
    ({ from, to, reset: told }) => !told && from <= offset && (to === null || offset <= to),
  );
  if (span.written < offset) {
    const since = stall?.since === undefined ? '' : ` since ${time(stall.since)}`;
    const sentence = `Behind${since}: its socket does not take more; the last event written to it is ${span.written}.`;
    return { verdict: 'behind', sentence, weight: 4 };
  }
  const lost = span.ended === undefined ? '' : ` The subscription ended at ${time(span.ended.at)} (${span.ended.why}).`;
  if (stall !== undefined && stall.until !== null) {
    const sentence = `It was behind from ${time(stall.since)}, caught up at ${time(stall.until)}: written to the socket then; the client has not said that it handled it.${lost}`;
    return { verdict: 'written', sentence, weight: 6 };
  }
  const when = at === undefined ? '' : ` at ${time(at)}`;
  const sentence = `Written to the socket${when}; the client has not said that it handled it.${lost}`;
  return { verdict: 'written', sentence, weight: 6 };
}

/** It fell before, between or after the subscriptions. */
function outside({ topic, offset, spans, session }: Question): Verdict {
  const later = spans.find(({ start }) => start >= offset);
  const before = spans.filter(({ start, ended }) => start < offset && ended !== undefined).at(-1);
  if (later?.via === 'reset' && (before !== undefined || later === spans[0])) {
    const sentence = `RESET at ${time(later.since)}: it came back with a position that the history does not reach, and was told to refetch; it goes on after ${later.start}.`;
    return { verdict: 'reset', sentence, weight: 5 };
  }
  if (before?.ended !== undefined && before.ended.why === 'disconnected' && later === undefined) {
    const { at } = before.ended;
    if (session !== undefined && session.topics.has(topic)) {
      const sentence = `Away: its connection was lost at ${time(at)}, after event ${before.written}; its grace runs, and it gets the event when it resumes.`;
      return { verdict: 'away', sentence, weight: 3 };
    }
    const sentence = `Left before: its connection was lost at ${time(at)}, after event ${before.written}, and it did not come back within its grace.`;
    return { verdict: 'left_before', sentence, weight: 2 };
  }
  if (later !== undefined && before === undefined) {
    const sentence = `Joined after: it subscribed at ${time(later.since)}, after event ${later.start}.`;
    return { verdict: 'joined_after', sentence, weight: 2 };
  }
  if (before?.ended !== undefined) {
    const back = later === undefined ? '' : ` It came back at ${time(later.since)}, after event ${later.start}.`;
    const sentence = `Left before: its subscription ended at ${time(before.ended.at)} (${before.ended.why}), after event ${before.written}.${back}`;
    return { verdict: 'left_before', sentence, weight: 2 };
  }
  if (session !== undefined && session.topics.has(topic)) {
    const sentence =
      'Away: it has not been connected since the server started; its grace runs, and it gets the event when it resumes.';
    return { verdict: 'away', sentence, weight: 3 };
  }
  return {
    verdict: 'never_subscribed',
    sentence: `Never subscribed to ${topic}, as far as memory reaches.`,
    weight: 1,
  };
}
