/**
 * Publishers and subscribers (the real SDK), of plain topics and in rooms, through the fault proxy, against a server that
 * is killed and started again while they work. All that each of them was told is recorded; history.ts judges it, and
 * room-truth.ts the rooms. Ends when every publish was answered and every subscriber stands at the last event: bounded
 * by counts.
 */
import { WebSocket } from 'ws';
import { connect, type Client, type RoomwireError } from '../../src/client/node.js';
import { random as seeded, type Random } from '../random.js';
import { tokenFor } from '../support/tokens.js';
import { Child, fixedPort, type EngineName, type StoreName } from './child.js';
import { FaultProxy, type Did } from './fault-proxy.js';
import { checkDelivery, type At, type DeliveryVerdict, type Write } from './history.js';
import { comings, differences } from './room-truth.js';
import { EVENT, RoomView, View, type Payload, type ViewHooks } from './view.js';
import { within } from './within.js';

export interface ChainOptions {
  readonly seed: number;
  readonly engine: EngineName;
  readonly store: StoreName;
  /** Where LMDB keeps its data. */
  readonly path: string;
  readonly topics: number;
  /** How many of the topics are rooms. */
  readonly rooms: number;
  /** Clients that only listen, each to every topic. Publishers listen to their own. */
  readonly subscribers: number;
  readonly publishers: number;
  /** By each publisher. */
  readonly events: number;
  readonly kills: number;
  /** Faults of connections, spread over the run. */
  readonly strikes: number;
  /** Times that a subscriber leaves for good and another goes on from its position. */
  readonly leaves?: number;
  /** Events a topic keeps. Default: all, so that no RESET is due unless the store forgets. */
  readonly historyEvents?: number;
  readonly progress?: (line: string) => void;
}

export interface ChainResult extends DeliveryVerdict {
  readonly seed: number;
  readonly did: Did;
  readonly kills: number;
  readonly seconds: number;
}

/** Publishes of one publisher that wait for their answers. */
const WINDOW = 32;
/** Longer than any fault: nothing but a loss makes a wait this long. */
const PATIENCE_MS = 60_000;
/** Refusals by a server that has forgotten the room. */
const NOT_THERE: ReadonlySet<string> = new Set(['not_subscribed', 'not_member', 'join_required', 'room_not_found']);

export async function runChain(options: ChainOptions): Promise<ChainResult> {
  const chain = new Chain(options);
  try {
    return await chain.run();
  } finally {
    await chain.stop();
  }
}

interface Writer {
  readonly client: Client;
  readonly topic: string;
  readonly name: string;
  readonly keyed: boolean;
}

class Chain {
  readonly #options: ChainOptions;
  readonly #random: Random;
  readonly #clients = new Set<Client>();
  readonly #views: View[] = [];
  readonly #writes: Write[] = [];
  /** What no history shows: a client that gave up, a subscription that ended. */
  readonly #problems: string[] = [];
  #child!: Child;
  #proxy!: FaultProxy;
  #instance = 0;
  #acks = 0;
  #deliveries = 0;
  #killing: Promise<void> | undefined;
  #kills = 0;
  readonly #killAt: number[] = [];
  readonly #leaveAt: number[] = [];
  readonly #replacing = new Set<Promise<void>>();
  #strikeEvery = Infinity;
  readonly #listeners: { client: Client; views: View[]; name: string }[] = [];

  constructor(options: ChainOptions) {
    this.#options = options;
    this.#random = seeded(options.seed);
  }

  async run(): Promise<ChainResult> {
    const {
      seed,
      engine,
      store,
      path,
      topics,
      rooms,
      subscribers,
      publishers,
      events,
      kills,
      strikes,
      leaves = 0,
    } = this.#options;
    const { historyEvents = 10_000_000 } = this.#options;
    const began = performance.now();
    const port = await fixedPort(this.#random);
    this.#child = new Child({
      path,
      store,
      engine,
      port,
      limits: { historyEvents, historyBytes: 1024 ** 3, graceMs: 60_000, graceMaxMs: 120_000 },
      // Small, so that who was away is fed from the store.
      ringBytes: 256 * 1024,
    });
    await this.#child.start();
    this.#proxy = await FaultProxy.start({ target: port, random: this.#random });

    const names = Array.from({ length: topics }, (_, i) => (i < rooms ? `room:${i}` : `chat:${i}`));
    const hooks: ViewHooks = {
      delivered: () => this.#delivered(),
      problem: (text) => this.#problems.push(text),
      forgets: store !== 'lmdb',
    };
    for (let i = 0; i < subscribers; i++) {
      const name = `s${i}`;
      const views = names.map((topic) => View.of(name, topic, hooks));
      this.#views.push(...views);
      this.#listeners.push({ client: await this.#listen(name, views), views, name });
    }
    const writers: Writer[] = [];
    for (let i = 0; i < publishers; i++) {
      const [name, topic] = [`p${i}`, names[i % topics] as string];
      const view = View.of(name, topic, hooks);
      this.#views.push(view);
      // Some publish without keys: what they are not told of may have happened, once.
      writers.push({ client: await this.#listen(name, [view]), topic, name, keyed: i % 4 !== 3 });
    }

    const writes = publishers * events;
    const expected = (writes / topics) * (subscribers * topics) + (writes * publishers) / topics;
    this.#strikeEvery = Math.max(1, Math.floor(expected / (strikes + 1)));
    for (let i = 0; i < kills; i++) this.#killAt.push(this.#random.below(writes * 0.9));
    for (let i = 0; i < leaves; i++) this.#leaveAt.push(this.#random.below(writes * 0.9));
    for (const list of [this.#killAt, this.#leaveAt]) list.sort((a, b) => b - a);

    await Promise.all(writers.map((writer) => this.#publishAll(writer)));
    await this.#killing;
    await Promise.all(this.#replacing);
    this.#proxy.calm();
    const heads: Record<string, At> = {};
    await Promise.all(
      names.map(async (topic, i) => {
        const { client } = writers.find((writer) => writer.topic === topic) ?? {};
        if (client === undefined) throw new Error(`nobody publishes to ${topic}`);
        const options = { key: `end-${i}`, timeoutMs: PATIENCE_MS };
        const publish = () => streamOf(client, topic).publish(EVENT, { w: 'end', s: 0 }, options);
        const { epoch, offset } = await publish().catch(async (error: unknown) => {
          // It had nothing more to say when the server forgot the room: it is joining it again.
          if (!NOT_THERE.has((error as RoomwireError).name)) throw error;
          await within(PATIENCE_MS, () => client.room(topic.slice('room:'.length)).state.get().status === 'joined');
          return publish();
        });
        heads[topic] = [epoch, offset];
        this.#writes.push({ topic, writer: 'end', seq: 0, ack: [epoch, offset] });
      }),
    );
    const behind = (): View[] =>
      this.#views.filter(({ at, record }) => {
        const [epoch, offset] = heads[record.topic] as At;
        return at?.[0] !== epoch || at[1] < offset;
      });
    // Whoever does not come so far is judged as it is.
    await within(PATIENCE_MS, () => behind().length === 0).catch(() => undefined);
    if (this.#child.crashed) this.#problems.push('the server ended by itself');

    await this.#checkRooms(port);

    const verdict = checkDelivery({
      writes: this.#writes,
      subscribers: this.#views.map(({ record }) => record),
      heads,
      forgets: store !== 'lmdb',
    });
    return {
      ...verdict,
      complaints: [...this.#problems, ...verdict.complaints],
      complaintCount: verdict.complaintCount + this.#problems.length,
      seed,
      did: this.#proxy.did,
      kills: this.#kills,
      seconds: (performance.now() - began) / 1000,
    };
  }

  async stop(): Promise<void> {
    await Promise.allSettled([this.#killing, ...this.#replacing]);
    for (const client of this.#clients) client.close();
    await this.#proxy?.close();
    await this.#child?.kill();
  }

  async #connect(name: string): Promise<Client> {
    const token = await tokenFor(name);
    const client = connect(`ws://127.0.0.1:${this.#proxy.port}`, {
      WebSocket,
      token: () => token,
      instance: `${name}-${this.#instance++}`,
      grace: 120_000,
      callTimeoutMs: PATIENCE_MS,
      backoff: { baseMs: 5, maxMs: 100 },
      random: () => this.#random.next(),
      onError: (error) => this.#problems.push(`${name}: ${String(error)}`),
    });
    this.#clients.add(client);
    client.state.subscribe(({ status, reason }) => {
      if (status === 'refused') this.#problems.push(`${name} was refused for good: ${reason?.code} ${reason?.message}`);
    });
    return client;
  }

  /** A new client that goes on where `views` stand. */
  async #listen(name: string, views: readonly View[]): Promise<Client> {
    const client = await this.#connect(name);
    await Promise.all(views.map((view) => view.open(client)));
    return client;
  }

  /** In the end each member has the room as the server has it; what still changes then are leases that end. */
  async #checkRooms(port: number): Promise<void> {
    const views = this.#views.filter((view) => view instanceof RoomView);
    if (views.length === 0) return;
    const token = await tokenFor(views[0]?.record.name as string);
    const deadline = performance.now() + PATIENCE_MS / 3;
    let found: string[];
    do found = await differences(views, `http://127.0.0.1:${port}`, token);
    while (found.length > 0 && performance.now() < deadline);
    this.#problems.push(...found, ...comings(views));
  }

  async #publishAll(writer: Writer): Promise<void> {
    const { client, topic, name, keyed } = writer;
    const { events, store } = this.#options;
    const stream = streamOf(client, topic);
    let next = 0;
    const publish = async (): Promise<void> => {
      while (next < events) {
        const seq = next++;
        const key = keyed ? `${name}-${seq}` : undefined;
        const payload: Payload = { w: name, s: seq };
        let ack: At | undefined;
        try {
          const { epoch, offset } = await stream.publish(EVENT, payload, { key, timeoutMs: PATIENCE_MS });
          ack = [epoch, offset];
        } catch (error) {
          const { name: code } = error as RoomwireError;
          const isGone = store !== 'lmdb' && topic.startsWith('room:') && NOT_THERE.has(code);
          if (!isGone && (keyed || code !== 'disconnected')) {
            this.#problems.push(`${name}#${seq} was refused: ${String(error)}`);
          }
        }
        this.#writes.push({ topic, writer: name, seq, ack });
        this.#answered();
        // Changes of the room between the events, of its metadata too.
        if (seq % 50 === 49 && topic.startsWith('room:')) await this.#change(client, topic);
      }
    };
    await Promise.all(Array.from({ length: WINDOW }, publish));
  }

  /** Whether it comes about is left to the faults; the room says so in any case. */
  async #change(client: Client, topic: string): Promise<void> {
    const room = client.room(topic.slice('room:'.length));
    try {
      if (this.#random.chance(0.5)) {
        await room.presenter.take();
        await room.presenter.release();
      } else {
        await room.withLock('trajectory:meta', { ttl: 2_000, wait: 100, msg: 'mine' }, (lock) => lock.message('still'));
      }
    } catch {
      // Held by another, cut, or lost with the server.
    }
  }

  #answered(): void {
    this.#acks++;
    if (this.#killing === undefined && this.#acks > (this.#killAt.at(-1) ?? Infinity)) {
      this.#killAt.pop();
      this.#killing = this.#restart().finally(() => (this.#killing = undefined));
      this.#killing.catch((error: unknown) => this.#problems.push(String(error)));
    }
    if (this.#acks > (this.#leaveAt.at(-1) ?? Infinity)) {
      this.#leaveAt.pop();
      const replacing = this.#replace().finally(() => this.#replacing.delete(replacing));
      this.#replacing.add(replacing);
    }
  }

  #delivered(): void {
    this.#deliveries++;
    if (this.#deliveries % this.#strikeEvery === 0) this.#proxy.strike();
    if (this.#deliveries % 100_000 === 0) {
      this.#options.progress?.(`${this.#deliveries} deliveries, ${this.#acks} answers, ${this.#kills} kills`);
    }
  }

  async #restart(): Promise<void> {
    this.#kills++;
    await this.#child.kill();
    await this.#child.start();
  }

  /** A subscriber says goodbye; a new client goes on from where it stood. */
  async #replace(): Promise<void> {
    const listener = this.#listeners[this.#random.below(this.#listeners.length)];
    if (listener === undefined) return;
    const { client, views, name } = listener;
    for (const view of views) view.leave();
    client.close();
    this.#clients.delete(client);
    try {
      listener.client = await this.#listen(name, views);
    } catch (error) {
      this.#problems.push(`${name} cannot come back: ${String(error)}`);
    }
  }
}

function streamOf(client: Client, topic: string) {
  return topic.startsWith('room:') ? client.room(topic.slice('room:'.length)) : client.listen(topic);
}
