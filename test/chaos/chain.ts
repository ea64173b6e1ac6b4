/**
 * Publishers and subscribers (the real SDK), of plain topics and in rooms, through the fault proxy, against a server that
 * is killed and started again while they work. All that each of them was told is recorded, and judged. Ends when every
 * publish was answered and every subscriber stands at the last event: bounded by counts.
 */
import type { Client, LockInfo, Member, RoomwireError } from '../../src/client/node.js';
import { errors } from '../../src/protocol/codes.js';
import { freePort } from '../support/free-port.js';
import { tokenFor } from '../support/tokens.js';
import { check } from './checker.js';
import type { StoreName } from './child.js';
import { roomOf, type At, type EntryOf } from './history.js';
import { PythonClient } from './python-client.js';
import { codeOf } from './recorder.js';
import { PATIENCE_MS, Run, type RunOptions, type RunResult } from './run.js';
import { RoomView, View } from './view.js';
import { within } from './within.js';

export interface ChainOptions extends RunOptions {
  readonly store: StoreName;
  readonly topics: number;
  /** How many of the topics are rooms. */
  readonly rooms: number;
  /** Clients that only listen, each to every topic. Publishers listen to their own. */
  readonly subscribers: number;
  readonly publishers: number;
  /** By each publisher. */
  readonly events: number;
  /** Times that a subscriber leaves for good and another goes on from its position. */
  readonly leaves?: number;
  /** A Python with the socket client's packages: that client takes part, too; it hears all and publishes to the last topic. */
  readonly python?: string | undefined;
  /** Events a topic keeps. Default: all, so that no RESET is due unless the store forgets. */
  readonly historyEvents?: number;
}

const EVENT = 'message';
/** Publishes of one publisher that wait for their answers. */
const WINDOW = 32;
/** Refusals by a server that has forgotten the room. */
const NOT_THERE: ReadonlySet<string> = new Set(['not_subscribed', 'not_member', 'join_required', 'room_not_found']);

export const runChain = (options: ChainOptions): Promise<RunResult> => new Chain(options).result();

interface Writer {
  readonly client: Client;
  readonly topic: string;
  readonly name: string;
  readonly keyed: boolean;
}

class Chain extends Run<ChainOptions> {
  readonly #views: View[] = [];
  #answers = 0;
  #leaveAt: number[] = [];
  readonly #replacing = new Set<Promise<void>>();
  #python: PythonClient | undefined;
  readonly #listeners: { client: Client; views: View[]; name: string }[] = [];

  protected override async play(): Promise<void> {
    const { engine, store, path, topics, rooms, subscribers, publishers, events } = this.options;
    const { historyEvents = 10_000_000, restarts, leaves = 0 } = this.options;
    const port = await freePort();
    const link = this.options.edges === undefined ? undefined : await freePort();
    await this.startHost(() => ({
      ...(link === undefined ? {} : { link }),
      path,
      store,
      engine,
      port,
      limits: { historyEvents, historyBytes: 1024 ** 3, graceMs: 60_000, graceMaxMs: 120_000 },
      // Small, so that who was away is fed from the store.
      ringBytes: 256 * 1024,
    }));
    const writes = publishers * events;
    await this.expose(
      link ?? this.host.port,
      (writes / topics) * (subscribers * topics) + (writes * publishers) / topics,
    );

    const names = Array.from({ length: topics }, (_, i) => (i < rooms ? `room:${i}` : `chat:${i}`));
    for (let i = 0; i < subscribers; i++) {
      const name = `s${i}`;
      const views = names.map((topic) => this.#view(name, topic));
      this.#listeners.push({ client: await this.#listen(name, views), views, name });
    }
    const writers: Writer[] = [];
    for (let i = 0; i < publishers; i++) {
      const [name, topic] = [`p${i}`, names[i % topics] as string];
      // Some publish without keys: what they are not told of may have happened, once.
      writers.push({ client: await this.#listen(name, [this.#view(name, topic)]), topic, name, keyed: i % 4 !== 3 });
    }

    if (this.options.python !== undefined) {
      this.#python = new PythonClient({
        python: this.options.python,
        recorder: this.recorder,
        delivered: () => this.#delivered(),
        part: {
          url: `ws://127.0.0.1:${this.nextPort()}`,
          token: await tokenFor('py'),
          topics: names,
          // A plain topic: a room that the server forgot would refuse what is repeated.
          publish: { topic: names.at(-1) as string, event: EVENT, count: events, window: WINDOW },
        },
      });
    }

    const some = (count: number) => Array.from({ length: count }, () => this.random.below(writes * 0.9));
    this.restartsAt(some(restarts));
    this.#leaveAt = some(leaves).sort((a, b) => b - a);

    await Promise.all([...writers.map((writer) => this.#publishAll(writer)), this.#python?.published]);
    await this.restarting;
    await Promise.all(this.#replacing);
    this.proxy.calm();
    const heads = new Map<string, At>();
    await Promise.all(
      names.map(async (topic, i) => {
        const writer = writers.find((one) => one.topic === topic);
        if (writer === undefined) throw new Error(`nobody publishes to ${topic}`);
        heads.set(topic, await this.#publishLast(writer, `end-${i}`));
      }),
    );
    const behind = ({ at, topic }: Pick<View, 'at' | 'topic'>): boolean => {
      const [epoch, offset] = heads.get(topic) as At;
      return at?.[0] !== epoch || at[1] < offset;
    };
    // Whoever does not come so far is judged as it is.
    await within(PATIENCE_MS, () => ![...this.#views, ...(this.#python?.views ?? [])].some(behind)).catch(
      () => undefined,
    );
    for (const [topic, at] of heads) this.recorder.note({ kind: 'head', topic, at });
    if (this.host.crashed) this.recorder.problem('the server ended by itself');
    await this.#noteRooms(this.host.port);
  }

  protected override async end(): Promise<void> {
    await Promise.allSettled(this.#replacing);
    this.#python?.end();
    await super.end();
  }

  #view(name: string, topic: string): View {
    const Kind = topic.startsWith('room:') ? RoomView : View;
    const view = new Kind(name, topic, this.recorder, () => this.#delivered());
    this.#views.push(view);
    return view;
  }

  /** A new client that goes on where `views` stand. */
  async #listen(name: string, views: readonly View[]): Promise<Client> {
    const client = this.connect(name, { token: await tokenFor(name), grace: 120_000, maxMs: 100 });
    await Promise.all(views.map((view) => view.open(client)));
    return client;
  }

  /** In the end each member has the room as the server has it; what still changes then are leases that end. */
  async #noteRooms(port: number): Promise<void> {
    const views = this.#views.filter((view) => view instanceof RoomView);
    if (views.length === 0) return;
    const headers = { authorization: `Bearer ${await tokenFor((views[0] as View).who)}` };
    const ask = async <T>(path: string): Promise<T> => {
      const response = await fetch(`http://127.0.0.1:${port}/api/rooms/${path}`, { headers });
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as T;
    };
    const look = async (room: string): Promise<EntryOf<'room'>[]> => {
      const { room: metadata, memberCount, holders } = await ask<Snapshot>(room);
      const { members } = await ask<{ members: readonly Member[] }>(`${room}/members`);
      const { presenter, host } = holders;
      const locks = Object.fromEntries(holders.locks.map((lock) => [lock.target, lock]));
      const truth = { status: 'joined', metadata, members, memberCount, complete: true, locks, presenter, host };
      const shown = views.filter((view) => roomOf(view.topic) === room);
      const python = this.#python;
      return [
        { kind: 'room', who: null, room, state: plain(truth) },
        ...shown.map(({ who, room: seen }) => ({ kind: 'room' as const, who, room, state: plain(seen?.state.get()) })),
        ...(python ? [{ kind: 'room' as const, who: python.who, room, state: await python.state(room) }] : []),
      ];
    };
    const deadline = performance.now() + PATIENCE_MS / 3;
    let found: EntryOf<'room'>[];
    do found = (await Promise.all([...new Set(views.map(({ topic }) => roomOf(topic)))].map(look))).flat();
    while (check(found).findings.length > 0 && performance.now() < deadline);
    for (const entry of found) this.recorder.note(entry);
  }

  async #publishAll({ client, topic, name, keyed }: Writer): Promise<void> {
    const { events, store } = this.options;
    const stream = streamOf(client, topic);
    let next = 0;
    const publish = async (): Promise<void> => {
      while (next < events && !this.isOver) {
        const seq = next++;
        const options = { key: keyed ? `${name}-${seq}` : undefined, timeoutMs: PATIENCE_MS };
        try {
          await this.recorder.publish(name, stream, EVENT, { w: name, s: seq }, options);
        } catch (error) {
          const code = codeOf(error);
          // A server that stops in order takes nothing new: that is refused, and was not done.
          const isStopping = code === errors.draining;
          const isGone = store !== 'lmdb' && topic.startsWith('room:') && NOT_THERE.has((error as RoomwireError).name);
          if (!isGone && !isStopping && (keyed || code !== errors.disconnected)) {
            this.recorder.problem(`${name}#${seq} was refused: ${String(error)}`);
          }
        }
        this.#answered();
        // Changes of the room between the events, of its metadata too.
        if (seq % 50 === 49 && topic.startsWith('room:')) await this.#change(client, topic);
        await this.did();
      }
    };
    await Promise.all(Array.from({ length: WINDOW }, publish));
  }

  /** When all else is answered; where it stands. */
  async #publishLast({ client, topic, name }: Writer, key: string): Promise<At> {
    const options = { key, timeoutMs: PATIENCE_MS };
    const publish = () => this.recorder.publish(name, streamOf(client, topic), EVENT, { w: name, s: key }, options);
    const { epoch, offset } = await publish().catch(async (error: unknown) => {
      // It had nothing more to say when the server forgot the room: it is joining it again.
      if (!NOT_THERE.has((error as RoomwireError).name)) throw error;
      await within(PATIENCE_MS, () => client.room(roomOf(topic)).state.get().status === 'joined');
      return publish();
    });
    return [epoch, offset];
  }

  /** Whether it comes about is left to the faults; the room says so in any case. */
  async #change(client: Client, topic: string): Promise<void> {
    const room = client.room(roomOf(topic));
    try {
      if (this.random.chance(0.5)) {
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
    this.restartAt(++this.#answers);
    if (this.#answers > (this.#leaveAt.at(-1) ?? Infinity)) {
      this.#leaveAt.pop();
      const replacing = this.#replace().finally(() => this.#replacing.delete(replacing));
      this.#replacing.add(replacing);
    }
  }

  #delivered(): void {
    const { heard } = this.recorder;
    this.strikeAt(heard);
    if (heard % 100_000 > 0) return;
    this.options.progress?.(`${heard} deliveries, ${this.#answers} answers, ${this.restarts} kills`);
  }

  protected override async restart(): Promise<void> {
    this.recorder.note({ kind: 'server', forgets: this.options.store !== 'lmdb' });
    await super.restart();
  }

  /** A subscriber says goodbye; a new client goes on from where it stood. */
  async #replace(): Promise<void> {
    const listener = this.#listeners[this.random.below(this.#listeners.length)];
    if (listener === undefined) return;
    const { client, views, name } = listener;
    for (const view of views) view.leave();
    this.recorder.close(client);
    try {
      listener.client = await this.#listen(name, views);
    } catch (error) {
      this.recorder.problem(`${name} cannot come back: ${String(error)}`);
    }
  }
}

interface Snapshot {
  readonly room: object;
  readonly memberCount: number;
  readonly holders: {
    readonly locks: readonly LockInfo[];
    readonly presenter: object | null;
    readonly host: object | null;
  };
}

/** Objects of a decoder have no prototype. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value ?? {})) as Record<string, unknown>;

function streamOf(client: Client, topic: string) {
  return topic.startsWith('room:') ? client.room(roomOf(topic)) : client.listen(topic);
}
