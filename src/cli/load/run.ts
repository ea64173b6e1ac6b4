/**
 * One run of `roomwire load`, from the first socket to the last late event: connect, publish or listen, settle. It
 * only measures; report.ts says what the numbers mean.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { Handler } from '../../client/node.js';
import { messageOf } from '../../protocol/code-texts.js';
import { errors } from '../../protocol/codes.js';
import { CommandError } from '../args.js';
import { Arrivals, Sent } from './check.js';
import { Histogram } from './histogram.js';
import { Line, type Opening, type Target } from './line.js';
import { Publishers, turnOfTimers, type Payload, type PublishPlan } from './publishers.js';

export interface Plan extends Target, PublishPlan {
  readonly clients: number;
  readonly publishers: number;
  readonly connectRate: number;
  /** Seconds to wait for what is still under way at the end. */
  readonly settle: number;
}

/** Connections being opened at once. */
const MAX_OPENING = 256;
/** On top of what the connect rate needs, for slow answers and new attempts. */
const OPENING_MS = 30_000;
/** After an interrupt nobody wants to wait long. */
const INTERRUPTED_SETTLE_MS = 2_000;
const LOOK_MS = 20;
/** Events that came this shortly before the wait was over: more would have come. */
const STILL_ARRIVING_MS = 500;

export class LoadRun {
  readonly plan: Plan;
  readonly sent: Sent;
  readonly publishers: Publishers;
  phase: 'connecting' | 'publishing' | 'listening' | 'settling' = 'connecting';
  readonly connectMs = new Histogram();
  readonly enterMs = new Histogram();
  /** From publish to handler. */
  readonly latencyMs = new Histogram();
  /** One for each subscriber that got into the topic, whether or not it stayed. */
  readonly arrivals: Arrivals[] = [];
  /** Subscribers and publishers that could not get there, and why the first could not. */
  notOpened = 0;
  whyNot: string | undefined;
  /** Those that the server ended for good, and why the first. */
  gone = 0;
  whyGone: string | undefined;
  deliveries = 0;
  resets = 0;
  interrupted = false;
  /** The wait at the end was over before the events were. */
  stillArriving = false;
  /** Seconds of publishing or listening. */
  seconds = 0;
  /** Seconds until the last delivery, where that was later. */
  deliverySeconds = 0;
  /** Share of one core that this process used meanwhile. */
  cpu = 0;
  readonly #lines: Line[] = [];
  readonly #publishing: Line[] = [];
  readonly #subscribers: [Line, Arrivals][] = [];
  #lastAt = 0;
  /** The topic's head when the last subscriber was there; while that is unknown, nothing counts. */
  #enteredAt = Infinity;

  constructor(plan: Plan) {
    this.plan = plan;
    this.sent = new Sent(plan.publishers);
    this.publishers = new Publishers(plan, this.sent);
  }

  get reconnects(): number {
    return this.#lines.reduce((sum, { reconnects }) => sum + reconnects, 0);
  }

  /** Connections that are lost at this moment, and trying to come back. */
  get offline(): number {
    return this.#lines.filter(({ offline }) => offline).length;
  }

  /** Ends by itself, or earlier when `stop` aborts. Rejects with a CommandError when there is nothing to measure. */
  async start(stop: AbortSignal): Promise<void> {
    try {
      await this.#connect(stop);
      if (!stop.aborted) await this.#load(stop);
    } finally {
      this.interrupted = stop.aborted;
    }
  }

  /** Says goodbye on every connection, which needs a turn of the loop to leave. */
  async close(): Promise<void> {
    for (const line of this.#lines) line.close();
    await new Promise((resolve) => setImmediate(resolve));
  }

  async #connect(stop: AbortSignal): Promise<void> {
    const { clients, connectRate, rate } = this.plan;
    const publishers = rate > 0 ? this.plan.publishers : 0;
    const total = publishers + clients;
    // A timer and a controller of its own: AbortSignal.timeout and AbortSignal.any hold theirs weakly, and lose them.
    const late = new AbortController();
    const { signal } = late;
    setMaxListeners(0, signal);
    const end = (): void => late.abort();
    const timer = setTimeout(end, OPENING_MS + (total / connectRate) * 1000);
    stop.addEventListener('abort', end);
    if (stop.aborted) end();
    try {
      await this.#openAll(total, publishers, { stop, signal });
    } finally {
      clearTimeout(timer);
      stop.removeEventListener('abort', end);
    }
  }

  async #openAll(
    total: number,
    publishers: number,
    { stop, signal }: { readonly stop: AbortSignal; readonly signal: AbortSignal },
  ): Promise<void> {
    const { connectRate } = this.plan;
    const opening = new Set<Promise<void>>();
    const began = performance.now();
    let i = 0;
    while (i < total && !signal.aborted) {
      const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * connectRate) + 1);
      for (; i < due && opening.size < MAX_OPENING; i++) {
        // The first finds out whether there is a server at all, and makes the room: the others come after it.
        const one: Promise<void> = this.#open(i < publishers, { signal, once: i === 0 })
          .catch((error: Error) => this.#failed(error, stop))
          .finally(() => opening.delete(one));
        opening.add(one);
        if (i > 0) continue;
        await one;
        if (this.whyNot !== undefined) throw new CommandError(this.whyNot);
      }
      await turnOfTimers(1, signal);
    }
    await Promise.all(opening);
    if (stop.aborted) return;
    if (i < total) this.whyNot ??= 'the server took too long';
    this.notOpened += total - i;
    const none = this.arrivals.length === 0 || (publishers > 0 && this.#publishing.length === 0);
    if (none) throw new CommandError(this.whyNot ?? `nobody got into ${this.plan.topic}`);
  }

  async #open(publishes: boolean, opening: Opening): Promise<void> {
    const arrivals = new Arrivals(this.sent);
    const line = new Line(this.plan, {
      ...(publishes ? {} : { onEvent: this.#counter(arrivals) }),
      onMissed: () => {
        if (publishes) return;
        this.resets++;
        arrivals.reset();
      },
      onGone: (reason) => {
        this.gone++;
        this.whyGone ??= reason;
        arrivals.end();
      },
    });
    await line.open(opening);
    this.#lines.push(line);
    if (publishes) this.#publishing.push(line);
    else {
      this.arrivals.push(arrivals);
      this.#subscribers.push([line, arrivals]);
    }
    this.connectMs.add(line.connectMs);
    this.enterMs.add(line.enterMs);
  }

  #failed({ message }: Error, stop: AbortSignal): void {
    if (stop.aborted) return;
    this.notOpened++;
    this.whyNot ??= message;
  }

  /** Runs for each delivery to each subscriber. */
  #counter(arrivals: Arrivals): Handler<unknown> {
    if (this.plan.rate === 0) {
      return (_data, { offset, from }) => {
        // That the last of the load joined is an event too, and may arrive late.
        if (offset === null ? from === null : offset <= this.#enteredAt) return;
        this.deliveries++;
        this.#lastAt = performance.now();
      };
    }
    const { run } = this.publishers;
    return (data: unknown) => {
      const event = data as Payload | null;
      // Others may publish here too.
      if (event?.run !== run) return;
      const now = performance.now();
      this.#lastAt = now;
      this.deliveries++;
      this.latencyMs.add(now - event.at);
      arrivals.saw(event.seq);
    };
  }

  async #load(stop: AbortSignal): Promise<void> {
    const { rate, seconds, event, topic } = this.plan;
    this.phase = rate > 0 ? 'publishing' : 'listening';
    this.#enteredAt = this.#subscribers.reduce((last, [line]) => Math.max(last, line.enteredAt), 0);
    this.deliveries = this.resets = 0;
    const began = performance.now();
    const cpu = process.cpuUsage();
    if (rate > 0) await this.publishers.start(this.#publishing, stop);
    else await turnOfTimers(seconds * 1000, stop);
    this.seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    this.cpu = (user + system) / 1e6 / this.seconds;
    const { refusal } = this.publishers;
    if (refusal !== undefined) {
      const advice =
        refusal.code === errors.too_large
          ? 'ask for fewer with --bytes'
          : 'name with --topic and --event what its contract lets subscribers publish';
      throw new CommandError(`the server refuses ${event} in ${topic}: ${messageOf(refusal)}; ${advice}`);
    }
    if (rate > 0) await this.#settle(stop);
    this.deliverySeconds = Math.max(this.seconds, (this.#lastAt - began) / 1000);
  }

  /** Waits for the last answers and events. */
  async #settle(stop: AbortSignal): Promise<void> {
    this.phase = 'settling';
    const began = performance.now();
    for (;;) {
      if (this.publishers.waiting === 0 && this.arrivals.every(({ complete }) => complete)) return;
      const most = this.plan.settle * 1000;
      const now = performance.now();
      if (now - began >= (stop.aborted ? Math.min(INTERRUPTED_SETTLE_MS, most) : most)) {
        this.stillArriving = now - this.#lastAt < STILL_ARRIVING_MS;
        this.publishers.giveUp();
        // What waits for one that is away is not lost yet; that it is away is reported.
        for (const [line, arrivals] of this.#subscribers) if (line.offline) arrivals.end();
        return;
      }
      await pause(LOOK_MS);
    }
  }
}
