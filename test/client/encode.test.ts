/** The SDK's encoder is small and the server's is fast: they must not differ in what they write or refuse. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { encodeFrame, entryBytes } from '../../src/client/encode.js';
import { encode, EncodeError } from '../../src/protocol/codec.js';

/** What a call returns or throws. */
function outcome(call: () => Uint8Array): unknown {
  try {
    return Buffer.from(call()).toString('hex');
  } catch (error) {
    assert.ok(error instanceof EncodeError);
    return { path: error.path, message: error.message };
  }
}

class Player {}
const key = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('__proto__', 'toString', 'a b', '0', 'k\udc00'),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(null, undefined, true, false, '', 0, -0, NaN, Infinity, 1n, Symbol('s'), () => 1),
    fc.constantFrom<unknown>(new Date(), new Map(), new Player(), Object.create({}), Object.create(null), 'a\ud800'),
    fc.maxSafeInteger(),
    fc.integer({ min: -70_000, max: 70_000 }),
    fc.integer({ min: -(2 ** 31) - 2, max: 2 ** 32 + 2 }),
    fc.double(),
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.uint8Array({ maxLength: 80 }),
    fc.array(tie('value'), { maxLength: 8 }),
    fc.dictionary(key, tie('value'), { maxKeys: 8, noNullPrototype: false }),
  ),
}));

t.test('the SDK encodes and refuses what the server does, byte for byte', async () => {
  fc.assert(
    fc.property(value, (data) => {
      // A refusal names the path inside the part.
      const expected = outcome(() => encode(data, { level: 1 }));
      const framed = outcome(() => encodeFrame([16, data]));
      assert.deepStrictEqual(framed, typeof expected === 'string' ? `9210${expected}` : expected);
    }),
    { numRuns: 3000 },
  );
});

t.test('sizes on both sides of each form of a header, and numbers on both sides of each width', async () => {
  for (const size of [15, 16, 31, 32, 255, 256, 65_535, 65_536]) {
    const map = Object.fromEntries(Array.from({ length: size }, (_, i) => [`k${i}`, i]));
    for (const part of ['x'.repeat(size), '€'.repeat(size), new Uint8Array(size), new Array(size).fill(0), map]) {
      assert.deepStrictEqual(encodeFrame([part]), encode([part]));
    }
    const parts = new Array<number>(size).fill(1);
    assert.deepStrictEqual(encodeFrame(parts), encode(parts));
  }
  for (const power of [0, 5, 7, 8, 15, 16, 31, 32, 53]) {
    for (const by of [-2, -1, 0, 1, 2]) {
      for (const sign of [-1, 1]) {
        const number = sign * (2 ** power + by);
        assert.deepStrictEqual(encodeFrame([number, number + 0.5]), encode([number, number + 0.5]));
      }
    }
  }
  // Holes are null, as everywhere.
  assert.deepStrictEqual(encodeFrame([[, 1]]), encode([[, 1]])); // eslint-disable-line no-sparse-arrays
});

t.test('a view of any kind is sent as the bytes it shows, and a getter is read once', async (t) => {
  const { buffer } = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  for (const view of [Buffer.from(buffer, 2, 4), new DataView(buffer, 2, 4), new Uint16Array(buffer, 2, 2)]) {
    t.same(encodeFrame([view]), encode([view]));
  }
  let reads = 0;
  const fickle = {
    get a() {
      return reads++ % 2 ? undefined : encodeFrame([reads]);
    },
  };
  t.same(encodeFrame([fickle]), encode([{ a: encodeFrame([1]) }]));
});

t.test('a frame nests 32 levels, its own array included', async (t) => {
  const nested = (depth: number): unknown =>
    depth === 0 ? 1 : depth % 2 ? [nested(depth - 1)] : { a: nested(depth - 1) };
  t.same(encodeFrame([nested(31)]), encode([nested(31)]));
  t.throws(() => encodeFrame([nested(32)]), { name: 'EncodeError', message: /is deeper than 31 levels$/ });
  const cycle: Record<string, unknown> = {};
  cycle.me = cycle;
  t.throws(() => encodeFrame([cycle]), EncodeError);
});

t.test(
  'a frame above the most that the server takes is refused, and an entry counts what it adds to a map',
  async (t) => {
    t.equal(encodeFrame(['abc'], 5).length, 5);
    t.throws(() => encodeFrame(['abcd'], 5), { name: 'too_large' });
    t.equal(
      encode({ a: 1, topic: ['e', 70_000] }).length - encode({ a: 1 }).length,
      entryBytes('topic', ['e', 70_000]),
    );
  },
);
