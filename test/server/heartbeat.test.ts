/** PING after silence, close when nothing comes; and the other waits a connection has. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { until } from '../support/until.js';

const settings = { pingEvery: 10_000, pingTimeout: 4_000 };
const pings = (frames: readonly (readonly unknown[])[]): number => frames.filter(([op]) => op === Op.PING).length;

t.test('after pingEvery of silence the server sends PING; without a sign of life it closes with 4300', async (t) => {
  const time = new ManualTime();
  const { client } = await startOpen(t, { time, ...settings });
  const each = await client();
  time.advance(9_900);
  await each.barrier();
  t.equal(pings(each.frames), 0);
  time.advance(9_900);
  t.equal(pings(each.frames), 0, 'any message counts from its arrival');
  time.advance(200);
  await each.frame(([op]) => op === Op.PING);
  time.advance(3_800);
  await each.barrier();
  time.advance(9_900);
  t.equal(pings(each.frames), 1, 'an answer is a sign of life');
  time.advance(200);
  await until(() => pings(each.frames) === 2);
  time.advance(3_800);
  t.equal(each.socket.readyState, each.socket.OPEN);
  time.advance(200);
  t.equal((await each.closed).code, 4300);
});

t.test('a server that stood still for long asks before it closes', async (t) => {
  const time = new ManualTime();
  const { client } = await startOpen(t, { time, ...settings });
  const each = await client();
  time.stall(3_600_000);
  await new Promise<void>((resolve) => time.afterInput(resolve));
  time.advance(10_200);
  await each.frame(([op]) => op === Op.PING);
  each.send([Op.PONG, null]);
  await each.barrier();
  time.advance(5_000);
  await each.barrier();
});

t.test('without HELLO a connection is closed after helloMs with 4004', async (t) => {
  const time = new ManualTime();
  const { connect } = await startOpen(t, { time, limits: { helloMs: 3_000 } });
  const silent = await connect().open();
  const other = await connect().open();
  await other.hello();
  time.advance(2_900);
  t.equal(silent.socket.readyState, silent.socket.OPEN);
  time.advance(200);
  t.equal((await silent.closed).code, 4004);
  await other.barrier();
});

t.test('PING is answered with its stamp, whatever it is, and the store’s time, which goes on', async (t) => {
  const time = new ManualTime();
  const { client } = await startOpen(t, { time });
  const each = await client();
  let last = (each.welcome as unknown as { time: number }).time;
  for (const stamp of [null, 7, 'now', { a: [1] }, new Uint8Array([1, 2])]) {
    time.advance(1_000);
    each.send([Op.PING, stamp]);
    const pong = await each.frame(([op, echoed]) => op === Op.PONG && JSON.stringify(echoed) === JSON.stringify(stamp));
    t.equal(pong[2], (last += 1_000));
  }
});
