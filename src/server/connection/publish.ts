/**
 * PUBLISH and VOLATILE: a client's event, appended to its topic, and its newest value of a slot. An event's data is never
 * decoded unless the contract has a schema for it.
 */
import { decodeScanned } from '../../protocol/codec.js';
import type { RoomwireError } from '../../protocol/errors.js';
import { checked } from '../../protocol/validate.js';
import type { Published } from '../api.js';
import { hashOf, onceByKey } from '../calls/keys.js';
import { ownerOf, weigh } from '../gate/budget.js';
import { tooMany, WAITING_MS } from '../gate/rates.js';
import type { ServerSession } from '../sessions/session.js';
import { requireEventBytes } from '../wire/event-data.js';
import { readPublish, readVolatile, writeItem, writeLatest } from '../wire/frames.js';
import { refusal } from '../wire/refusal.js';
import type { Connection } from './connection.js';
import { accountOf, errorOf, spend, type Failed, type HandlerParts, type Inbound } from './inbound.js';

export function publish(frame: Inbound, parts: HandlerParts): void {
  const { connection, session, id } = frame;
  const { requests } = connection;
  const { hub, policy } = parts;
  const topic = readPublish.topic(frame);
  // A failure of a publish nobody waits for names its topic (RW-PUB-4).
  const refuse = (error: unknown): void => {
    if (!connection.open) return;
    const reason = errorOf(error, parts);
    connection.nack(id, id === 0 ? withTopic(reason, topic) : reason, topic);
  };
  const failed = (error: unknown): void => {
    requests.settled();
    refuse(error);
  };
  try {
    spend(frame, topic, parts);
    requests.waits();
  } catch (error) {
    return refuse(error);
  }
  try {
    const eventName = readPublish.event(frame);
    const key = readPublish.key(frame);
    const topicPolicy = policy.topic(topic);
    const event = policy.event(topicPolicy, eventName);
    const data = readPublish.data(frame);
    if (connection.sawProtoKey) requireEventBytes(data);
    const verdict = policy.mayPublish(session, topic, topicPolicy, eventName);
    // Before the data is looked at: who may not publish learns nothing of the schema.
    if (verdict === false) throw notYours(session, topic);
    if (event.schema !== null) checked(event.schema, decodeScanned(data, 0));
    const earlier = requests.publishing(topic);
    const waits = verdict instanceof Promise || earlier !== undefined;
    const written = writeItem(event.bytes, data, session.sidBytes);
    const item = waits ? new Uint8Array(written) : written;
    const done = (published: Published): void => {
      requests.settled();
      if (id !== 0 && connection.open) connection.ack(id, published);
    };
    const append =
      key === null
        ? () => hub.publish({ topic, item, done, failed, sender: session })
        : () => publishOnce({ connection, session, topic, key, item, done, failed }, parts);
    if (!waits) return append();
    const work = { run: append, refuse: failed, denied: () => notYours(session, topic) };
    const turn = requests.defer({ verdict, earlier, share: accountOf(session).pending, bytes: item.length }, work);
    requests.publishes(topic, turn);
  } catch (error) {
    failed(error);
  }
}

interface KeyedPublish {
  readonly connection: Connection;
  readonly session: ServerSession;
  readonly topic: string;
  readonly key: string;
  readonly item: Uint8Array;
  readonly done: (published: Published) => void;
  readonly failed: Failed;
}

function publishOnce(
  { connection, session, topic, key, item, done, failed }: KeyedPublish,
  { hub, limits }: HandlerParts,
): void {
  const { user, record, sidBytes } = session;
  const claim = {
    scope: ['publish', user.id, topic, key],
    // Without the sender's session: a retry may come from the user's next one (RW-PUB-5).
    hash: hashOf(item.subarray(0, item.length - sidBytes.length)),
    owner: ownerOf(user, record.guest, connection.address),
  };
  const share = accountOf(session).pending;
  // The hub counts what waits for the store of publishes without a key alone.
  if (!share.take(item.length)) return failed(tooMany(WAITING_MS, 'too much of yours waits'));
  const give = (): void => share.give(item.length);
  hub.perform(
    (tx) => onceByKey(tx, claim, limits, () => tx.append(topic, item)),
    (published) => {
      give();
      done(published);
    },
    (error) => {
      give();
      failed(error);
    },
  );
}

export function volatile(frame: Inbound, parts: HandlerParts): void {
  const { connection, session } = frame;
  const { requests } = connection;
  const { hub, policy } = parts;
  const topic = readVolatile.topic(frame);
  const refuse = (error: unknown): void => connection.nack(0, withTopic(errorOf(error, parts), topic), topic);
  let counted = false;
  try {
    spend(frame, topic, parts);
    const eventName = readVolatile.event(frame);
    const slot = readVolatile.slot(frame);
    const topicPolicy = policy.topic(topic);
    const event = policy.event(topicPolicy, eventName);
    const data = readVolatile.data(frame);
    if (connection.sawProtoKey) requireEventBytes(readVolatile.bytes(frame));
    // Whatever a rule says: a value lives as long as its sender is there.
    if (!session.topics.has(topic)) throw refusal('not_subscribed');
    requests.waits();
    counted = true;
    const verdict = policy.mayPublish(session, topic, topicPolicy, eventName);
    if (verdict === false) throw notYours(session, topic);
    if (event.schema !== null) checked(event.schema, data);
    const set = (): void => {
      if (!session.topics.has(topic)) return;
      const { sid } = session;
      const latest = writeLatest({ topic, event: eventName, slot, data, from: sid });
      // A slot belongs to its sender: nobody overwrites another's pointer.
      hub.fanOut.volatile(topic, `${eventName}\0${slot}\0${sid}`, latest, { sid, share: accountOf(session).values });
    };
    if (verdict === true) return set();
    const run = (): void => {
      try {
        set();
      } catch (error) {
        refuse(error);
      }
    };
    const work = { run, refuse, denied: () => notYours(session, topic) };
    const decided = requests.defer({ verdict, share: accountOf(session).pending, bytes: weigh(data) }, work);
    counted = false;
    settleAfter(connection, decided);
  } catch (error) {
    refuse(error);
  } finally {
    if (counted) requests.settled();
  }
}

/** Out here, so that what waits holds nothing else. */
function settleAfter({ requests }: Connection, decided: Promise<void>): void {
  void decided.then(() => requests.settled());
}

function notYours(session: ServerSession, topic: string): RoomwireError {
  return session.topics.has(topic)
    ? refusal('forbidden', 'this event is not yours to publish')
    : refusal('not_subscribed', 'subscribe to the topic before publishing to it');
}

function withTopic(error: RoomwireError, topic: string): RoomwireError {
  const { code, message, details } = error;
  return refusal(code, message, {
    details: { ...(typeof details === 'object' ? details : {}), topic },
    cause: error,
  });
}
