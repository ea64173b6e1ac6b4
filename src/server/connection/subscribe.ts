/** SUBSCRIBE and UNSUBSCRIBE: a session goes into a topic and out of it, in a transaction. */
import type { RoomwireError } from '../../protocol/errors.js';
import { readSubscribe, readUnsubscribe } from '../wire/frames.js';
import { refusal } from '../wire/refusal.js';
import { accountOf, answerLater, spend, type Done, type Failed, type HandlerParts, type Inbound } from './inbound.js';

export function subscribe(frame: Inbound, parts: HandlerParts): void {
  const { connection, session } = frame;
  const { hub, policy } = parts;
  const topic = readSubscribe.topic(frame);
  const from = readSubscribe.from(frame);
  spend(frame, topic, parts);
  const start = (done: Done, failed: Failed): void => {
    const run = (): void => {
      // The session may have come back elsewhere (rule 1).
      if (!connection.open) return failed(refusal('disconnected'));
      hub.perform(
        (tx) => {
          if (goesBack && !tx.isIn(session, topic)) throw refusal('not_subscribed');
          return tx.subscribeFrom(session, topic, from, connection);
        },
        (status) => {
          // Of a subscription that was there already: where it stands, not where it was asked to begin.
          const cursor = connection.outbox.cursors.get(topic);
          done(cursor === undefined ? status : { ...status, offset: cursor.next - 1 });
        },
        failed,
      );
    };
    const denied = (): RoomwireError => refusal('forbidden');
    // A resumed subscription that goes back begins nothing: WELCOME has judged it, also where a call subscribes (RW-SUB-4).
    const goesBack = from !== null && session.topics.has(topic) && connection.outbox.unrecovered?.has(topic) === true;
    const verdict = goesBack || policy.maySubscribe(session, topic);
    if (verdict instanceof Promise) {
      const work = { run, refuse: failed, denied };
      void connection.requests.defer({ verdict, share: accountOf(session).pending, bytes: 0 }, work);
    } else if (verdict) run();
    else failed(denied());
  };
  answerLater(frame, { start, target: topic }, parts);
}

export function unsubscribe(frame: Inbound, parts: HandlerParts): void {
  const { session } = frame;
  const { hub, policy } = parts;
  const topic = readUnsubscribe(frame);
  spend(frame, topic, parts);
  if (policy.topic(topic).definition.subscribe === 'by-call') {
    throw refusal('join_required', 'leave this topic through its call, such as leave:room');
  }
  const start = (done: Done, failed: Failed): void =>
    hub.perform(
      (tx) => {
        if (!tx.isIn(session, topic)) throw refusal('not_subscribed');
        tx.unsubscribe(session, topic);
      },
      () => done(null),
      failed,
    );
  answerLater(frame, { start, target: topic }, parts);
}
