/** A process that was stopped (SIGSTOP, a paused machine) and goes on: clients must not pay for it, leases end on time. */
import t from 'tap';
import { closes } from '../../src/protocol/codes.js';
import { Op } from '../../src/protocol/frames.js';
import type { Plugin } from '../../src/server/api.js';
import { startChildServer } from '../support/child-server.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { startRooms } from '../support/rooms.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';

const FREEZE_MS = 16_000;
const settings = { pingEvery: 10_000, pingTimeout: 4_000, limits: { graceMs: 15_000, helloMs: 3_000 } };
const isPing = ([op]: readonly unknown[]): boolean => op === Op.PING;

t.test('a frozen server reads the answer to its PING before it closes for want of one', async (t) => {
  const time = new ManualTime();
  const { client } = await startOpen(t, { time, ...settings });
  const each = await client();
  time.advance(10_200);
  await each.frame(isPing);
  time.advance(3_000);
  // In one turn: what is sent waits in the socket while the server stands still.
  each.send([Op.PONG, null]);
  time.stall(FREEZE_MS);
  await each.barrier();
  time.advance(4_200);
  await each.barrier();
});

t.test('a frozen server gives a silent client what was left of its time, and no more', async (t) => {
  const time = new ManualTime();
  const { client } = await startOpen(t, { time, ...settings });
  const each = await client();
  time.advance(10_200);
  await each.frame(isPing);
  time.stall(FREEZE_MS);
  await turns();
  time.advance(3_700);
  await turns();
  t.equal(each.socket.readyState, each.socket.OPEN);
  time.advance(400);
  t.equal((await each.closed).code, closes.ping_timeout);
});

t.test('a client that connected while the server was frozen has its time for HELLO', async (t) => {
  const time = new ManualTime();
  const { connect } = await startOpen(t, { time, ...settings });
  const open = await connect().open();
  time.advance(1_000);
  const said = open.hello();
  time.stall(FREEZE_MS);
  t.match(await said, { resumed: false });
  const late = connect();
  time.stall(FREEZE_MS);
  await late.open();
  time.advance(2_000);
  t.match(await late.hello(), { resumed: false });
});

t.test('a freeze takes nothing from the time for HELLO, nor from the time in which a hook may answer it', async (t) => {
  const time = new ManualTime();
  const answers: (() => void)[] = [];
  const slow: Plugin = {
    name: 'slow',
    setup: (host) => host.onArrival(() => new Promise<undefined>((resolve) => answers.push(() => resolve(undefined)))),
  };
  const limits = { ...settings.limits, callMaxMs: 4_000 };
  const { connect, server } = await startOpen(t, { time, ...settings, limits, plugins: [slow] });
  const each = await connect().open();
  await until(() => server.stats().connections === 1);
  time.advance(1_000);
  time.stall(FREEZE_MS);
  await turns();
  time.advance(1_800);
  await turns();
  const said = each.hello();
  await until(() => answers.length === 1);
  time.advance(2_000);
  time.stall(FREEZE_MS);
  await turns();
  time.advance(1_800);
  await turns();
  answers[0]?.();
  t.match(await said, { resumed: false });
  const silent = await connect().open();
  await until(() => server.stats().connections === 2);
  time.advance(1_000);
  time.stall(FREEZE_MS);
  await turns();
  time.advance(2_200);
  t.equal((await silent.closed).code, closes.hello_timeout, 'and adds nothing');
});

t.test('a session in its grace is there for the client that reconnects during the freeze', async (t) => {
  const time = new ManualTime();
  const { client, connect, server } = await startOpen(t, { time, ...settings });
  const each = await client();
  const session = [...each.welcome.session] as [string, string];
  each.cut();
  await until(() => server.session(session[0])?.connected !== true);
  time.advance(12_000);
  const back = connect();
  time.stall(FREEZE_MS);
  const welcome = await back.hello({ session });
  t.equal(welcome.resumed, true);
});

t.test('a freeze takes nothing from the grace and adds nothing to it, however often it comes', async (t) => {
  const time = new ManualTime();
  const { client, server } = await startOpen(t, { time, ...settings });
  const each = await client();
  const [sid] = each.welcome.session;
  each.cut();
  await until(() => server.session(sid)?.connected !== true);
  const since = time.monotonic();
  time.advance(5_000);
  let frozen = 0;
  for (const ms of [FREEZE_MS, 2_000, 3_600_000]) {
    frozen += ms;
    time.stall(ms);
    await turns();
    time.advance(1_000);
    await turns();
    t.ok(server.session(sid) !== undefined, `still there after ${ms} ms`);
  }
  time.advance(15_000 - (time.monotonic() - since - frozen) - 200);
  await turns();
  t.ok(server.session(sid) !== undefined, 'to the end of its grace');
  time.advance(400);
  await until(() => server.session(sid) === undefined);
});

t.test('a kick is told to a client that could not hear of it, also after a freeze', async (t) => {
  const time = new ManualTime();
  const { client, connect, server } = await startOpen(t, { time, ...settings });
  const each = await client();
  const session = [...each.welcome.session] as [string, string];
  const kicked = server.session(session[0]);
  if (kicked === undefined) throw new Error('no session');
  each.cut();
  await server.kick(kicked);
  time.advance(10_000);
  const back = connect();
  time.stall(FREEZE_MS);
  await back.open();
  back.send([Op.HELLO, 1, { instance: 'test', session }]);
  t.equal((await back.closed).code, closes.kicked);
});

t.test('members and hosts keep their time to come back, a lease ends while the server is frozen', async (t) => {
  const time = new ManualTime();
  const { client, server } = await startRooms(t, {
    time,
    ...settings,
    pingEvery: 600_000,
    rooms: { memberTtl: 20_000, hostGrace: 10_000 },
    limits: { graceMs: 1_000 },
  });
  const [host, other] = [await client(), await client()];
  await host.call('join:room', { roomId: 'r', create: true });
  await other.call('join:room', { roomId: 'r' });
  await other.call('lock:acquire', { roomId: 'r', target: 'x', ttl: 10_000 });
  const [sid] = host.welcome.session;
  const told = (event: string): number => other.events('room:r').filter(([, name]) => name === event).length;
  host.cut();
  await until(() => server.session(sid)?.connected !== true);
  time.advance(1_100);
  await other.event('room:r', 'member:online');
  time.advance(5_000);
  await other.barrier();
  t.equal(told('host:update'), 0);
  time.stall(FREEZE_MS);
  t.match(await other.event('room:r', 'lock:update', 2), { lock: null });
  time.advance(4_800);
  await other.barrier();
  t.equal(told('host:update'), 0, 'hostGrace has not passed');
  time.advance(300);
  t.match(await other.event('room:r', 'host:update'), { host: { userId: other.welcome.user.id } });
  time.advance(9_600);
  await other.barrier();
  t.equal(told('member:left'), 0, 'memberTtl has not passed');
  time.advance(400);
  await other.event('room:r', 'member:left');
});

t.test('a process that got SIGSTOP for longer than its grace keeps the clients that are back', async (t) => {
  const child = await startChildServer(t, t.testdir(), { graceMs: 6_000, pingEvery: 1_500, pingTimeout: 1_500 });
  const clients: WireClient[] = [];
  t.teardown(() => {
    for (const client of clients) client.cut();
  });
  const make = async (): Promise<WireClient> => {
    const client = new WireClient(child.url);
    clients.push(client);
    return client;
  };
  const open = await make();
  const opened = await open.hello();
  // It answers each PING, also while nobody reads the answers.
  open.socket.on('message', () => open.send([Op.PONG, null]));
  const gone = await make();
  const { session } = await gone.hello();
  await open.frame(isPing);
  gone.cut();
  await open.barrier();
  const stopped = Date.now();
  child.signal('SIGSTOP');
  const back = await make();
  // Longer than the grace, and than both waits for a sign of life.
  while (Date.now() - stopped < 6_500) await new Promise((resolve) => setTimeout(resolve, 20));
  child.signal('SIGCONT');
  t.equal((await back.hello({ session: [...session] as [string, string] })).resumed, true);
  await open.barrier();
  t.ok(opened.session[0]);
});

/** Lets what is under way in this process come to its end. */
async function turns(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
}
