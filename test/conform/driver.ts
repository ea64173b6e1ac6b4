/** Drives the SDK for `roomwire conform client`: commands in as JSON lines, what the client saw out. */
import { createInterface } from 'node:readline';
import { connect, type RoomwireError, type Client, type Room } from '../../src/client/node.js';

interface Command {
  readonly id: number;
  readonly do: string;
  readonly [key: string]: unknown;
}

const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
let client: Client;
let token = '';

function hear(topic: string, stream: Pick<Room, 'on'>): void {
  stream.on('*', (data, { event, offset, from }) => {
    if (event === 'note') say({ saw: 'event', topic, data, offset, from });
  });
  stream.on('reset', () => say({ saw: 'reset', topic }));
  stream.on('removed', ({ code }) => say({ saw: 'removed', topic, code }));
}

const heard = new Set<string>();
const rooms: Room[] = [];
function roomOf(id: string): Room {
  const room = client.room(id);
  if (!heard.has(id)) {
    heard.add(id);
    rooms.push(room);
    hear(room.topic, room);
  }
  return room;
}

const commands: Readonly<Record<string, (command: Command) => unknown>> = {
  connect({ url, token: first, backoffMs }) {
    token = first as string;
    client = connect(url as string, {
      token: () => token,
      backoff: { baseMs: backoffMs as number },
      onError: () => undefined,
    });
    client.state.subscribe(({ status, reason }) => say({ saw: 'status', status, code: reason?.code }));
  },
  token: ({ token: next }) => void (token = next as string),
  subscribe({ topic }) {
    const subscription = client.subscribe(topic as string);
    hear(topic as string, subscription);
    return subscription.ready;
  },
  async join({ room, create }) {
    await roomOf(room as string).join(create === undefined ? {} : { create: create as boolean });
  },
  state({ room }) {
    const { status, members, host } = roomOf(room as string).state.get();
    return { status, members: members.map(({ userId }) => userId), host: host?.userId ?? null };
  },
  call: ({ name, data, key }) => client.call(name as string, data, key === undefined ? {} : { key: key as string }),
  handle: ({ name }) => void client.handle(name as string, (input) => input),
  async lock({ room, target, ttl }) {
    const lock = await roomOf(room as string).lock(target as string, { ttl: ttl as number });
    lock.signal.addEventListener('abort', () => say({ saw: 'lost', target }));
  },
};

createInterface(process.stdin).on('line', (text) => {
  const command = JSON.parse(text) as Command;
  void (async () => {
    try {
      say({ id: command.id, ok: (await commands[command.do]?.(command)) ?? null });
    } catch (error) {
      const { code, details } = error as RoomwireError;
      say({ id: command.id, error: { code, details } });
    }
  })();
});
