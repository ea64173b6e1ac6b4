/**
 * Whether delivery works, found out by using it: an event is published to a topic of the probe's own and
 * goes the way of all events (hub, store, flush, socket) to a real client (client.ts). Asked for by
 * `GET /health/delivery`: nothing runs while nobody asks. own-key.ts says who that client is.
 */
import type { Delivery, DeliveryStage } from '../api.js';
import { writeServerItem } from '../wire/frames.js';
import type { Hub } from '../hub/hub.js';
import type { SessionRegistry } from '../sessions/registry.js';
import type { Timer } from '../time/wheel.js';
import { ProbeClient } from './client.js';
import type { OwnKey } from '../gate/own-key.js';
import { OWN_PREFIX } from '../wire/names.js';

/** What was found is as good as new for so long: many may ask. */
const FRESH_MS = 1_000;
/** With FRESH_MS and a look every second: within 5 s of a standstill the answer is red. */
const DEADLINE_MS = 3_000;
/** A client that got nothing for so long is given up for a new one. */
const GIVE_UP_MS = 10_000;
/** Without questions for so long the connection is closed. */
const IDLE_MS = 60_000;
const LATE = `not within ${DEADLINE_MS} ms`;

export interface ProbeOptions {
  readonly key: OwnKey;
  readonly hub: Hub;
  readonly store: { readonly name: string; readonly durable: boolean };
  readonly registry: SessionRegistry;
  /** Names this server's topic where several share a store. */
  readonly node: string | undefined;
  readonly after: (ms: number, fn: () => void) => Timer;
  readonly monotonic: () => number;
  readonly wall: () => number;
}

/** One event on its way; times are of performance.now() but `since`, which is of the server's clock. */
interface Attempt {
  readonly since: number;
  stage: DeliveryStage;
  began: number;
  committed: number;
  arrived: number;
  /** Resolves when it is over: undefined when the event arrived, else why it will not. */
  done: Promise<string | undefined>;
}

export class Probe {
  readonly topic: string;
  readonly #options: ProbeOptions;
  /** `ws://…` of the server's own port, once it listens. */
  url = '';
  #client: ProbeClient | undefined;
  #attempt: Attempt | undefined;
  #last: { readonly at: number; readonly delivery: Delivery } | undefined;
  #lastOk: string | null = null;
  #failingSince: string | undefined;
  #number = 0;
  #askedAt = 0;
  #idle: Timer | undefined;

  constructor(options: ProbeOptions) {
    this.#options = options;
    this.topic = options.node === undefined ? OWN_PREFIX : `${OWN_PREFIX}:${options.node}`;
  }

  /** Answers within DEADLINE_MS. */
  async check(): Promise<Delivery> {
    const now = this.#options.monotonic();
    this.#askedAt = now;
    this.#closeWhenIdle();
    if (this.#last !== undefined && now - this.#last.at < FRESH_MS && this.#options.hub.healthy)
      return this.#last.delivery;
    // What waits for the store stays: its outcome is still to come, and another would only wait behind it.
    if (this.#attempt !== undefined && this.#attempt.stage !== 'commit' && now - this.#attempt.since >= GIVE_UP_MS) {
      this.#attempt = undefined;
      this.#drop();
    }
    const attempt = (this.#attempt ??= this.#begin(now));
    const left = DEADLINE_MS - (now - attempt.since);
    return this.#found(attempt, left <= 0 ? LATE : await this.#within(left, attempt.done));
  }

  close(): void {
    this.#idle?.cancel();
    this.#idle = undefined;
    this.#drop();
  }

  #within(ms: number, done: Promise<string | undefined>): Promise<string | undefined> {
    return new Promise((resolve) => {
      const timer = this.#options.after(ms, () => resolve(LATE));
      void done.then((failure) => {
        timer.cancel();
        resolve(failure);
      });
    });
  }

  #begin(now: number): Attempt {
    const began = performance.now();
    const done = Promise.resolve(undefined);
    const attempt: Attempt = { since: now, stage: 'connect', began, committed: began, arrived: began, done };
    attempt.done = this.#go(attempt)
      .then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      )
      .finally(() => {
        if (this.#attempt === attempt) this.#attempt = undefined;
      });
    return attempt;
  }

  async #go(attempt: Attempt): Promise<void> {
    if (this.#client?.open !== true) this.#client = this.#connect(attempt);
    const client = this.#client;
    await client.subscribed;
    const number = ++this.#number;
    const arrived = client.event(number);
    attempt.began = performance.now();
    attempt.stage = 'commit';
    // First the commit, whatever becomes of the connection: only then may the next one be published.
    await new Promise<void>((resolve, failed) => {
      const done = (): void => {
        attempt.stage = 'delivery';
        attempt.committed = performance.now();
        resolve();
      };
      this.#options.hub.publish({ topic: this.topic, item: writeServerItem('probe', number), done, failed });
    });
    await arrived;
    attempt.arrived = performance.now();
  }

  #connect(attempt: Attempt): ProbeClient {
    const { key, hub, registry } = this.#options;
    return new ProbeClient({
      url: this.url,
      token: key.token,
      reached: (stage) => (attempt.stage = stage),
      subscribe: (sid, failed) => {
        const session = registry.get(sid);
        if (session === undefined) return failed(new Error("the probe's session has ended"));
        hub.perform(
          (tx) => tx.subscribe(session, this.topic),
          () => undefined,
          failed,
        );
      },
    });
  }

  /** `ready` and this are one truth: an event that got through does not mean that the store takes all. */
  #found(attempt: Attempt, arrival: string | undefined): Delivery {
    const { monotonic, wall, hub, store } = this.#options;
    const { since, began, committed, arrived } = attempt;
    const refuses = arrival === undefined && !hub.healthy;
    const failure = refuses ? 'the store does not take all commits' : arrival;
    const stage = refuses ? 'commit' : attempt.stage;
    const { name, durable } = store;
    const state = { name, durable, healthy: hub.healthy, committingMs: hub.committingMs };
    if (failure === undefined) {
      this.#lastOk = new Date(wall()).toISOString();
      this.#failingSince = undefined;
      const [ms, commitMs] = [round(arrived - began), round(committed - began)];
      const delivery: Delivery = { status: 'ok', ms, commitMs, lastOk: this.#lastOk, store: state };
      this.#last = { at: monotonic(), delivery };
      return delivery;
    }
    const waited = monotonic() - since;
    this.#failingSince ??= new Date(wall() - waited).toISOString();
    return {
      status: 'failing',
      ms: Math.round(waited),
      stage,
      reason: failure,
      since: this.#failingSince,
      lastOk: this.#lastOk,
      store: state,
    };
  }

  #drop(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  #closeWhenIdle(): void {
    if (this.#idle !== undefined) return;
    const look = (ms: number): void => {
      this.#idle = this.#options.after(ms, () => {
        const idle = this.#options.monotonic() - this.#askedAt;
        this.#idle = undefined;
        if (idle < IDLE_MS) look(IDLE_MS - idle);
        else this.#drop();
      });
    };
    look(IDLE_MS);
  }
}

/** To the microsecond. */
function round(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
