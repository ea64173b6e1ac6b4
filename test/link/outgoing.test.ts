/** The memory that frames leave in is used again, and never before they have left. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { PassThrough, type Duplex } from 'node:stream';
import t from 'tap';
import { FrameReader, Op } from '../../src/link/frames.js';
import { Outgoing } from '../../src/link/outgoing.js';
import { environmentSeed, random } from '../random.js';
import { shortDir } from '../support/hub.js';
import type { Test } from '../support/server.js';
import { until } from '../support/until.js';

async function socketPair(t: Test): Promise<[Duplex, Duplex]> {
  const path = join(shortDir(t), 'pair');
  const server = createServer().listen(path);
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const near = connect(path);
  const [far] = await accepted;
  t.teardown(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return [near, far];
}

function streamPair(): Promise<[Duplex, Duplex]> {
  const through = new PassThrough();
  return Promise.resolve([through, through]);
}

for (const [name, pair] of [
  ['a socket', socketPair],
  ['another stream, which may keep what it was given', streamPair],
] as const) {
  t.test(`through ${name}, whose other end reads now and then: every frame as it was`, async (t) => {
    const seed = environmentSeed();
    t.comment(`SEED=${seed}`);
    const { below: next } = random(seed);
    const [near, far] = await pair(t);
    const outgoing = new Outgoing(near);
    const sent: string[] = [];
    const came: string[] = [];
    const described = (op: number, a: number, payload: Uint8Array): string => {
      const bytes = Buffer.from(payload);
      return `${op} ${a} ${bytes.length} ${bytes.every((byte) => byte === bytes[0]) ? bytes[0] : 'mixed'}`;
    };
    const reader = new FrameReader(1e6, (op, a, payload) => {
      const from = op === Op.MULTI ? 4 * a : 0;
      came.push(described(op, a, payload.subarray(from)));
    });
    far.on('data', (piece: Buffer) => reader.push(piece));
    const sizes = [0, 1, 70, 300, 5_000, 16_375, 16_376, 70_000];
    for (let turn = 0; turn < 120; turn++) {
      for (let i = next(12); i > 0; i--) {
        const bytes = Buffer.alloc(sizes[next(sizes.length)] as number, sent.length % 251);
        if (next(3) > 0) {
          outgoing.frame(Op.MESSAGE, sent.length, bytes);
          sent.push(described(Op.MESSAGE, sent.length, bytes));
        } else {
          const count = 2 + next(2_000);
          outgoing.delivery(
            Array.from({ length: count }, (_, n) => n),
            bytes,
          );
          sent.push(described(Op.MULTI, count, bytes));
        }
        // What was given is the sender's again.
        bytes.fill(0xff);
      }
      outgoing.write();
      if (next(10) === 0) far.pause();
      if (next(5) === 0) far.resume();
      if (next(2) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    far.resume();
    await until(() => came.length === sent.length);
    t.strictSame(
      came.filter((frame, i) => frame !== sent[i]),
      [],
    );
  });
}
