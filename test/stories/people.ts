/**
 * People with the SDK, each behind a fault proxy and with a clock of their own, on a server whose clock the test moves:
 * hours of sleep and minutes of silence pass in milliseconds. Each writes down all it hears.
 */
import * as v from 'valibot';
import { WebSocket } from 'ws';
import { connect, type Client, type ConnectOptions, type Room, type Subscription } from '../../src/client/node.js';
import { decodeAll } from '../../src/protocol/codec.js';
import { defineContract } from '../../src/protocol/contract.js';
import { Op } from '../../src/protocol/frames.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { rooms } from '../../src/rooms/rooms.js';
import type { Limits } from '../../src/protocol/limits.js';
import type { Store } from '../../src/store/store.js';
import { FaultProxy } from '../chaos/fault-proxy.js';
import { FakeTimers } from '../client/fake-timers.js';
import { random } from '../random.js';
import { ManualTime } from '../support/manual-time.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

export const contract = defineContract({
  use: [roomsContract()],
  topics: {
    'chat:{id}': { events: { message: { schema: v.unknown(), publish: 'subscribers' } } },
    'room:{id}': { events: { message: { schema: v.unknown(), publish: 'subscribers' } } },
  },
  calls: { echo: { input: v.unknown() } },
});

export const ROOM = 'den';
export const TOPICS = ['chat:1', 'chat:2', `room:${ROOM}`] as const;

export class Person {
  readonly name: string;
  readonly timers = new FakeTimers();
  readonly proxy: FaultProxy;
  readonly client: Client;
  readonly room: Room;
  /** By topic: what was sent there, and `reset`. */
  readonly heard: Record<string, unknown[]> = {};
  /** What it was shown of others' coming and going. */
  readonly shown: string[] = [];
  readonly problems: unknown[] = [];
  /** Opcodes it sent on its present connection, but for signs of life. */
  asked: number[] = [];
  connections = 0;
  readonly #subscriptions: Subscription[];

  constructor(name: string, proxy: FaultProxy, options: ConnectOptions) {
    this.name = name;
    this.proxy = proxy;
    const noteSent = (bytes: Uint8Array): void => {
      for (const [op] of decodeAll(new Uint8Array(bytes))) {
        if (op !== Op.PING && op !== Op.PONG) this.asked.push(op as number);
      }
    };
    const opened = (): void => {
      this.connections++;
      this.asked = [];
    };
    this.client = connect(`ws://127.0.0.1:${proxy.port}`, {
      WebSocket: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          super(url, protocols);
          opened();
        }
        override send(bytes: Uint8Array): void {
          noteSent(bytes);
          super.send(bytes);
        }
      },
      instance: name,
      timers: this.timers,
      // Every backoff is over at once.
      random: () => 0,
      onError: (error) => this.problems.push(error),
      ...options,
    });
    this.room = this.client.room(ROOM);
    this.#subscriptions = TOPICS.slice(0, 2).map((topic) => this.client.subscribe(topic));
    for (const stream of [...this.#subscriptions, this.room]) {
      const heard: unknown[] = (this.heard[stream.topic] = []);
      stream.on('message', (data: unknown) => heard.push(data));
      stream.on('reset', () => heard.push('reset'));
      stream.on('removed', ({ code }) => heard.push(`removed ${code}`));
    }
    for (const event of ['member:left', 'member:joined', 'member:online', 'host:update']) {
      this.room.on(event, (data) => {
        const { userId, member, host } = data as Record<string, { userId: string } | string | undefined>;
        const who = userId ?? member ?? host;
        this.shown.push(`${event} ${typeof who === 'string' ? who : who?.userId}`);
      });
    }
  }

  get live(): boolean {
    return this.client.state.get().status === 'live';
  }

  /** Its room's state, but for the ends of leases: a renewal is not told. */
  get knows(): unknown {
    const { locks, ...state } = this.room.state.get();
    const holders = Object.values(locks).map(({ expiresAt: _end, ...lock }) => lock);
    return { ...state, locks: holders };
  }

  async settleIn(): Promise<void> {
    await Promise.all([...this.#subscriptions.map(({ ready }) => ready), this.room.join({ create: true })]);
  }

  /** What has been sent before has come when it resolves. */
  async barrier(): Promise<void> {
    await this.client.call('echo', null, { timeoutMs: 1e9 });
  }

  /** Has come back by itself; its clock stands still but for what is due now. */
  async back(condition: () => boolean = () => this.live): Promise<void> {
    await until(() => {
      this.timers.advance(0);
      return condition();
    });
  }
}

export interface TownOptions {
  readonly limits?: Partial<Limits>;
  readonly store?: Store;
  readonly time?: ManualTime;
}

export async function town(t: Test, { limits, store, time = new ManualTime() }: TownOptions = {}) {
  const s = await startServer(t, {
    contract,
    plugins: [rooms()] as const,
    auth: { secret: SECRET },
    time,
    ...(limits === undefined ? {} : { limits }),
    ...(store === undefined ? {} : { store }),
  });
  s.server.handle('echo', ({ input }) => input);
  const people: Person[] = [];
  let count = 0;
  return {
    ...s,
    time,
    people,
    async person(name: string, options: ConnectOptions = {}): Promise<Person> {
      const proxy = await FaultProxy.start({ target: s.port, random: random(1) });
      const person = new Person(name, proxy, { token: await tokenFor(name), ...options });
      t.teardown(async () => {
        person.client.close();
        await proxy.close();
      });
      people.push(person);
      await person.settleIn();
      for (const other of people) {
        if (other !== person) await other.barrier();
        other.shown.length = 0;
      }
      return person;
    },
    sessionOf(person: Person) {
      return s.server.session(person.client.state.get().sid as string);
    },
    /** One event in each topic; what they carry counts up. */
    async tell(): Promise<number> {
      count++;
      await Promise.all(TOPICS.map((topic) => s.server.publish(topic as 'chat:1', 'message', count)));
      return count;
    },
    /** Time for the server and for those named, who answer what they are asked meanwhile. */
    async pass(ms: number, ...awake: readonly Person[]): Promise<void> {
      for (let left = ms; left > 0; left -= 5_000) {
        const step = Math.min(left, 5_000);
        time.advance(step);
        for (const { timers } of awake) timers.advance(step);
        await Promise.all(awake.map((person) => person.barrier()));
      }
    },
  };
}

export function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
