/** Thousands of frames in one message are worked off in slices: others come in between, and nothing changes for who sent them. */
import t from 'tap';
import { concat, encode } from '../../src/protocol/codec.js';
import { closes } from '../../src/protocol/codes.js';
import { Op } from '../../src/protocol/frames.js';
import { restOf } from '../../src/server/connection/backlog.js';
import { systemTime } from '../../src/server/time/clock.js';
import { startOpen } from '../support/open-server.js';
import type { Test } from '../support/server.js';
import { unrated } from '../support/unrated.js';
import { until } from '../support/until.js';

/** Every look at the clock takes its time: a slice is over at its first. */
function slowClock() {
  let ahead = 0;
  return { ...systemTime, monotonic: () => systemTime.monotonic() + (ahead += 0.05) };
}

async function start(t: Test, limits: Record<string, number> = {}) {
  const calls: unknown[] = [];
  const started = await startOpen(t, {
    time: slowClock(),
    limits: { ...unrated, ...limits },
    without: ['echo'],
    setup: (server) => server.handle('echo', ({ input }) => calls.push(input)),
  });
  return { ...started, calls };
}

const callsOf = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => [Op.CALL, from + n, 'echo', from + n, null]);
const numbers = (from: number, count: number) => Array.from({ length: count }, (_, n) => from + n);

t.test('another client is answered between the frames of a message of thousands', async (t) => {
  const { client, calls } = await start(t);
  const [flood, other] = [await client(), await client()];
  flood.send(...callsOf(1, 6_000));
  await flood.frame(([op, id]) => op === Op.ACK && id === 1);
  other.send([Op.CALL, 1, 'echo', 'in between', null]);
  await flood.frame(([op, id]) => op === Op.ACK && id === 6_000);
  const at = calls.indexOf('in between');
  t.ok(at > 0 && at < 6_000, `it was number ${at}`);
  t.strictSame(
    calls.filter((input) => input !== 'in between'),
    numbers(1, 6_000),
  );
});

t.test('messages that come while one is being worked off stay behind it, each frame once', async (t) => {
  const { client, calls } = await start(t);
  const flood = await client();
  for (let n = 0; n < 20; n++) flood.send(...callsOf(1 + n * 500, n % 2 === 0 ? 500 : 1));
  await flood.frame(([op, id]) => op === Op.ACK && id === 9_501);
  t.strictSame(
    calls,
    numbers(0, 20).flatMap((n) => numbers(1 + n * 500, n % 2 === 0 ? 500 : 1)),
  );
});

t.test('what was read before the connection ended is done before its end', async (t) => {
  const { server, client } = await start(t, { pendingFrames: 5_000 });
  const [writer, reader] = [await client(), await client()];
  await writer.subscribe('chat:1');
  await reader.subscribe('chat:1');
  writer.send(...numbers(0, 5_000).map((n) => [Op.PUBLISH, 0, 'chat:1', 'message', null, n]));
  writer.socket.close();
  await reader.event('chat:1', 'message', 5_000);
  await until(() => server.stats().connections === 1);
  t.strictSame(
    reader.events('chat:1').map(([, , data]) => data),
    numbers(0, 5_000),
  );
});

t.test('who says goodbye in the middle is heard no further', async (t) => {
  const { client, calls } = await start(t);
  const flood = await client();
  flood.send(...callsOf(1, 1_000), [Op.BYE], ...callsOf(1_001, 1_000));
  t.match(await flood.closed, { code: 4009 });
  t.strictSame(calls, numbers(1, 1_000));
});

t.test('what waits is bounded: beyond it nothing more is read, and all of it is done', async (t) => {
  const { client, calls } = await start(t, { messageBytes: 8_192 });
  const flood = await client();
  for (let n = 0; n < 200; n++) flood.send(...callsOf(1 + n * 300, 300));
  await flood.frame(([op, id]) => op === Op.ACK && id === 60_000);
  t.strictSame(calls, numbers(1, 60_000));
});

t.test(
  'a frame that breaks the rules closes before any of its message is done, and after all that came before',
  async (t) => {
    const { client, calls } = await start(t);
    const flood = await client();
    flood.send(...callsOf(1, 2_000));
    flood.socket.send(concat([encode([Op.CALL, 2_001, 'echo', 2_001, null]), new Uint8Array([0xc1])]));
    t.equal((await flood.closed).code, closes.bad_frame);
    t.strictSame(calls, numbers(1, 2_000));
  },
);

t.test('what waits is a copy, also where the engine hands out a Buffer', async (t) => {
  const bytes = Buffer.from([1, 2, 3, 4]);
  const rest = restOf(bytes, [0, 2, 4], { next: 1, frames: 2, protoKey: false });
  bytes.fill(0);
  t.same([...rest.bytes], [3, 4]);
  t.same([...rest.starts], [0, 2]);
});
