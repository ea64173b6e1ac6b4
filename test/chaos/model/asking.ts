/** Commands of the model test in which an application asks for something, with or without a network that answers. */
import type fc from 'fast-check';
import { equal } from 'node:assert/strict';
import type { Published } from '../../../src/client/node.js';
import { check } from './check.js';
import { topicOf, type ClientModel } from './client-model.js';
import { pass } from './happenings.js';
import type { Model } from './model.js';
import { clientNames, LEASE_MS, STEP_MS } from './plan.js';
import type { Op } from './server-model.js';
import { Outcome, type RealClient } from './real-client.js';
import type { World } from './world.js';

export type How = 'answered' | 'request lost' | 'answer lost';
type Command = fc.AsyncCommand<Model, World>;

/** Asks the SDK. */
function issue(real: RealClient, op: Op): Promise<unknown> {
  const { sdk, subscriptions, locks } = real;
  switch (op.do) {
    case 'join':
      return sdk.room(op.room).join({ create: true });
    case 'leave':
      return sdk.room(op.room).leave();
    case 'take':
      return sdk.room(op.room).presenter.take();
    case 'yield':
      return sdk.room(op.room).presenter.release();
    case 'subscribe':
      return real.subscribe(op.topic);
    case 'unsubscribe':
      subscriptions.get(op.topic)?.unsubscribe();
      subscriptions.delete(op.topic);
      return Promise.resolve();
    case 'publish': {
      const [topic, id] = [op.topic, op.topic.slice(5)];
      const options = { key: op.key };
      if (topic.startsWith('room:')) return sdk.room(id).publish('said', { n: op.n }, options);
      return sdk.publish(topic, 'said', { n: op.n }, options);
    }
    case 'volatile':
      sdk.volatile(op.topic, 'said', op.slot, { n: op.n });
      return Promise.resolve();
    case 'lock': {
      const key = `${op.room} ${op.target}`;
      return sdk
        .room(op.room)
        .lock(op.target, { ttl: LEASE_MS })
        .then((lock) => locks.set(key, lock));
    }
    case 'unlock': {
      const key = `${op.room} ${op.target}`;
      const lock = locks.get(key);
      locks.delete(key);
      return lock?.release() ?? Promise.resolve();
    }
  }
}

/** Whether a client may ask this now, as far as its own application can know. */
function mayAsk(client: ClientModel, op: Op): boolean {
  const want = client.wants.get(topicOf(op));
  switch (op.do) {
    case 'join':
    case 'subscribe':
      return want === undefined;
    case 'lock':
      return client.live && want?.ready === true && !client.locks.has(`${op.room} ${op.target}`);
    case 'unlock':
      return want?.ready === true && client.locks.has(`${op.room} ${op.target}`);
    default:
      return want?.ready === true;
  }
}

export class Ask implements Command {
  readonly #at: number;
  readonly #op: Op;
  readonly #how: How;

  constructor(at: number, op: Op, how: How) {
    this.#at = at;
    this.#op = op;
    this.#how = how;
  }

  check(model: Readonly<Model>): boolean {
    const client = model.clients[this.#at] as ClientModel;
    // What has no answer cannot lose it. Of a lock that is asked for again the client may believe that it is over, and
    // give it back: test/client/lock-belief.test.ts and test/rooms/lock-keys.test.ts have those.
    const lossy = this.#op.do === 'lock' || (this.#op.do === 'volatile' && this.#how === 'answer lost');
    return mayAsk(client, this.#op) && (this.#how === 'answered' || (client.live && !lossy));
  }

  async run(model: Model, world: World): Promise<void> {
    await pass(model, world, STEP_MS);
    // Time may have ended what could be asked.
    if (!this.check(model)) return;
    const [client, real] = [model.clients[this.#at] as ClientModel, world.clients[this.#at] as RealClient];
    const op = this.#numbered(model, client);
    const matched = model.server.connectedIn(topicOf(op));
    const wasLive = client.live;
    real.line.mute = this.#how === 'request lost';
    real.line.deaf = this.#how === 'answer lost';
    const outcome = new Outcome(issue(real, op));
    await world.quiet();
    if (this.#how !== 'answered') {
      real.line.cut();
      await world.quiet();
    }
    const waiting = client.ask(op, this.#how);
    if (op.do !== 'volatile') model.asked.set(waiting, outcome);
    await check(model, world);
    if (op.do !== 'publish' || this.#how !== 'answered' || !wasLive || outcome.state !== 'done') return;
    const published = outcome.value as Published;
    equal(published.matched, matched, 'how many it matched');
    equal(model.server.topic(op.topic).log[published.offset - 1], `said {"n":${op.n}}`, 'the offset of the answer');
  }

  #numbered(model: Model, client: ClientModel): Op {
    const op = this.#op;
    if (op.do === 'unlock') return { ...op, lock: client.locks.get(`${op.room} ${op.target}`)?.lock };
    if (op.do !== 'publish' && op.do !== 'volatile') return op;
    const n = ++model.n;
    return op.do === 'publish' && op.key !== undefined ? { ...op, n, key: `key ${n}` } : { ...op, n };
  }

  toString(): string {
    const { do: verb, ...rest } = this.#op;
    const where = Object.entries(rest)
      .filter(([name]) => name !== 'n')
      .map(([, value]) => String(value));
    const how = this.#how === 'answered' ? '' : `: ${this.#how}`;
    return `${clientNames[this.#at]} ${verb} ${where.join(' ')}${how}`;
  }
}

/** Ends a subscription and begins it anew without waiting. */
export class Again implements Command {
  readonly #at: number;
  readonly #topic: string;

  constructor(at: number, topic: string) {
    this.#at = at;
    this.#topic = topic;
  }

  check(model: Readonly<Model>): boolean {
    return (model.clients[this.#at] as ClientModel).wants.get(this.#topic)?.ready === true;
  }

  async run(model: Model, world: World): Promise<void> {
    await pass(model, world, STEP_MS);
    if (!this.check(model)) return;
    const [client, real] = [model.clients[this.#at] as ClientModel, world.clients[this.#at] as RealClient];
    const topic = this.#topic;
    const ops: Op[] = topic.startsWith('room:')
      ? [
          { do: 'leave', room: topic.slice(5) },
          { do: 'join', room: topic.slice(5) },
        ]
      : [
          { do: 'unsubscribe', topic },
          { do: 'subscribe', topic },
        ];
    const outcomes = ops.map((op) => new Outcome(issue(real, op)));
    await world.quiet();
    for (const [i, op] of ops.entries()) model.asked.set(client.ask(op, 'answered'), outcomes[i] as Outcome);
    await check(model, world);
  }

  toString(): string {
    return `${clientNames[this.#at]} leaves ${this.#topic} and comes again at once`;
  }
}
