/** Puts together what runs once the store is open: hub, calls, sessions, and what a connection needs of them. */
import { randomBytes } from 'node:crypto';
import { messageOf } from '../protocol/code-texts.js';
import type { Contract } from '../protocol/contract.js';
import type { Limits } from '../protocol/limits.js';
import type { OpenedStore, Store, StoreError } from '../store/store.js';
import type { Log, Plugin, User } from './api.js';
import { eventOfClose, eventOfError, type Audit, type AuditEvent } from './watch/audit.js';
import type { Arrivals } from './gate/arrivals.js';
import type { Authenticator } from './gate/auth.js';
import { Gate } from './gate/gate.js';
import { CallTable } from './calls/table.js';
import { Clock, requireSaneTime, type TimeSource } from './time/clock.js';
import type { Connection, ConnectionOwner } from './connection/connection.js';
import type { Counters } from './watch/counters.js';
import { Diagnosis } from './diagnosis/diagnosis.js';
import { Dispatcher } from './connection/dispatch.js';
import type { Doorkeeper } from './gate/doorkeeper.js';
import { Hub } from './hub/hub.js';
import type { ServerOptions } from './options.js';
import type { Policy } from './policy.js';
import { isProbe, type OwnKey } from './gate/own-key.js';
import type { Rates } from './gate/rates.js';
import type { SessionRegistry } from './sessions/registry.js';
import type { Account } from './sessions/session.js';
import { Sessions } from './sessions/life.js';
import type { TokenCheck } from './gate/token-check.js';
import { Welcomer } from './sessions/welcome.js';
import type { Timer, Wheel } from './time/wheel.js';

const RING_BYTES = 64 * 1024 * 1024;

export interface CoreParts {
  readonly options: ServerOptions<Contract, User, readonly Plugin[]>;
  readonly contract: Contract;
  readonly limits: Limits;
  readonly log: Log;
  readonly store: Store;
  readonly opened: OpenedStore;
  readonly time: TimeSource;
  readonly wheel: Wheel;
  readonly auth: Authenticator;
  readonly arrivals: Arrivals;
  readonly policy: Policy;
  readonly tokens: TokenCheck;
  readonly door: Doorkeeper;
  readonly ownKey: OwnKey;
  readonly rates: Rates;
  readonly audit: Audit;
  readonly counters: Counters;
  readonly registry: SessionRegistry;
  /** Whether someone without a token is let in as a guest. */
  readonly guests: boolean;
  /** What every handler's context has beside its own call. */
  readonly context: object;
  readonly isDraining: () => boolean;
  readonly closed: (connection: Connection) => void;
  readonly failed: (error: unknown) => void;
  /** The store is no longer this server's. */
  readonly deposed: (error: StoreError) => void;
}

export interface Core {
  readonly hub: Hub;
  readonly clock: Clock;
  readonly calls: CallTable;
  readonly sessions: Sessions;
  readonly welcomer: Welcomer;
  readonly connectionOwner: ConnectionOwner;
  readonly diagnosis: Diagnosis;
}

export function assemble(parts: CoreParts): Core {
  const { options, limits, log, opened, time, registry, policy, auth, arrivals, counters, failed } = parts;
  const clock = new Clock(time, opened.meta.time);
  requireSaneTime(time.wall(), opened.meta, options.trustClock === true);
  const ahead = Math.round((opened.meta.time - time.wall()) / 86_400_000);
  if (ahead > 0)
    log.warn(
      { days: ahead },
      'the time of the store is ahead of this clock, which was once wrong: leases are told by it',
    );
  const after = (ms: number, fn: () => void): Timer => parts.wheel.after(ms, fn);
  const afterAwake = (ms: number, fn: () => void): Timer => parts.wheel.afterAwake(ms, fn);
  const hub = new Hub({
    store: parts.store,
    opened,
    clock,
    limits,
    ringBytes: options.ringBytes ?? RING_BYTES,
    defer: (fn) => void setImmediate(fn),
    after,
    members: registry.members,
    counters,
    failed,
    storeFailing: (error) => {
      if (error === undefined) log.info({}, 'the store takes commits again');
      else log.error({ err: error }, 'the store does not take commits');
    },
    deposed: parts.deposed,
    damaged: (topic, from) =>
      log.error({ topic, from, file: parts.store.file }, 'stored events cannot be read and are told as a gap'),
  });
  const calls = new CallTable({
    contract: parts.contract,
    hub,
    limits,
    log,
    counters,
    context: Object.entries(parts.context),
    after,
    rules: options.callPolicy ?? {},
  });
  const sessions = new Sessions({
    hub,
    registry,
    auth,
    tokens: parts.tokens,
    arrivals,
    waitingPerUser: parts.door.limits.waitingSessionsPerUser,
    wall: () => time.wall(),
    log,
    after,
    afterAwake,
  });
  const pingEvery = options.pingEvery ?? 25_000;
  const welcomer = new Welcomer({
    hub,
    sessions,
    registry,
    policy,
    gate: new Gate({
      auth,
      arrivals,
      tokens: parts.tokens,
      door: parts.door,
      ownKey: parts.ownKey,
      guests: parts.guests,
      present: registry,
    }),
    clock,
    limits,
    node: options.node ?? randomBytes(6).toString('base64url'),
    pingEvery,
    log,
  });
  const dispatcher = new Dispatcher({ hub, policy, calls, sessions, limits, rates: parts.rates, log, counters, clock });
  const refused = (
    { address, session }: Connection,
    what: { event: AuditEvent | undefined; target?: string | undefined; code: string; reason: string },
  ): void => parts.audit.add({ ...what, address, user: session?.user.id, sid: session?.sid });
  const connectionOwner: ConnectionOwner = {
    hub: hub.fanOut,
    counters,
    limits,
    pingEvery,
    pingTimeout: options.pingTimeout ?? 10_000,
    isDraining: parts.isDraining,
    after,
    afterAwake,
    monotonic: () => time.monotonic(),
    hello: (connection, bytes, start) => welcomer.hello(connection, bytes, start),
    frame: (connection, bytes, start, end) => dispatcher.frame(connection, bytes, start, end),
    closed: (connection, code, reason) => {
      parts.closed(connection);
      if (!isProbe(connection.session)) counters.closed(code);
      sessions.closed(connection, code, reason);
    },
    strays: (session, weight, now) => parts.rates.stray(weight, session, session.account as Account, now),
    refused: (connection, error, target) =>
      refused(connection, { event: eventOfError(error), target, code: error.name, reason: messageOf(error) }),
    closing: (connection, code, reason) => {
      // Who says goodbye, or is told to come again, was not refused.
      const event = eventOfClose(code);
      if (event !== undefined) refused(connection, { event, code, reason });
    },
    failed,
  };
  const diagnosis = new Diagnosis({ hub, registry, policy });
  return { hub, clock, calls, sessions, welcomer, connectionOwner, diagnosis };
}
