/**
 * Whatever is asked of topics, rooms and lists, and whatever the network and the server do in between: in the end it is
 * as it was asked last, each handle was told just its events, and every promise has told the truth. SEED=… runs a failure again.
 */
import fc from 'fast-check';
import t from 'tap';
import { errors } from '../../../src/protocol/codes.js';
import { RoomwireError } from '../../../src/protocol/errors.js';
import { connect } from '../../../src/client/node.js';
import type { Client, Subscription } from '../../../src/client/types.js';
import { environmentSeed } from '../../random.js';
import { FakeTimers } from '../fake-timers.js';
import { MemoryServer } from './server.js';

const TOPICS = ['news:one', 'news:two', 'a-topic-with-a-name-that-fills-hello'];
const ROOMS = ['red', 'blue', 'new'];
const GROUPS = ['public', 'green', 'red'];

type Step = readonly [act: (world: World, n: number) => void, n: number, name: string];

/** A handle, and what its promise and its events have said. */
interface Handle {
  readonly topic: string;
  readonly subscription: Subscription;
  began: number | undefined;
  over: boolean;
  readonly heard: number[];
}

class World {
  readonly server = new MemoryServer();
  readonly timers = new FakeTimers();
  readonly errors: unknown[] = [];
  readonly client: Client;
  readonly handles: Handle[] = [];
  /** What was asked last, and of which turn: an answer to an earlier one says nothing of it. */
  readonly rooms = new Map<string, { wants: boolean; turn: number }>();
  group: { name: string | undefined; turn: number } = { name: undefined, turn: 0 };
  open = 0;
  #events = 0;
  /** Promises that did not tell the truth. */
  readonly lies: string[] = [];

  constructor() {
    const { server, timers } = this;
    this.client = connect('ws://memory', {
      WebSocket: server.WebSocket,
      fetch: server.fetch,
      timers,
      random: () => 0.5,
      instance: `i${Math.random()}`,
      onError: (error) => this.errors.push(error),
    });
  }

  subscribe(topic: string): void {
    const subscription = this.client.subscribe(topic);
    const handle: Handle = { topic, subscription, began: undefined, over: false, heard: [] };
    subscription.on('*', (_data, { offset }) => handle.heard.push(offset as number));
    subscription.on('reset', () => handle.heard.push(-1));
    subscription.on('removed', () => (handle.over = true));
    this.#expect(
      subscription.ready.then((ready) => {
        if (this.client.state.get().status !== 'live') this.lies.push(`${topic} began without a connection`);
        handle.began = ready?.position[1];
      }),
      () => (handle.over = true),
    );
    this.handles.push(handle);
  }

  unsubscribe(n: number): void {
    const open = this.handles.filter(({ over }) => !over);
    const handle = open[n % Math.max(1, open.length)];
    if (!handle) return;
    handle.over = true;
    // A `ready` that was not there yet has nobody to tell.
    if (handle.began === undefined) this.open--;
    handle.began ??= NaN;
    handle.subscription.unsubscribe();
  }

  join(id: string, create: boolean): void {
    const asked = { wants: true, turn: (this.rooms.get(id)?.turn ?? 0) + 1 };
    this.rooms.set(id, asked);
    this.#expect(
      this.client.room(id).join(create ? { create } : {}),
      // Refused: it is not wanted any more, unless it was in it already and only could not read it again.
      () => (asked.wants &&= ['joined', 'joining'].includes(this.client.room(id).state.get().status)),
    );
  }

  leave(id: string): void {
    const asked = { wants: false, turn: (this.rooms.get(id)?.turn ?? 0) + 1 };
    this.rooms.set(id, asked);
    this.#expect(this.client.room(id).leave(), () => undefined);
  }

  watch(name: string): void {
    const asked = (this.group = { name, turn: this.group.turn + 1 });
    const group = name === 'public' ? undefined : name;
    this.#expect(this.client.rooms.watch({ group }), () => {
      const { watching, loading } = this.client.rooms.status.get();
      if (this.group === asked && !watching && !loading) this.group = { name: undefined, turn: asked.turn };
    });
  }

  unwatch(): void {
    this.group = { name: undefined, turn: this.group.turn + 1 };
    this.#expect(this.client.rooms.unwatch(), () => undefined);
  }

  publish(topic: string): void {
    this.server.publish(topic, 'said', ++this.#events);
  }

  #expect(promise: Promise<unknown>, refused: (error: RoomwireError) => void): void {
    this.open++;
    promise.then(
      () => this.open--,
      (error: unknown) => {
        this.open--;
        if (!(error instanceof RoomwireError) && !(error instanceof TypeError)) this.lies.push(String(error));
        refused(error as RoomwireError);
      },
    );
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  }

  /** The network and the server work again, for as long as there is something to do. */
  async heal(): Promise<void> {
    this.server.refusals.length = 0;
    for (let i = 0; i < 400; i++) {
      await this.settle();
      for (let n = 0; n < 50 && this.server.busy; n++) {
        this.server.work();
        this.server.deliver();
      }
      await this.settle();
      if (!this.server.busy && this.client.state.get().status === 'live' && i > 40) return;
      this.timers.advance(1_000);
      if (i === 20) for (const topic of [...TOPICS, ...ROOMS.map((id) => `room:${id}`)]) this.publish(topic);
    }
    throw new Error(`not quiet: ${JSON.stringify(this.client.state.get())}`);
  }
}

const pick = <T>(list: readonly T[], n: number): T => list[n % list.length] as T;

const acts: readonly (readonly [weight: number, name: string, act: (world: World, n: number) => void])[] = [
  [4, 'subscribe', (w, n) => w.subscribe(pick(TOPICS, n))],
  [4, 'unsubscribe', (w, n) => w.unsubscribe(n)],
  [4, 'join', (w, n) => w.join(pick(ROOMS, n), false)],
  [2, 'create', (w, n) => w.join(pick(ROOMS, n), true)],
  [4, 'leave', (w, n) => w.leave(pick(ROOMS, n))],
  [4, 'watch', (w, n) => w.watch(pick(GROUPS, n))],
  [2, 'unwatch', (w) => w.unwatch()],
  [3, 'publish', (w, n) => w.publish(pick([...TOPICS, 'room:red', 'room:blue', 'overview:green'], n))],
  [14, 'work', (w) => w.server.work()],
  [14, 'deliver', (w) => w.server.deliver()],
  [3, 'cut', (w) => w.server.cut()],
  [1, 'expire', (w) => w.server.expire()],
  [1, 'kick', (w, n) => w.server.kick(pick([...TOPICS, 'room:red', 'room:blue', 'overview:green'], n))],
  [2, 'refuse', (w, n) => w.server.refusals.push(pick([errors.too_many, errors.store_unavailable], n))],
  [3, 'time', (w, n) => w.timers.advance(pick([10, 300, 3_000, 11_000], n))],
];

const step: fc.Arbitrary<Step> = fc.oneof(
  ...acts.map(([weight, name, act]) => ({
    weight,
    arbitrary: fc.nat({ max: 11 }).map((n): Step => [act, n, name]),
  })),
);

/** What is not as it was asked last. */
function complaints(world: World): string[] {
  const found: string[] = [...world.lies];
  const { server, client } = world;
  if (world.open > 0) found.push(`${world.open} promises are still open`);
  const open = world.handles.filter(({ over }) => !over);
  for (const topic of TOPICS) {
    const wanted = open.some((handle) => handle.topic === topic);
    if (server.topics.includes(topic) !== wanted) found.push(`${topic}: wanted ${wanted}, server ${!wanted}`);
  }
  for (const { topic, heard, began } of open) {
    const last = heard.at(-1);
    if (last !== server.head(topic)) found.push(`${topic}: heard up to ${last} of ${server.head(topic)}`);
    heard.forEach((offset, i) => {
      const before = i === 0 ? began : heard[i - 1];
      if (offset !== (before as number) + 1) found.push(`${topic}: ${offset} after ${before}`);
    });
  }
  for (const [id, { wants }] of world.rooms) {
    const { status } = client.room(id).state.get();
    const isIn = server.topics.includes(`room:${id}`);
    if (isIn !== (status === 'joined')) found.push(`room ${id}: ${status}, server ${isIn}`);
    // A kick may have ended it, which its state then says.
    if (isIn !== wants && !(wants && status === 'removed')) found.push(`room ${id}: wanted ${wants}, server ${isIn}`);
  }
  const { watching } = client.rooms.status.get();
  const { name } = world.group;
  const lists = server.topics.filter((topic) => topic.startsWith('overview:'));
  if (lists.join() !== (watching ? `overview:${name}` : ''))
    found.push(`watched ${name} (${watching}), server ${lists.join()}`);
  const shown = client.rooms.list().map(({ id }) => id);
  if (watching && shown.join() !== `of-${name}`) found.push(`watched ${name}, shown ${shown.join()}`);
  for (const error of world.errors) if (!(error instanceof RoomwireError)) found.push(String(error));
  return found;
}

/** What there is to complain of in the end. */
async function play(steps: readonly Step[]): Promise<string[]> {
  const world = new World();
  try {
    for (const act of ['work', 'deliver'] as const) {
      await world.settle();
      world.server[act]();
    }
    for (const [act, n] of steps) {
      act(world, n);
      await new Promise(setImmediate);
    }
    await world.heal();
    return complaints(world);
  } finally {
    world.client.close();
  }
}

t.test('a room that a leave without an answer ended is not kept by a join that fails', async (t) => {
  const join = 'join 1, work 0, deliver 0, deliver 0';
  const ends = {
    'the removal came before the join': 'leave 1, work 0, deliver 0, cut 0, join 1',
    'the removal came after it': 'leave 1, join 1, work 0, deliver 0, cut 0',
    'the session was over': 'leave 1, cut 0, expire 0, time 0, time 2, work 0, deliver 0, cut 0, join 1',
  };
  for (const [name, end] of Object.entries(ends)) {
    const steps = `${join}, ${end}, time 3, time 3`.split(', ').map((text): Step => {
      const [verb = '', n] = text.split(' ');
      const act = acts.find(([, known]) => known === verb)?.[2];
      if (!act) throw new TypeError(`no such step: ${verb}`);
      return [act, Number(n), verb];
    });
    t.same(await play(steps), [], name);
  }
});

t.test('what was asked last is what there is in the end, and every promise tells the truth', async (t) => {
  const seed = environmentSeed();
  const property = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 120, size: 'max' }), async (steps) => {
    const found = await play(steps);
    if (found.length > 0)
      throw new Error(`${found.join('\n')}\n${steps.map(([, n, name]) => `${name} ${n}`).join(', ')}`);
  });
  const result = await fc.check(property, { seed, numRuns: Number(process.env['INTENT_RUNS'] ?? 200) });
  t.comment(`SEED=${seed}`);
  const { errorInstance } = result;
  t.equal(result.failed, false, errorInstance instanceof Error ? errorInstance.message : 'it did not fail');
});
