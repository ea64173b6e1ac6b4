/**
 * From a scanned frame to its effect: one method per opcode. Errors of meaning are answered to the
 * frame that has them; the rest of the message goes on. A publish's data is never decoded unless
 * the contract has a schema for it.
 */
import { decodeScanned, encode, EncodeError } from '../../protocol/codec.js';
import { errorName } from '../../protocol/codes.js';
import { RoomwireError } from '../../protocol/errors.js';
import { Op, type CallOptions, type Position, type Value } from '../../protocol/frames.js';
import type { Limits } from '../../protocol/limits.js';
import { elements, isNil, readInt, readString } from '../../protocol/scan.js';
import type { Log, Published } from '../api.js';
import { ownerOf, weigh } from '../gate/budget.js';
import type { CallTable } from '../calls/table.js';
import type { Clock } from '../time/clock.js';
import type { Connection } from './connection.js';
import type { Counters } from '../watch/counters.js';
import { Deferred, type Work } from './deferred.js';
import { itemOf } from '../hub/events-frame.js';
import type { Hub } from '../hub/hub.js';
import { requireEventBytes } from '../wire/event-data.js';
import { hashOf, onceByKey } from '../calls/keys.js';
import { checked } from '../../protocol/validate.js';
import type { Policy } from '../policy.js';
import { requireName } from '../wire/names.js';
import type { MaybePromise } from '../../store/store.js';
import { tooMany, WAITING_MS, type Rated, type Rates } from '../gate/rates.js';
import { refusal } from '../wire/refusal.js';
import type { Account, ServerSession } from '../sessions/session.js';
import type { Sessions } from '../sessions/life.js';

const MAX_ID = 0x7fff_ffff;
/** Checking a token costs as much as so many strays. */
const AUTH_WEIGHT = 20;
/** What a client may send after HELLO, beside what `frame` answers first. */
const known = new Set<number>([
  ...[Op.AUTH, Op.CALL, Op.ACK, Op.NACK, Op.CANCEL],
  ...[Op.SUBSCRIBE, Op.UNSUBSCRIBE, Op.PUBLISH, Op.VOLATILE, Op.POSITION],
]);
/** Opcodes with a rate of their own; answers to our calls are as many as those. */
const rated = new Set<number>([Op.CALL, Op.SUBSCRIBE, Op.UNSUBSCRIBE, Op.PUBLISH, Op.VOLATILE, Op.ACK, Op.NACK]);
type Done = (data: unknown) => void;
type Failed = (error: unknown) => void;
/** Elements any opcode reads; a frame with more is taken, the rest ignored (RW-FRM-4). */
const at = new Int32Array(9);

interface KeyedPublish {
  readonly connection: Connection;
  readonly session: ServerSession;
  readonly topic: string;
  readonly key: string;
  readonly item: Uint8Array;
}

export interface DispatcherOptions {
  readonly hub: Hub;
  readonly policy: Policy;
  readonly calls: CallTable;
  readonly sessions: Sessions;
  readonly limits: Limits;
  readonly rates: Rates;
  readonly log: Log;
  readonly counters: Counters;
  readonly clock: Clock;
}

export class Dispatcher {
  readonly #hub: Hub;
  readonly #policy: Policy;
  readonly #calls: CallTable;
  readonly #sessions: Sessions;
  readonly #limits: Limits;
  readonly #rates: Rates;
  readonly #log: Log;
  readonly #counters: Counters;
  readonly #clock: Clock;

  constructor({ hub, policy, calls, sessions, limits, rates, log, counters, clock }: DispatcherOptions) {
    this.#hub = hub;
    this.#policy = policy;
    this.#calls = calls;
    this.#sessions = sessions;
    this.#limits = limits;
    this.#rates = rates;
    this.#log = log;
    this.#counters = counters;
    this.#clock = clock;
  }

  frame(connection: Connection, bytes: Uint8Array, start: number, end: number): void {
    const length = elements(bytes, start, end, at);
    const op = readInt(bytes, at[0] as number) as number;
    const session = connection.session as ServerSession;
    // What nothing else counts; requests are counted where they are refused.
    if (!rated.has(op) && !connection.stray(end - start)) return;
    switch (op) {
      case Op.PING:
        connection.outbox.push(
          encode([Op.PONG, length > 1 ? decodeScanned(bytes, at[1] as number) : null, this.#clock.now()], {
            level: -1,
          }),
        );
        return;
      case Op.PONG:
        return;
      case Op.HELLO:
        return connection.close('hello_expected', 'HELLO came twice');
      case Op.BYE:
        return this.#sessions.bye(connection);
    }
    const id = length > 1 && op !== Op.VOLATILE ? requestId(bytes, at[1] as number, op) : undefined;
    try {
      if (!known.has(op)) throw refusal('unknown_op', `unknown opcode ${op}`);
      if (op === Op.PUBLISH) return this.#publish(connection, session, bytes, length, id);
      if (op === Op.VOLATILE) return this.#volatile(connection, session, bytes, length);
      if (op === Op.POSITION && end - start > this.#limits.helloBytes) {
        throw refusal('too_large', `positions are over ${this.#limits.helloBytes} bytes`);
      }
      if (op === Op.POSITION)
        return this.#position(connection, length > 1 ? decodeScanned(bytes, at[1] as number) : null);
      if (id === undefined) throw refusal('bad_request', 'element 1 must be an id from 1 to 2^31 - 1');
      switch (op) {
        case Op.CALL:
          return this.#call(connection, session, bytes, length, id);
        case Op.ACK:
        case Op.NACK:
          // To nobody's call: a late answer, and not decoded.
          if (!connection.awaits(id)) return void connection.stray(end - start);
          if (op === Op.NACK) return connection.answered(id, null, errorFrom(decodeScanned(bytes, start) as Value[]));
          return connection.answered(id, length > 2 ? decodeScanned(bytes, at[2] as number) : null);
        case Op.CANCEL:
          return connection.request(id)?.cancel(refusal('cancelled'));
        case Op.AUTH: {
          const token = need(text(bytes, length, 2), 'token');
          if (!connection.stray(0, AUTH_WEIGHT)) return;
          return this.#later(connection, id, (done, failed) =>
            this.#sessions.renew(connection, session, token, done, failed),
          );
        }
        case Op.SUBSCRIBE:
          return this.#subscribe(connection, session, bytes, length, id);
        case Op.UNSUBSCRIBE:
          return this.#unsubscribe(connection, session, this.#name(bytes, length, 2, 'topic'), id);
      }
    } catch (error) {
      connection.nack(id ?? 0, this.#asError(error));
    }
  }

  /** Throws too_many: the session or its user does this too often. */
  #rated(kind: Rated, name: string, connection: Connection, session: ServerSession): void {
    this.#rates.take(kind, name, session, session.account as Account, connection.lastSeen);
  }

  /** A request whose answer comes later; until then it counts as waiting. */
  #later(connection: Connection, id: number, start: (done: Done, failed: Failed) => void, target?: string): void {
    connection.waits();
    const failed = (error: unknown): void => {
      connection.settled();
      if (connection.open) connection.nack(id, this.#asError(error), target);
    };
    const done = (data: unknown): void => {
      connection.settled();
      if (connection.open) connection.ack(id, data);
    };
    try {
      start(done, failed);
    } catch (error) {
      failed(error);
    }
  }

  #publish(
    connection: Connection,
    session: ServerSession,
    bytes: Uint8Array,
    length: number,
    id: number | undefined,
  ): void {
    if (id === undefined) throw refusal('bad_request', 'element 1 must be an id from 0 to 2^31 - 1');
    const topicName = this.#name(bytes, length, 2, 'topic');
    // A failure of a publish nobody waits for names its topic (RW-PUB-4).
    const refuse = (error: unknown): void => {
      if (!connection.open) return;
      const reason = this.#asError(error);
      connection.nack(id, id === 0 ? withTopic(reason, topicName) : reason, topicName);
    };
    const failed = (error: unknown): void => {
      connection.settled();
      refuse(error);
    };
    try {
      this.#rated('publishes', topicName, connection, session);
      connection.waits();
    } catch (error) {
      return refuse(error);
    }
    try {
      if (length < 6) throw refusal('bad_request', 'PUBLISH is [34, id, topic, event, key, data]');
      const eventName = this.#name(bytes, length, 3, 'event');
      const key = isNil(bytes, at[4] as number) ? null : this.#name(bytes, length, 4, 'key');
      const topic = this.#policy.topic(topicName);
      const event = this.#policy.event(topic, eventName);
      const data = this.#eventData(connection, bytes, 5);
      const verdict = this.#policy.mayPublish(session, topicName, topic, eventName);
      // Before the data is looked at: who may not publish learns nothing of the schema.
      if (verdict === false) throw notYours(session, topicName);
      if (event.schema !== null) checked(event.schema, decodeScanned(data, 0));
      const item = itemOf(event.bytes, data, session.sidBytes);
      const done = (published: Published): void => {
        connection.settled();
        if (id !== 0 && connection.open) connection.ack(id, published);
      };
      const append =
        key === null
          ? () => this.#hub.publish({ topic: topicName, item, done, failed, sender: session })
          : () => this.#publishOnce({ connection, session, topic: topicName, key, item }, done, failed);
      const earlier = connection.publishing(topicName);
      if (!(verdict instanceof Promise) && earlier === undefined) return append();
      const denied = (): RoomwireError => notYours(session, topicName);
      const turn = this.#defer(connection, session, [verdict, earlier], item.length, {
        run: append,
        refuse: failed,
        denied,
      });
      connection.publishes(topicName, turn);
    } catch (error) {
      failed(error);
    }
  }

  /**
   * One connection's publishes to one topic keep their order, however long a policy takes, and also when one in between
   * is refused before its turn (RW-PUB-2). What waits here holds the Deferred alone. Throws too_many.
   */
  #defer(
    connection: Connection,
    session: ServerSession,
    [verdict, earlier]: readonly [MaybePromise<boolean>, Promise<void>?],
    bytes: number,
    work: Work,
  ): Promise<void> {
    const deferred = Deferred.of((session.account as Account).pending, bytes, work);
    if (deferred === undefined) throw tooMany(WAITING_MS, 'too much of yours waits');
    return whenDecided(connection, deferred, verdict, earlier);
  }

  #publishOnce(
    { connection, session, topic, key, item }: KeyedPublish,
    done: (published: Published) => void,
    failed: Failed,
  ): void {
    const { user, record, sidBytes } = session;
    const claim = {
      scope: ['publish', user.id, topic, key],
      // Without the sender's session: a retry may come from the user's next one (RW-PUB-5).
      hash: hashOf(item.subarray(0, item.length - sidBytes.length)),
      owner: ownerOf(user, record.guest, connection.address),
    };
    const { pending } = session.account as Account;
    // The hub counts what waits for the store of publishes without a key alone.
    if (!pending.take(item.length)) return failed(tooMany(WAITING_MS, 'too much of yours waits'));
    const give = (): void => pending.give(item.length);
    this.#hub.perform(
      (tx) => onceByKey(tx, claim, this.#limits, () => tx.append(topic, item)),
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

  #volatile(connection: Connection, session: ServerSession, bytes: Uint8Array, length: number): void {
    if (length < 5) throw refusal('bad_request', 'VOLATILE is [35, topic, event, slot, data]');
    const topicName = this.#name(bytes, length, 1, 'topic');
    const refuse = (error: unknown): void => connection.nack(0, withTopic(this.#asError(error), topicName), topicName);
    let counted = false;
    try {
      this.#rated('publishes', topicName, connection, session);
      const eventName = this.#name(bytes, length, 2, 'event');
      const slot = this.#name(bytes, length, 3, 'slot');
      const topic = this.#policy.topic(topicName);
      const event = this.#policy.event(topic, eventName);
      const data = decodeScanned(this.#eventData(connection, bytes, 4), 0);
      // Whatever a rule says: a value lives as long as its sender is there.
      if (!session.topics.has(topicName)) throw refusal('not_subscribed');
      connection.waits();
      counted = true;
      const verdict = this.#policy.mayPublish(session, topicName, topic, eventName);
      if (verdict === false) throw notYours(session, topicName);
      if (event.schema !== null) checked(event.schema, data);
      const set = (): void => {
        if (!session.topics.has(topicName)) return;
        const frame = encode([Op.LATEST, topicName, eventName, slot, data, session.sid]);
        // A slot belongs to its sender: nobody overwrites another's pointer.
        const owner = { sid: session.sid, share: (session.account as Account).values };
        this.#hub.fanOut.volatile(topicName, `${eventName}\0${slot}\0${session.sid}`, frame, owner);
      };
      if (verdict === true) return set();
      const denied = (): RoomwireError => notYours(session, topicName);
      const run = (): void => {
        try {
          set();
        } catch (error) {
          refuse(error);
        }
      };
      const decided = this.#defer(connection, session, [verdict], weigh(data), { run, refuse, denied });
      counted = false;
      settleAfter(connection, decided);
    } catch (error) {
      refuse(error);
    } finally {
      if (counted) connection.settled();
    }
  }

  /** What the client has handled, for diagnosis (RW-POS-6): of topics it is in, and never more than it was sent. */
  #position(connection: Connection, positions: Value): void {
    if (positions === null || typeof positions !== 'object') return;
    const now = this.#hub.now();
    for (const [topic, handled] of Object.entries(positions)) {
      const cursor = connection.outbox.cursors.get(topic);
      if (cursor === undefined || !Array.isArray(handled) || handled[0] !== cursor.topic.epoch) continue;
      const offset: unknown = handled[1];
      if (typeof offset !== 'number' || !(offset > cursor.handled && offset < cursor.next)) continue;
      cursor.handled = offset;
      cursor.handledAt = now;
    }
  }

  #subscribe(connection: Connection, session: ServerSession, bytes: Uint8Array, length: number, id: number): void {
    const topic = this.#name(bytes, length, 2, 'topic');
    const from = length > 3 ? position(decodeScanned(bytes, at[3] as number)) : null;
    this.#rated('joins', topic, connection, session);
    const start = (done: Done, failed: Failed): void => {
      const run = (): void => {
        // The session may have come back elsewhere (rule 1).
        if (!connection.open) return failed(refusal('disconnected'));
        this.#hub.perform(
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
      const verdict = goesBack || this.#policy.maySubscribe(session, topic);
      if (verdict instanceof Promise)
        void this.#defer(connection, session, [verdict], 0, { run, refuse: failed, denied });
      else if (verdict) run();
      else failed(denied());
    };
    this.#later(connection, id, start, topic);
  }

  #unsubscribe(connection: Connection, session: ServerSession, topic: string, id: number): void {
    this.#rated('joins', topic, connection, session);
    if (this.#policy.topic(topic).definition.subscribe === 'by-call') {
      throw refusal('join_required', 'leave this topic through its call, such as leave:room');
    }
    const start = (done: Done, failed: Failed): void =>
      this.#hub.perform(
        (tx) => {
          if (!tx.isIn(session, topic)) throw refusal('not_subscribed');
          tx.unsubscribe(session, topic);
        },
        () => done(null),
        failed,
      );
    this.#later(connection, id, start, topic);
  }

  #call(connection: Connection, session: ServerSession, bytes: Uint8Array, length: number, id: number): void {
    const name = this.#name(bytes, length, 2, 'name');
    try {
      const data = length > 3 ? decodeScanned(this.#data(bytes, 3), 0) : null;
      const options = callOptions(length > 4 ? decodeScanned(bytes, at[4] as number) : null, this.#limits);
      connection.accepts();
      this.#rated('calls', name, connection, session);
      this.#calls.run({ connection, session, id, name, options }, data);
    } catch (error) {
      const refused = this.#asError(error);
      this.#counters.call(name).refused(refused);
      connection.nack(id, refused, name);
    }
  }

  /** The bytes of element `index`, which is data. */
  #data(bytes: Uint8Array, index: number): Uint8Array {
    const data = bytes.subarray(at[index], at[index + 1]);
    if (data.length <= this.#limits.dataBytes) return data;
    throw refusal('too_large', `data is over ${this.#limits.dataBytes} bytes`);
  }

  /** The same, where it is to be an event's. */
  #eventData(connection: Connection, bytes: Uint8Array, index: number): Uint8Array {
    const data = this.#data(bytes, index);
    if (connection.sawProtoKey) requireEventBytes(data);
    return data;
  }

  /** The string that element `index` must be. */
  #name(bytes: Uint8Array, length: number, index: number, what: string): string {
    const name = need(text(bytes, length, index), what);
    requireName(name, what, this.#limits.nameBytes);
    return name;
  }

  #asError(error: unknown): RoomwireError {
    if (error instanceof RoomwireError) return error;
    if (error instanceof EncodeError) return refusal('bad_request', error.message, { cause: error });
    this.#log.error({ err: error }, 'a frame could not be handled');
    return new RoomwireError('handler_failed', undefined, { cause: error });
  }
}

/** Out here, so that what is waited for holds nothing else. */
function whenDecided(
  connection: Connection,
  deferred: Deferred,
  verdict: MaybePromise<boolean>,
  earlier: Promise<void> | undefined,
): Promise<void> {
  connection.keeps(deferred);
  return Promise.allSettled([verdict, earlier]).then(([answer]) => {
    connection.lets(deferred);
    deferred.decide(answer);
  });
}

function settleAfter(connection: Connection, decided: Promise<void>): void {
  void decided.then(() => connection.settled());
}

function text(bytes: Uint8Array, length: number, index: number): string | undefined {
  return index < length ? readString(bytes, at[index] as number) : undefined;
}

function need(value: string | undefined, what: string): string {
  if (value === undefined) throw refusal('bad_request', `${what} must be a string`);
  return value;
}

/** 0 only where it means "no answer wanted". */
function requestId(bytes: Uint8Array, pos: number, op: number): number | undefined {
  const id = readInt(bytes, pos);
  return id !== undefined && id <= MAX_ID && (id > 0 || (id === 0 && op === Op.PUBLISH)) ? id : undefined;
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

/** `[epoch, offset]` or nil. */
export function position(value: Value): Position | null {
  if (value === null) return null;
  if (
    Array.isArray(value) &&
    typeof value[0] === 'string' &&
    Number.isSafeInteger(value[1]) &&
    (value[1] as number) >= 0
  ) {
    return [value[0], value[1] as number];
  }
  throw refusal('bad_request', 'a position is [epoch, offset] or nil');
}

function callOptions(value: Value, limits: Limits): CallOptions {
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array) {
    throw refusal('bad_request', 'call options are a map');
  }
  const { key, timeoutMs } = value as { key?: Value; timeoutMs?: Value };
  if (typeof key === 'string') requireName(key, 'key', limits.nameBytes);
  else if (key !== undefined && key !== null) throw refusal('bad_request', 'key must be a string');
  if (timeoutMs !== undefined && timeoutMs !== null && !(typeof timeoutMs === 'number' && timeoutMs > 0)) {
    throw refusal('bad_request', 'timeoutMs must be a positive number');
  }
  return {
    ...(typeof key === 'string' ? { key } : {}),
    ...(typeof timeoutMs === 'number' ? { timeoutMs: Math.min(timeoutMs, limits.callMaxMs) } : {}),
  };
}

/** The error a client answered one of our calls with. */
function errorFrom([, , code, message, details]: readonly Value[]): RoomwireError {
  const name = typeof code === 'number' ? errorName(code) : undefined;
  return refusal(name ?? 'handler_failed', typeof message === 'string' ? message : undefined, { details });
}
