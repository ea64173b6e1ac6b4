/**
 * The real side of the model test: a server that can start again on the same store, SDK clients on lines of their own,
 * and all that these were told. Time stands still but for `pass`, and `quiet` waits until nothing moves any more.
 */
import type { WebSocket } from 'ws';
import { connect, type Client, type Value } from '../../../src/client/node.js';
import * as v from 'valibot';
import { decodeAll } from '../../../src/protocol/codec.js';
import { defineContract } from '../../../src/protocol/contract.js';
import { roomsContract } from '../../../src/protocol/rooms-contract.js';
import { rooms, type RoomsOptions } from '../../../src/rooms/rooms.js';
import { createServer } from '../../../src/server/server.js';
import { lmdbStore } from '../../../src/store/lmdb.js';
import { memoryStore } from '../../../src/store/memory.js';
import type { Store } from '../../../src/store/store.js';
import { FakeTimers } from '../../client/fake-timers.js';
import { ManualTime } from '../../support/manual-time.js';
import { collectingLog } from '../../support/server.js';
import { SECRET, tokenFor } from '../../support/tokens.js';
import type { EngineName, StoreName } from '../child.js';
import { suiteTransport } from '../../support/edge.js';
import type { Network } from './line.js';
import { clientNames, GRACE_MS, HISTORY, userOf } from './plan.js';
import { RealClient } from './real-client.js';
import { textOf } from './text.js';

const contract = defineContract({
  use: [roomsContract()],
  topics: {
    'room:{id}': { events: { said: { schema: v.unknown(), publish: 'subscribers' }, notice: v.unknown() } },
    'chat:{id}': { events: { said: { schema: v.unknown(), publish: 'subscribers' }, notice: v.unknown() } },
  },
});

export interface WorldOptions {
  readonly engine: EngineName;
  readonly store: StoreName;
  /** Where LMDB keeps its data. */
  readonly path: string;
  /** For the test of the test: a server or a network that does it wrong. */
  readonly rooms?: RoomsOptions | undefined;
  readonly tamper?: Network['tamper'];
}

const tokens = new Map(
  await Promise.all([...new Set(clientNames.map(userOf))].map(async (user) => [user, await tokenFor(user)] as const)),
);

/** What is not quiet by then never is. */
const PATIENCE_MS = 10_000;

export class World {
  readonly options: WorldOptions;
  readonly time = new ManualTime();
  readonly timers = new FakeTimers();
  readonly network: Network;
  readonly clients: readonly RealClient[];
  /** What no comparison would show. */
  readonly problems: string[] = [];
  server!: ReturnType<World['create']>;
  store!: Store;
  #instances = 0;

  static async start(options: WorldOptions): Promise<World> {
    const world = new World(options);
    await world.open();
    return world;
  }

  constructor(options: WorldOptions) {
    this.options = options;
    this.network = { port: 0, messages: 0, sockets: new Set(), tamper: options.tamper };
    this.clients = clientNames.map((name) => new RealClient(name, this.network, (client) => this.#connect(client)));
  }

  create(store: Store) {
    const log = collectingLog();
    const server = createServer({
      contract,
      plugins: [rooms(this.options.rooms)] as const,
      store,
      engine: this.options.engine,
      ...suiteTransport({ engine: this.options.engine, time: this.time }),
      auth: { secret: SECRET },
      time: this.time,
      log,
      // Silence is no fault here, and no limit is to be met.
      pingEvery: 24 * 3_600_000,
      limits: {
        graceMs: GRACE_MS,
        historyEvents: HISTORY,
        publishesPerSecond: 0,
        callsPerSecond: 0,
        joinsPerSecond: 0,
        entriesPerSecond: 0,
      },
    });
    return Object.assign(server, { errors: log.errors });
  }

  async open(): Promise<void> {
    const { store, path } = this.options;
    this.store = store === 'lmdb' ? lmdbStore({ path }) : memoryStore();
    this.server = this.create(this.store);
    this.network.port = (await this.server.listen({ port: 0 })).port;
  }

  async close(): Promise<void> {
    await this.server.close();
    for (const { message, fields } of this.server.errors) {
      this.problems.push(`the server logged: ${message} ${JSON.stringify(fields)}`);
    }
  }

  async stop(): Promise<void> {
    for (const { sdk, line } of this.clients) {
      line.cut();
      line.notice();
      sdk.close();
    }
    await this.server.close();
    for (const socket of this.network.sockets) socket.terminate();
  }

  pass(ms: number): Promise<void> {
    this.time.advance(ms);
    this.timers.advance(ms);
    return this.quiet();
  }

  /** Until nobody has anything to do before time goes on or the test does something. */
  async quiet(): Promise<void> {
    const began = performance.now();
    while (performance.now() - began < PATIENCE_MS) {
      const before = this.network.messages;
      // Backoffs are without length here.
      if ((this.timers.delays[0] ?? 1) <= 0) this.timers.advance(0);
      await this.#turn();
      await this.server.transact(() => undefined);
      await this.#turn();
      if (before === this.network.messages && this.#settled) return;
    }
    throw new Error('it never becomes quiet');
  }

  /** Everything that was sent before has arrived, both ways. */
  async #turn(): Promise<void> {
    await Promise.all([...this.network.sockets].map(arrived));
    await new Promise((resolve) => setImmediate(resolve));
  }

  get #settled(): boolean {
    if ((this.timers.delays[0] ?? 1) <= 0) return false;
    if (this.server.stats().connections !== this.network.sockets.size) return false;
    return this.clients.every(({ line, sdk }) => {
      const { status } = sdk.state.get();
      const impeded = !line.up || line.deaf || line.mute;
      return impeded || (status !== 'connecting' && status !== 'offline');
    });
  }

  /** The log of a topic after `from`, as the store has it. */
  async log(topic: string, from: number): Promise<{ epoch: string; head: number; texts: string[] }> {
    const { epoch = '', head = 0 } = (await this.store.topic(topic)) ?? {};
    const texts: string[] = [];
    let next = from + 1;
    while (next <= head) {
      const chunks = await this.store.read(topic, next, 1e6);
      for (const { first, frame } of chunks) {
        const items = (decodeAll(frame)[0] as Value[]).slice(3) as [string, Value, string | null][];
        items.forEach(([event, data], i) => {
          if (first + i === next) {
            texts.push(textOf(event, data));
            next++;
          }
        });
      }
      if (next <= head && chunks.length === 0) throw new Error(`${topic} lacks offset ${next} of ${head}`);
    }
    return { epoch, head, texts };
  }

  #connect(client: RealClient): Client {
    const { name, line } = client;
    return connect('ws://model.test', {
      WebSocket: line.WebSocket,
      token: tokens.get(userOf(name)) as string,
      instance: `${name} ${this.#instances++} ${world++}`,
      timers: this.timers,
      random: () => 0,
      callTimeoutMs: 100_000,
      onError: (error) => {
        // Of a subscription that waited when its client was closed.
        if ((error as Error).name !== 'disconnected') this.problems.push(`${name} reported ${String(error)}`);
      },
    });
  }
}

/** Connections of different tests are never shared. */
let world = 0;

/** WebSocket's own ping: what went before it has come, and roomwire knows nothing of it. */
function arrived(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState !== socket.OPEN) {
      // It opens or ends by itself; a turn of the loop is all that can be waited for.
      setImmediate(resolve);
      return;
    }
    const done = (): void => {
      socket.off('pong', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('pong', done);
    socket.on('close', done);
    socket.ping();
  });
}
