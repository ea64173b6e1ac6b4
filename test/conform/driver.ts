/** Drives the SDK for `roomwire conform client`: commands in as JSON lines, what the client saw out. */
import { createInterface } from 'node:readline';
import {
  connect,
  type Client,
  type Member,
  type Room,
  type RoomwireError,
  type Subscription,
} from '../../src/client/node.js';

interface Command {
  readonly id: number;
  readonly do: string;
  readonly url: string;
  readonly token: string;
  readonly backoffMs: number;
  readonly pingTimeoutMs?: number;
  readonly value: number;
  readonly topic: string;
  readonly event: string;
  readonly slot: string;
  readonly room: string;
  readonly create?: boolean;
  readonly action: 'take' | 'release' | 'give';
  readonly sid: string;
  readonly name: string;
  readonly data: unknown;
  readonly key?: string;
  readonly target: string;
  readonly ttl: number;
  readonly wait?: number;
  readonly timeoutMs?: number;
}

const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
let client: Client;
let token = '';
let random = Math.random;

function hear(topic: string, stream: Pick<Room, 'on'>): void {
  stream.on('*', (data, { event, offset, from }) => {
    if (event === 'note') say({ saw: 'event', topic, data, offset, from });
  });
  stream.on('reset', () => say({ saw: 'reset', topic }));
  stream.on('removed', ({ code }) => say({ saw: 'removed', topic, code }));
}

const rooms = new Map<string, Room>();
function roomOf(id: string): Room {
  let room = rooms.get(id);
  if (!room) {
    rooms.set(id, (room = client.room(id)));
    hear(room.topic, room);
  }
  return room;
}

const subscriptions = new Map<string, Subscription>();
/** Calls of the server that wait for `finish`, by name. */
const unfinished = new Map<string, (() => void)[]>();

const commands: Readonly<Record<string, (command: Command) => unknown>> = {
  connect({ url, token: first, backoffMs, pingTimeoutMs }) {
    token = first;
    client = connect(url, {
      token: () => token,
      backoff: { baseMs: backoffMs },
      pingTimeout: pingTimeoutMs,
      random: () => random(),
      onError: () => undefined,
    });
    client.state.subscribe(({ status, reason }) => say({ saw: 'status', status, code: reason?.code }));
  },
  random: ({ value }) => void (random = () => value),
  token: ({ token: next }) => void (token = next),
  subscribe({ topic }) {
    const subscription = client.subscribe(topic);
    subscriptions.set(topic, subscription);
    hear(topic, subscription);
    return subscription.ready;
  },
  unsubscribe: ({ topic }) => subscriptions.get(topic)?.unsubscribe(),
  publish: ({ topic, event, data, key }) => client.publish(topic, event, data, { key }),
  volatile: ({ topic, event, slot, data }) => client.volatile(topic, event, slot, data),
  async join({ room, create }) {
    await roomOf(room).join({ create });
  },
  leave: ({ room }) => roomOf(room).leave(),
  state({ room }) {
    const { status, members, memberCount, complete, presenter, host } = roomOf(room).state.get();
    return {
      status,
      members: members.map(({ userId }) => userId),
      memberCount,
      complete,
      presenter: presenter?.sid ?? null,
      host: host?.userId ?? null,
    };
  },
  async members({ room: roomId }) {
    const all: string[] = [];
    for (let after: string | null | undefined; after !== null;) {
      const page = (await client.call('room:members', { roomId, ...(after === undefined ? {} : { after }) })) as {
        readonly members: readonly Member[];
        readonly next: string | null;
      };
      all.push(...page.members.map(({ userId }) => userId));
      after = page.next;
    }
    return all;
  },
  async presenter({ room, action, sid }) {
    const { presenter } = roomOf(room);
    await (action === 'give' ? presenter.give(sid) : presenter[action]());
  },
  watch: () => client.rooms.watch(),
  unwatch: () => client.rooms.unwatch(),
  rooms: () => ({
    watching: client.rooms.status.get().watching,
    rooms: client.rooms.list().map(({ id, version }) => ({ id, version })),
  }),
  call: ({ name, data, key }) => client.call(name, data, { key }),
  handle: ({ name }) => void client.handle(name, (input) => input),
  'handle-badly': ({ name }) =>
    void client.handle(name, (input) => {
      throw new Error(String(input));
    }),
  'handle-later'({ name }) {
    const waiting: (() => void)[] = [];
    unfinished.set(name, waiting);
    client.handle(name, (input) => new Promise((resolve) => waiting.push(() => resolve(input))));
  },
  finish: ({ name }) => unfinished.get(name)?.forEach((answer) => answer()),
  async lock({ room, target, ttl, wait, timeoutMs }) {
    const lock = await roomOf(room).lock(target, { ttl, wait, timeoutMs });
    lock.signal.addEventListener('abort', () => say({ saw: 'lost', target }));
  },
};

createInterface(process.stdin).on('line', (text) => {
  const command = JSON.parse(text) as Command;
  const { id } = command;
  const run = commands[command.do];
  if (!run) return say({ id, lacks: true });
  void (async () => {
    try {
      say({ id, ok: (await run(command)) ?? null });
    } catch (error) {
      const { code, details } = error as RoomwireError;
      say({ id, error: { code, details } });
    }
  })();
});
