/** Floods of frames by clients who are let in: they are refused, then closed, and the others are served. */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { concat, encode } from '../../src/protocol/codec.js';
import { Op } from '../../src/protocol/frames.js';
import { arena, attacker, count, flushed, type Target } from './attack.js';

/** Sends messages until `frames` are sent, coming back each time it is closed; answers the close codes. */
async function flood(target: Target, user: string, frames: number, each: number, message: Uint8Array) {
  const token = await target.token(user);
  const codes: number[] = [];
  for (let sent = 0; sent < frames;) {
    const client = await attacker(target.url, { token, grace: 0 });
    const closed = client.closed.then(({ code }) => codes.push(code));
    for (; sent < frames && client.socket.readyState === 1; sent += each) {
      client.socket.send(message);
      await flushed(client);
    }
    // It may have much to read before it closes.
    await Promise.race([closed, delay(5_000)]);
    client.cut();
    await closed;
  }
  return codes;
}

const attack = await arena(t);

const repeated = (n: number, frame: (i: number) => Uint8Array): Uint8Array =>
  concat(Array.from({ length: n }, (_, i) => frame(i)));
const tiny = new Uint8Array([0x91, Op.PING]);
const EACH = 20_000;

/** Each message has EACH frames (or what is said), near to the largest message. */
const kinds: readonly (readonly [what: string, message: Uint8Array, frames?: number])[] = [
  ['PING', repeated(EACH * 20, () => tiny), EACH * 20],
  ['calls that do not exist', repeated(EACH, (i) => encode([Op.CALL, i + 10, 'no:such', 1]))],
  ['calls', repeated(EACH, (i) => encode([Op.CALL, i + 10, 'echo', 1]))],
  [
    'publishes to a topic it is not in',
    repeated(EACH, (i) => encode([Op.PUBLISH, i + 10, 'chat:1', 'message', null, 1])),
  ],
  ['publishes without an id', repeated(EACH, () => encode([Op.PUBLISH, 0, 'chat:1', 'message', null, 1]))],
  ['subscriptions', repeated(EACH, (i) => encode([Op.SUBSCRIBE, i + 10, `chat:${i}`, null]))],
  ['unknown opcodes', repeated(EACH, (i) => encode([99, i + 10]))],
  ['CANCEL', repeated(EACH * 5, (i) => encode([Op.CANCEL, i + 10])), EACH * 5],
  ['late answers', repeated(EACH * 5, (i) => encode([Op.ACK, i + 10, null])), EACH * 5],
  ['volatile values', repeated(EACH, (i) => encode([Op.VOLATILE, 'chat:1', 'message', `${i}`, 1]))],
];

for (const [what, message, frames = EACH] of kinds) {
  t.test(`a flood of ${what}: closed with 4201, again and again, and the others are served`, async (t) => {
    t.ok(message.length <= 1024 * 1024, 'each message is one the server takes');
    await attack(t, {
      async strike(target, share) {
        const total = Math.ceil(count(60 * frames) * share);
        const codes = await flood(target, 'flooder', Math.max(total, frames), frames, message);
        t.ok(codes.length > 0);
        t.strictSame(
          codes.filter((code) => code !== 4201),
          [],
          `closed ${codes.length} times with 4201`,
        );
      },
    });
  });
}

t.test('a flood of AUTH: one is checked at a time, and past the measure it is closed with 4201', async (t) => {
  await attack(t, {
    async strike(target, share) {
      const message = repeated(200, (i) => encode([Op.AUTH, i + 10, `${'x'.repeat(400)}.y.z`]));
      const codes = await flood(target, 'renewer', Math.ceil(count(100_000) * share), 200, message);
      t.ok(codes.includes(4201), `closed ${codes.length} times`);
    },
  });
});

t.test('POSITION over helloBytes is refused undecoded, and a flood of large ones is closed', async (t) => {
  const large = encode([Op.POSITION, Object.fromEntries(Array.from({ length: 1_200 }, (_, i) => [`k${i}`, i]))]);
  const larger = encode([Op.POSITION, Object.fromEntries(Array.from({ length: 60_000 }, (_, i) => [`k${i}`, i]))]);
  await attack(t, {
    async strike(target, share) {
      const codes = await flood(
        target,
        'lost',
        Math.ceil(count(20_000) * share),
        50,
        repeated(50, () => large),
      );
      t.ok(codes.includes(4201));
      const also = await flood(target, 'lost too', Math.ceil(count(1_000) * share), 1, larger);
      t.ok(also.length > 0);
    },
  });
});

t.test('a flood of WebSocket pings by one who does not read ends at a bound', async (t) => {
  await attack(t, {
    async strike(target, share) {
      const token = await target.token('pinger');
      const total = Math.ceil(count(2_000_000) * share);
      const payload = Buffer.alloc(125);
      for (let sent = 0; sent < total;) {
        const client = await attacker(target.url, { token, grace: 0 });
        client.socket.pause();
        for (; sent < total && client.socket.readyState === 1; sent += 1_000) {
          for (let i = 0; i < 1_000; i++) client.socket.ping(payload, true, () => undefined);
          // Whoever reads nothing may be stuck; then this one has done what it can.
          const patience = performance.now() + 300;
          while (client.socket.bufferedAmount > 0 && client.socket.readyState === 1 && performance.now() < patience) {
            await new Promise((resolve) => setTimeout(resolve, 1));
          }
          if (client.socket.bufferedAmount > 0) break;
        }
        const held = await target.holdings();
        t.ok(held.rss < 600 * 1024 * 1024, `the server holds ${held.rss} bytes`);
        sent += 1_000;
        client.cut();
      }
    },
  });
});

t.test(
  'a message in a million fragments of one byte, or none, is put together or cut, and held within bounds',
  async (t) => {
    await attack(t, {
      async strike(target, share) {
        const token = await target.token('splitter');
        for (const [byte, length] of [
          ['x', 1],
          ['', 0],
        ] as const) {
          const client = await attacker(target.url, { token, grace: 0 });
          // The client library's own socket: it makes no such frames.
          const { _socket: raw } = client.socket as unknown as { readonly _socket: import('node:net').Socket };
          const head = (opcode: number): Buffer =>
            Buffer.from([opcode, 0x80 | length, 0, 0, 0, 0, ...Buffer.from(byte)]);
          raw.write(head(2));
          const many = Buffer.concat(Array.from({ length: 10_000 }, () => head(0)));
          const total = Math.ceil(count(1_000_000) * share);
          for (let sent = 0; sent < total && !raw.destroyed; sent += 10_000) {
            if (!raw.write(many)) await new Promise((resolve) => raw.once('drain', resolve).once('close', resolve));
          }
          const { heapUsed, external } = await target.holdings();
          t.ok(heapUsed + external < 100 * 1024 * 1024, `${heapUsed + external} bytes of heap`);
          client.cut();
        }
      },
    });
  },
);
