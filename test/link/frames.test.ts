/** The frames of the link: whole whatever pieces the stream comes in, bounded whatever a peer says. */
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { ending, FrameReader, HEADER, LinkError, Op, readEnding, readNumber, unpack } from '../../src/link/frames.js';
import { Outgoing } from '../../src/link/outgoing.js';
import { frame } from './frame.js';

const MOST = 4_096;
type Read = readonly [op: number, a: number, payload: string];

function readAll(stream: Buffer, cuts: readonly number[]): Read[] {
  const found: Read[] = [];
  const reader = new FrameReader(MOST, (op, a, payload) => void found.push([op, a, payload.toString('hex')]));
  const sorted = cuts.filter((cut) => cut <= stream.length).sort((a, b) => a - b);
  let from = 0;
  for (const cut of [...sorted, stream.length]) {
    if (cut > from) reader.push(stream.subarray(from, cut));
    from = cut;
  }
  return found;
}

const Frame = fc.tuple(
  fc.integer({ min: 1, max: 255 }),
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.uint8Array({ maxLength: 300 }),
);

t.test('frames are whole wherever the stream is split and joined', async (t) => {
  fc.assert(
    fc.property(fc.array(Frame, { maxLength: 12 }), fc.array(fc.nat(4_000), { maxLength: 40 }), (frames, cuts) => {
      const stream = Buffer.concat(frames.map(([op, a, payload]) => frame(op, a, payload)));
      const expected = frames.map(([op, a, payload]) => [op, a, Buffer.from(payload).toString('hex')]);
      t.strictSame(readAll(stream, cuts), expected);
    }),
    { numRuns: 300 },
  );
  const [one, two] = [frame(Op.MESSAGE, 7, Buffer.from('hello')), frame(Op.CLOSED, 9, ending(4202, 'bye'))];
  const stream = Buffer.concat([one, two]);
  const whole = readAll(stream, []);
  const everyByte = Array.from({ length: stream.length }, (_, i) => i);
  t.strictSame(readAll(stream, everyByte), whole, 'byte by byte');
});

t.test('a length above the bound ends the link before anything is gathered for it', async (t) => {
  const huge = frame(Op.SEND, 1);
  for (const length of [MOST + 1, 0x7fff_ffff, 0xffff_ffff]) {
    huge.writeUInt32LE(length, 5);
    t.throws(() => readAll(huge, []), { name: 'LinkError', message: new RegExp(String(length)) });
    t.throws(() => readAll(huge, [1, 2, 3, 4, 5, 6, 7, 8]), LinkError, 'in pieces too');
  }
});

t.test('garbage is read as frames or refused: nothing else comes of it', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), fc.array(fc.nat(2_000), { maxLength: 10 }), (garbage, cuts) => {
      try {
        readAll(Buffer.from(garbage), cuts);
      } catch (error) {
        t.ok(error instanceof LinkError, String(error));
      }
      for (const read of [unpack, readEnding, readNumber] as ((bytes: Buffer) => unknown)[]) {
        try {
          read(Buffer.from(garbage));
        } catch (error) {
          t.ok(error instanceof LinkError, String(error));
        }
      }
    }),
    { numRuns: 500 },
  );
});

t.test('the same bytes for many connections stand in the frame once', async (t) => {
  const bytes = Buffer.from('the event');
  const written = (connections: readonly number[]): Buffer => {
    const stream = new PassThrough();
    const outgoing = new Outgoing(stream);
    outgoing.delivery(connections, bytes);
    outgoing.write();
    return stream.read() as Buffer;
  };
  t.strictSame(readAll(written([5]), [3]), [[Op.SEND, 5, bytes.toString('hex')]]);
  const [[op, count, payload] = [0, 0, '']] = readAll(written([5, 6, 9]), [HEADER + 2]);
  t.strictSame([op, count], [Op.MULTI, 3]);
  const read = Buffer.from(payload, 'hex');
  t.strictSame(
    [0, 4, 8].map((at) => read.readUInt32LE(at)),
    [5, 6, 9],
  );
  t.equal(read.subarray(12).toString(), 'the event');
});
