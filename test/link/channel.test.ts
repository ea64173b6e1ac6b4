/** One end of a link against the other: the window, what is grouped, and how it ends. */
import { Duplex, PassThrough } from 'node:stream';
import t from 'tap';
import { Bodies, PART } from '../../src/link/bodies.js';
import { Channel, WINDOW } from '../../src/link/channel.js';
import { Op } from '../../src/link/frames.js';
import { InFlight } from '../../src/link/in-flight.js';
import { until } from '../support/until.js';
import { frame } from './frame.js';

interface Heard {
  readonly frames: [op: number, a: number, payload: Buffer][];
  readonly closed: string[];
  taken: number;
}

/** Two ends, and what each heard. `held`: nothing passes until it is called. */
function pair(t: { teardown(fn: () => void): void }) {
  const [there, back] = [new PassThrough(), new PassThrough()];
  const streams = [Duplex.from({ writable: there, readable: back }), Duplex.from({ writable: back, readable: there })];
  const ends = streams.map((stream) => {
    const heard: Heard = { frames: [], closed: [], taken: 0 };
    const channel = new Channel({
      stream,
      frame: (op, a, payload) => void heard.frames.push([op, a, Buffer.from(payload)]),
      taken: () => void heard.taken++,
      second: () => undefined,
      closed: (why) => void heard.closed.push(why),
      later: (write) => queueMicrotask(write),
      failed: (error) => void heard.closed.push(String(error)),
    });
    channel.trust(WINDOW);
    t.teardown(() => channel.close('the test is over'));
    return { channel, heard, stream };
  });
  return ends as [(typeof ends)[0], (typeof ends)[0]];
}

t.test(
  'the same object to connections one after the other is one MULTI; another object between them parts it',
  async (t) => {
    const [hub, edge] = pair(t);
    const [event, other] = [Buffer.from('event'), Buffer.from('other')];
    for (const id of [1, 2, 3]) hub.channel.deliver(id, event);
    hub.channel.deliver(2, other);
    hub.channel.deliver(4, event);
    hub.channel.send(Op.END, 3, Buffer.from([0, 0]));
    hub.channel.deliver(5, Buffer.from('event'));
    await until(() => edge.heard.frames.length === 5);
    t.strictSame(
      edge.heard.frames.map(([op, a]) => [op, a]),
      [
        [Op.MULTI, 3],
        [Op.SEND, 2],
        [Op.SEND, 4],
        [Op.END, 3],
        [Op.SEND, 5],
      ],
      'in the order in which they were sent',
    );
  },
);

t.test('a window that the other end does not take is full, and open again once it is taken', async (t) => {
  const [hub, edge] = pair(t);
  edge.stream.pause();
  const MIB = 1024 * 1024;
  let sent = 0;
  for (; !hub.channel.full && sent < 100; sent++) hub.channel.deliver(1, Buffer.alloc(MIB));
  t.equal(sent, WINDOW / MIB, 'as many as it holds');
  edge.stream.resume();
  await until(() => hub.channel.inFlight < WINDOW / 2);
  t.ok(hub.heard.taken > 0);
  t.notOk(hub.channel.full);
});

t.test('a peer that acknowledges what was never sent is refused, as is one that is no edge', async (t) => {
  const [hub, edge] = pair(t);
  edge.stream.write(frame(Op.TAKEN, 1_000));
  await until(() => hub.heard.closed.length === 1);
  t.match(hub.heard.closed[0], /never sent/);
  await until(() => edge.heard.closed.length === 1);
});

t.test('what was queued before the end still arrives', async (t) => {
  const [hub, edge] = pair(t);
  for (let i = 0; i < 100; i++) hub.channel.deliver(i, Buffer.from(`m${i}`));
  hub.channel.close('done');
  await until(() => edge.heard.closed.length === 1);
  t.equal(edge.heard.frames.length, 100);
});

t.test('in flight: never less than what is under way, nothing once all is taken', (t) => {
  const inFlight = new InFlight();
  let [sent, acked] = [0, 0];
  const outstanding: { at: number; bytes: number }[] = [];
  for (let i = 1; i < 2_000; i++) {
    const bytes = (i * 7919) % 1_000;
    sent += bytes;
    inFlight.add(bytes, sent, acked);
    outstanding.push({ at: sent, bytes });
    if (i % 3 === 0) acked = Math.min(sent, acked + ((i * 104_729) % 2_500));
    const real = outstanding.reduce((sum, one) => (one.at > acked ? sum + one.bytes : sum), 0);
    if (inFlight.count(acked) < real) t.fail(`counts ${inFlight.count(acked)} of ${real}`);
  }
  t.equal(inFlight.count(sent), 0);
  t.end();
});

t.test('bodies go in turns, in parts, and no more of them is under way than may be', (t) => {
  const frames: [op: number, id: number, bytes: number][] = [];
  const sending = new Bodies({ send: (op, id, payload) => void frames.push([op, id, payload?.length ?? 0]) });
  const large = Buffer.alloc(64 * 1024 * 1024);
  sending.send(1, large);
  sending.send(2, Buffer.alloc(100_000));
  for (let id = 3; id < 1_003; id++) sending.send(id, Buffer.alloc(PART));
  const underWay = frames.reduce((sum, [, , bytes]) => sum + bytes, 0);
  t.ok(underWay <= 5 * PART, `an event waits for ${underWay} bytes`);
  t.ok(frames.every(([op, , bytes]) => op === Op.PART && bytes <= PART));
  t.strictSame(
    [...new Set(frames.map(([, id]) => id))].slice(0, 3),
    [1, 2, 3],
    'the small ones do not wait for the large',
  );
  sending.drop(1);
  for (let at = 0; at < frames.length; at++) {
    const [, id, bytes] = frames[at] as (typeof frames)[number];
    const credit = Buffer.alloc(4);
    credit.writeUInt32LE(bytes);
    sending.credit(id, credit);
  }
  t.ok(sending.idle, 'all of it left');
  // Each credit looked at all that were under way: with a hundred thousand this took minutes.
  frames.length = 0;
  const part = Buffer.alloc(PART);
  for (let id = 1_003; id < 101_003; id++) sending.send(id, part);
  for (let at = 0; at < frames.length; at++) {
    const [, id, bytes] = frames[at] as (typeof frames)[number];
    const credit = Buffer.alloc(4);
    credit.writeUInt32LE(bytes);
    sending.credit(id, credit);
  }
  t.strictSame([frames.length, sending.idle], [100_000, true]);
  t.throws(() => {
    sending.send(200_000, Buffer.alloc(10));
    sending.credit(200_000, Buffer.from([11, 0, 0, 0]));
  }, /more of a body than was sent/);
  t.throws(() => {
    sending.await(300_000, 10, () => t.fail('it is not whole'));
    sending.part(300_000, Buffer.alloc(11));
  }, /more of a body/);
  t.end();
});
