/** Commands of the model test that nobody asked for: time, the network, the server. */
import type fc from 'fast-check';
import { until } from '../../support/until.js';
import { check } from './check.js';
import type { ClientModel } from './client-model.js';
import type { Model } from './model.js';
import { clientNames, PIECE_MS, STEP_MS } from './plan.js';
import type { ModelSession } from './server-model.js';
import type { RealClient } from './real-client.js';
import type { World } from './world.js';

type Command = fc.AsyncCommand<Model, World>;

/** Time goes on, in pieces; a short one goes before everything else. */
export async function pass(model: Model, world: World, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= PIECE_MS) {
    await world.pass(Math.min(left, PIECE_MS));
    model.server.now = world.time.wall();
    model.server.passed();
    await check(model, world);
  }
}

/** What becomes of one client's connection. */
export const changes = [
  'cut',
  'cut silently',
  'notice',
  'back',
  'back: WELCOME lost',
  'back: HELLO late',
  'late HELLO',
  'renew',
] as const;
type Change = (typeof changes)[number];

export class Connection implements Command {
  readonly #at: number;
  readonly #what: Change;

  constructor(at: number, what: Change) {
    this.#at = at;
    this.#what = what;
  }

  check(model: Readonly<Model>): boolean {
    const { live, unnoticed, hasLateHello } = model.clients[this.#at] as ClientModel;
    switch (this.#what) {
      case 'cut':
      case 'cut silently':
        return live;
      case 'notice':
        return unnoticed;
      case 'late HELLO':
        return live && hasLateHello;
      case 'renew':
        return !unnoticed;
      case 'back: HELLO late':
        return !live && !hasLateHello;
      default:
        return !live;
    }
  }

  async run(model: Model, world: World): Promise<void> {
    await pass(model, world, STEP_MS);
    const [client, real] = [model.clients[this.#at] as ClientModel, world.clients[this.#at] as RealClient];
    const { line } = real;
    switch (this.#what) {
      case 'cut':
        line.cut();
        client.lost();
        break;
      case 'cut silently':
        line.cutSilently();
        client.lost(true);
        break;
      case 'notice':
        line.notice();
        client.noticed();
        break;
      case 'back: WELCOME lost': {
        const { missed } = line;
        line.connect();
        line.deaf = true;
        await world.quiet();
        await until(() => line.missed > missed);
        line.cut();
        client.halfBack();
        break;
      }
      case 'late HELLO':
        await line.deliver();
        client.hasLateHello = false;
        break;
      case 'renew': {
        const wasLive = client.live;
        real.renew();
        await world.quiet();
        client.renew();
        if (wasLive) come(client, real);
        break;
      }
      default:
        client.hasLateHello = line.holdHello = this.#what === 'back: HELLO late';
        await back(world, client, real);
    }
    await world.quiet();
    await check(model, world);
  }

  toString(): string {
    return `${clientNames[this.#at]}: ${this.#what}`;
  }
}

export async function back(world: World, client: ClientModel, real: RealClient): Promise<void> {
  real.line.connect();
  await world.quiet();
  come(client, real);
}

function come(client: ClientModel, real: RealClient): void {
  client.back();
  (client.session as ModelSession).sid ??= real.sdk.state.get().sid;
}

/** The server publishes several events at once. */
export class Tell implements Command {
  readonly #topic: string;
  readonly #count: number;

  constructor(topic: string, count: number) {
    this.#topic = topic;
    this.#count = count;
  }

  check(model: Readonly<Model>): boolean {
    const id = this.#topic.slice(5);
    return !this.#topic.startsWith('room:') || model.server.rooms.has(id);
  }

  async run(model: Model, world: World): Promise<void> {
    await pass(model, world, STEP_MS);
    for (let i = 0; i < this.#count; i++) {
      const n = ++model.n;
      void world.server.publish(this.#topic as 'chat:1', 'notice', { n });
      model.server.serverPublish(this.#topic, n);
    }
    await world.quiet();
    await check(model, world);
  }

  toString(): string {
    return `the server tells ${this.#topic} ${this.#count} times`;
  }
}

export class Pass implements Command {
  readonly #ms: number;

  constructor(ms: number) {
    this.#ms = ms;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, world: World): Promise<void> {
    return pass(model, world, this.#ms);
  }

  toString(): string {
    return `${this.#ms} ms pass`;
  }
}

export class Restart implements Command {
  readonly #gracefully: boolean;
  readonly #downMs: number;

  constructor(gracefully: boolean, downMs: number) {
    this.#gracefully = gracefully;
    this.#downMs = downMs;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, world: World): Promise<void> {
    await pass(model, world, STEP_MS);
    const pairs = model.clients.map((client, i) => [client, world.clients[i] as RealClient] as const);
    const connected = pairs.filter(([{ live }]) => live);
    if (!this.#gracefully) for (const [, { line }] of connected) line.cut();
    await world.close();
    await until(() => world.network.sockets.size === 0);
    for (const [client, { line }] of pairs) {
      line.cut();
      line.notice();
      client.lost();
      client.hasLateHello = false;
    }
    world.time.advance(this.#downMs);
    world.timers.advance(this.#downMs);
    await world.open();
    model.server.now = world.time.wall();
    model.server.restart(world.options.store === 'lmdb');
    // What ended meanwhile ends now.
    await pass(model, world, STEP_MS);
    for (const [client, real] of connected) {
      await back(world, client, real);
      await check(model, world);
    }
  }

  toString(): string {
    return `the server ${this.#gracefully ? 'restarts' : 'crashes'} and is away for ${this.#downMs} ms`;
  }
}
