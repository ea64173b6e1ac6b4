/**
 * What a server is made of, from the bottom up: each part is given those before it. All are built at once, with what the
 * options say; the clock and the hub are told later what only an opened store knows.
 */
import { randomBytes } from 'node:crypto';
import { closes } from '../protocol/codes.js';
import { memoryStore } from '../store/memory.js';
import type { StoreError } from '../store/store.js';
import { requireTopic } from './calls/finish.js';
import { CallTable } from './calls/table.js';
import { Backlogs } from './connection/backlog.js';
import { Connections } from './connection/connections.js';
import { Dispatcher } from './connection/dispatch.js';
import { Diagnosis } from './diagnosis/diagnosis.js';
import { Arrivals } from './gate/arrivals.js';
import { Authenticator } from './gate/auth.js';
import { Doorkeeper } from './gate/doorkeeper.js';
import type { Doors } from './gate/doors.js';
import { Entrance } from './gate/entrance.js';
import { Gate } from './gate/gate.js';
import { OwnKey } from './gate/own-key.js';
import { Rates } from './gate/rates.js';
import { TokenCheck } from './gate/token-check.js';
import { Hub } from './hub/hub.js';
import { Lifecycle } from './lifecycle.js';
import { Live } from './live/live.js';
import { limitsOf } from './limits.js';
import { basePathOf, type AnyOptions } from './options.js';
import { Policy } from './policy.js';
import { Probe } from './probe/probe.js';
import { Sessions } from './sessions/life.js';
import { SessionRegistry } from './sessions/registry.js';
import { Welcomer } from './sessions/welcome.js';
import { Clock, systemTime } from './time/clock.js';
import { Wheel, type Timer } from './time/wheel.js';
import { Audit } from './watch/audit.js';
import { Counters } from './watch/counters.js';
import { safe, silent } from './watch/log.js';
import { writeGoaway } from './wire/frames.js';

const RING_BYTES = 64 * 1024 * 1024;

export type Parts = ReturnType<typeof build>;

/** `deposed`: the store is no longer this server's. `asked`: another node asks this one to stop. Throws a TypeError for options that cannot work. */
export function build(
  options: AnyOptions,
  { deposed, asked }: { readonly deposed: (error: StoreError) => void; readonly asked: (node: string) => void },
) {
  const {
    contract,
    store: own = memoryStore(),
    cluster,
    time = systemTime,
    pingEvery = 25_000,
    pingTimeout = 10_000,
  } = options;
  const life = new Lifecycle();
  const isDraining = (): boolean => life.phase === 'closing';
  const limits = limitsOf(options.limits ?? {});

  const wall = (): number => time.wall();
  const monotonic = (): number => time.monotonic();
  const after = (ms: number, fn: () => void): Timer => wheel.after(ms, fn);
  const afterAwake = (ms: number, fn: () => void): Timer => wheel.afterAwake(ms, fn);
  const log = safe(options.log ?? silent, after);
  const failed = (error: unknown): void => log.error({ err: error }, 'internal error');
  const basePath = basePathOf(options);
  const asNode = { shape: shapeOf(options, limits), basePath, time, log, asked };
  const store = cluster === undefined ? own : cluster.store(own, asNode);
  const clock = new Clock(time);
  const counters = new Counters(Object.keys(contract.calls));
  const audit = new Audit({ wall, after, write: options.audit, log, failed });

  const policy = new Policy(contract, options.policy ?? {});
  const registry = new SessionRegistry(limits);
  const ownKey = new OwnKey();
  const { nameBytes } = limits;
  const arrivals = new Arrivals({
    topics: limits.topics,
    requireTopic: (topic, field) => requireTopic(policy, topic, { field, nameBytes }),
  });
  const rates = new Rates(limits, options.rates);
  const door = new Doorkeeper(options.admission ?? {}, monotonic);
  const atOnce = door.limits.tokenChecks;
  const auth = new Authenticator(options.auth ?? {}, { wall, monotonic, after, atOnce, log });
  const tokens = new TokenCheck({ auth, door, log, after });
  const entrance = new Entrance({
    ...{ auth, tokens, arrivals, door, ownKey, audit, isDraining, failed },
    basePath,
  });
  const gate = new Gate({ auth, tokens, arrivals, door, ownKey, present: registry });

  // After all that may throw: it ticks from here on.
  const wheel = new Wheel(time, failed);
  const defer = (fn: () => void): void => void setImmediate(fn);
  const hub = new Hub({
    store,
    clock,
    limits,
    ringBytes: options.ringBytes ?? RING_BYTES,
    defer,
    after,
    members: registry.members,
    counters,
    failed,
    storeFailing: (error) => {
      if (error === undefined) log.info({}, 'the store takes commits again');
      else log.error({ err: error }, 'the store does not take commits');
    },
    deposed,
    damaged: (topic, from) =>
      log.error({ topic, from, file: store.file }, 'stored events cannot be read and are told as a gap'),
  });
  const calls = new CallTable({ contract, hub, limits, log, counters, after, policies: options.callPolicy ?? {} });
  const sessions = new Sessions({
    hub,
    registry,
    auth,
    tokens,
    arrivals,
    waitingPerUser: door.limits.waitingSessionsPerUser,
    log,
    after,
    afterAwake,
  });
  const node = options.node ?? randomBytes(6).toString('base64url');
  const welcomer = new Welcomer({ hub, sessions, registry, policy, gate, clock, limits, node, pingEvery, log });
  const connections = new Connections({
    hub: hub.fanOut,
    counters,
    limits,
    backlogs: new Backlogs(defer, () => hub.fanOut.flush()),
    pingEvery,
    pingTimeout,
    isDraining,
    serves: () => life.serves,
    after,
    afterAwake,
    monotonic,
    welcomer,
    dispatcher: new Dispatcher({ hub, policy, calls, sessions, limits, rates, log, counters, clock }),
    sessions,
    door,
    entrance,
    ownKey,
    rates,
    audit,
    failed,
  });
  const doors: Doors = {
    admission: { ...door.limits, trustedProxies: options.admission?.trustedProxies ?? [] },
    ownKey: ownKey.digest,
    get guests() {
      return auth.guests;
    },
    log,
    connections: () => door.connections,
    upgraded: () => door.upgraded(),
    refused: (address, limit, times) => entrance.refusedElsewhere(address, limit, times),
    onShun: (tell) => void (door.shuns = tell),
    farewell: (spreadMs) => {
      const reason = 'the server is restarting';
      return { code: closes.draining, reason, bytes: writeGoaway(closes.draining, reason, spreadMs) };
    },
  };
  const diagnosis = new Diagnosis({ hub, registry, policy });
  const live = new Live({ ...{ hub, policy, auth, pingEvery, after, defer, failed }, limits: options.live ?? {} });
  const probe = new Probe({ key: ownKey, hub, store, registry, node: options.node, after, monotonic, wall });
  return {
    ...{ life, limits, time, wheel, clock, log, failed, counters, audit },
    ...{ policy, registry, arrivals, auth, entrance, doors },
    ...{ store, hub, calls, sessions, welcomer, connections, diagnosis, live, probe },
  };
}

/** What the nodes of a cluster must have alike: the hub's counts for all, and the next hub is to decide as it does. */
function shapeOf({ contract, policy = {}, callPolicy = {} }: AnyOptions, limits: object): string {
  const topics = Object.entries(contract.topics).map(([pattern, { events }]) => [pattern, Object.keys(events)]);
  const rules = [Object.keys(policy), Object.keys(callPolicy)];
  return JSON.stringify([topics, Object.keys(contract.calls), rules, limits]);
}
