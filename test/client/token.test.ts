/** A token that cannot be had is no token that was refused, and what never answers stops nothing for ever. */
import t from 'tap';
import { RoomwireError } from '../../src/protocol/errors.js';
import { Op } from '../../src/protocol/frames.js';
import type { TokenSource } from '../../src/client/types.js';
import { until as soon } from '../support/until.js';
import { client, fakeServer, live, until, welcome } from './fake-server.js';
import { FakeTimers } from './fake-timers.js';

t.test(
  'a token endpoint that was away when the token ended made the client give up: it is asked until it is back',
  async (t) => {
    const server = await fakeServer(t);
    server.onHello = (peer, { token }, id) => {
      if (token === 't2') peer.close(4101);
      else peer.send([Op.WELCOME, id, welcome()]);
    };
    let count = 0;
    const statuses = new Set<string>();
    const reasons = new Set<string | undefined>();
    const roomwire = client(t, server, {
      token: () => {
        count++;
        if (count > 2 && count < 40) throw new Error('502 from /token');
        return `t${count}`;
      },
    });
    roomwire.state.subscribe(({ status, reason }) => {
      if (status === 'offline') reasons.add(`${reason?.name}: ${reason?.message}`);
      statuses.add(status);
    });
    const peer = await server.peer();
    await live(roomwire);
    peer.close(4101);
    await until(roomwire.state, ({ status }) => status === 'offline');
    await until(roomwire.state, ({ status }) => status === 'live');
    t.equal(count, 40);
    t.notOk(statuses.has('refused'));
    t.ok(reasons.has('token_unavailable: Error: 502 from /token'));
  },
);

for (const [name, signedOut] of [
  ['gives null', () => null],
  ['resolves null', () => Promise.resolve(null)],
  ['throws unauthenticated', () => Promise.reject(new RoomwireError('unauthenticated'))],
] as const) {
  t.test(`a token() that ${name} says signed out, until reconnect()`, async (t) => {
    const server = await fakeServer(t);
    let token: TokenSource = signedOut;
    const roomwire = client(t, server, { token: () => (token as () => null)() });
    const { reason } = await until(roomwire.state, ({ status }) => status === 'refused');
    t.match(reason, { code: 4100, name: 'unauthenticated' });
    t.equal(server.peers.length, 0);
    token = () => 'good';
    roomwire.reconnect();
    await live(roomwire);
    t.equal(server.hellos[0]?.token, 'good');
  });
}

t.test('a token() that never settles is asked again, and what it gives too late is not heard', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const given: ((token: string) => void)[] = [];
  const token = (): Promise<string> => new Promise((resolve) => given.push(resolve));
  const roomwire = client(t, server, { timers, token });
  for (let i = 1; i <= 8; i++) {
    await soon(() => given.length >= i);
    if (i === 8) break;
    timers.advance(15_000);
    await until(roomwire.state, ({ status }) => status === 'offline');
    timers.advance(0);
  }
  given[0]?.('old');
  given.at(-1)?.('new');
  await live(roomwire);
  t.equal(server.hellos[0]?.token, 'new');
});

t.test('a renewal whose token() never settles is tried again', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const errors: unknown[] = [];
  server.onHello = (peer, _hello, id) => peer.send([Op.WELCOME, id, welcome({ expiresAt: 1_200_000 })]);
  let count = 0;
  const roomwire = client(t, server, {
    timers,
    pingTimeout: 1e9,
    token: () => (++count === 2 ? new Promise<string>(() => undefined) : `t${count}`),
    onError: (error) => errors.push(error),
  });
  const peer = await server.peer();
  await live(roomwire);
  timers.advance(180_000);
  t.equal(count, 2);
  timers.advance(15_000);
  await soon(() => errors.length > 0);
  timers.advance(5_000);
  t.same((await peer.take(Op.AUTH))[2], 't3');
  t.match(errors, [{ name: 'deadline' }]);
});

t.test('who is signed out when the token is renewed stays until its end, and is asked no more', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const errors: unknown[] = [];
  server.onHello = (peer, _hello, id) => peer.send([Op.WELCOME, id, welcome({ expiresAt: 1_200_000 })]);
  let count = 0;
  const roomwire = client(t, server, {
    timers,
    pingTimeout: 1e9,
    token: () => (++count === 1 ? 't1' : null),
    onError: (error) => errors.push(error),
  });
  const peer = await server.peer();
  await live(roomwire);
  timers.advance(180_000);
  t.equal(count, 2);
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  timers.advance(15_000);
  t.equal(count, 2);
  t.same(errors, []);
  t.equal(roomwire.state.get().status, 'live');
  peer.close(4101);
  await until(roomwire.state, ({ status }) => status === 'offline');
  timers.advance(0);
  t.match((await until(roomwire.state, ({ status }) => status === 'refused')).reason, { code: 4100 });
});

t.test('a token that comes after close() opens no connection', async (t) => {
  const server = await fakeServer(t);
  let give = (_token: string): void => undefined;
  const roomwire = client(t, server, { token: () => new Promise<string>((resolve) => (give = resolve)) });
  roomwire.close();
  give('late');
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  const other = client(t, server, { token: () => 'other' });
  await live(other);
  t.same(
    server.hellos.map(({ token }) => token),
    ['other'],
  );
});

for (const bad of [5n, Symbol('token'), { toString: () => 'x' }, 7, true, () => 'x']) {
  t.test(`a token of the type ${typeof bad} is an error with a path`, async (t) => {
    const server = await fakeServer(t);
    const errors: RoomwireError[] = [];
    const onError = (error: unknown): void => void errors.push(error as RoomwireError);
    const roomwire = client(t, server, { token: (() => bad) as never, onError });
    const { reason } = await until(roomwire.state, ({ status }) => status === 'refused');
    t.match(reason, { code: 4003, message: /token: must be a string/ });
    t.match(errors, [{ name: 'bad_request', details: { issues: [{ path: 'token' }] } }]);
    if (typeof bad !== 'function') t.throws(() => client(t, server, { token: bad as never }), /token/);
  });
}

for (const name of ['agent', 'instance', 'grace'] as const) {
  t.test(`an ${name} without an encoding is an error with a path, and no uncaught exception`, async (t) => {
    const server = await fakeServer(t);
    const errors: unknown[] = [];
    const roomwire = client(t, server, { [name]: 2n ** 70n, onError: (error: unknown) => errors.push(error) });
    await until(roomwire.state, ({ status }) => status === 'refused');
    t.match(errors, [{ message: new RegExp(name) }]);
  });
}

t.test('a fetch of a list that never settles ends, and is tried again', async (t) => {
  const server = await fakeServer(t);
  const timers = new FakeTimers();
  const signals: AbortSignal[] = [];
  let hangs = (): void => undefined;
  const asked = new Promise<void>((resolve) => (hangs = resolve));
  const fetch = ((_url: string, { signal }: { signal: AbortSignal }) => {
    signals.push(signal);
    hangs();
    return new Promise(() => undefined);
  }) as never;
  const roomwire = client(t, server, { timers, pingTimeout: 1e9, fetch });
  const peer = await server.peer();
  await live(roomwire);
  const watching = roomwire.rooms.watch();
  watching.catch(() => undefined);
  const { id } = await peer.call('join:overview');
  const positions = { 'overview:public': ['e', 0] };
  peer.send(
    [Op.SUBSCRIBED, 'overview:public', 'e', 0, true],
    [Op.ACK, id, { status: 'joined', room: 'overview:public', positions }],
  );
  await asked;
  timers.advance(15_000);
  await soon(() => signals[0]?.aborted === true);
  t.ok(signals[0]?.aborted);
});
