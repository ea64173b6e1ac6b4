/** Clients that wait for the next hub: what they may hold is bounded, the door counts them, and the hub gets them whole. */
import t from 'tap';
import { WaitingClients, type Client } from '../../src/link/waiting.js';
import { Doorkeeper } from '../../src/server/gate/doorkeeper.js';
import type { Socket, SocketEvents } from '../../src/server/transport/transport.js';
import { until } from '../support/until.js';

const info = { address: '127.0.0.1' } as Client['info'];

function waiters(connectionsPerAddress = 0) {
  const door = new Doorkeeper({ connectionsPerAddress }, () => 0);
  const timers: (() => void)[] = [];
  const clients = new WaitingClients((_, fn) => void timers.push(fn));
  let cut = 0;
  const add = (address = '192.0.2.1'): SocketEvents => {
    let events: SocketEvents | undefined = undefined;
    const socket = {
      terminate: () => {
        cut++;
        events?.closed(1006, '');
      },
    } as unknown as Socket;
    return (events = clients.add({ socket, info, address, door }, 8_000));
  };
  return { door, timers, clients, add, cut: () => cut };
}

/** What one hears of a client. */
function listener() {
  const heard: string[] = [];
  const events: SocketEvents = {
    message: (bytes, binary) => void heard.push(`${binary ? 'binary' : 'text'} ${Buffer.from(bytes).toString()}`),
    drained: () => void heard.push('drained'),
    closed: (code) => void heard.push(`closed ${code}`),
  };
  return { heard, events };
}

t.test('the hub that comes hears what was said, once and in order, and all that follows', async (t) => {
  const { clients, add } = waiters();
  const client = add();
  const buffer = Buffer.from('first');
  client.message(buffer, true);
  buffer.fill('x'); // As an engine does.
  client.message(Buffer.from('second'), false);
  const { heard, events } = listener();
  clients.go(() => undefined);
  t.same(heard, [], 'that hub was gone again');
  clients.go(() => events);
  client.message(Buffer.from('third'), true);
  client.drained();
  client.closed(1000, '');
  clients.go(() => t.fail('it waits no more') as never);
  t.same(heard, ['binary first', 'text second', 'binary third', 'drained', 'closed 1000']);
});

t.test('one that waits is a connection of its address', async (t) => {
  const { door, clients, add, timers } = waiters(2);
  const [first] = [add(), add()];
  t.match(door.refuses('192.0.2.1'), { limit: /address/i });
  t.equal(door.refuses('192.0.2.2'), undefined);
  first?.closed(1006, '');
  t.equal(door.refuses('192.0.2.1'), undefined, 'one has gone');
  clients.go(() => listener().events);
  add();
  t.equal(door.refuses('192.0.2.1'), undefined, 'the hub counts the other');
  for (const fire of timers) fire();
  add();
  t.equal(door.refuses('192.0.2.1'), undefined, 'no hub came for the third');
});

t.test('what each may say is bounded, and what all of them may', async (t) => {
  const { clients, add, cut } = waiters();
  const loud = add();
  loud.message(Buffer.alloc(64 * 1024), true);
  t.equal(cut(), 0);
  loud.message(Buffer.alloc(1), true);
  t.equal(cut(), 1, 'more than a HELLO may be');
  const most = 1_024;
  for (let i = 0; i < most; i++) add().message(Buffer.alloc(64 * 1024), true);
  t.equal(cut(), 1);
  add().message(Buffer.alloc(1), true);
  t.equal(cut(), 2, 'more than all may');
  let gone = 0;
  clients.go(() => ({ ...listener().events, message: () => void gone++ }));
  await until(() => gone === most);
  add().message(Buffer.alloc(64 * 1024), true);
  t.equal(cut(), 2, 'there is room again');
});
