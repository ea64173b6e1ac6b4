import assert from 'node:assert/strict';
import { decode as referenceDecode, decodeMulti, encode as reference } from '@msgpack/msgpack';
import fc from 'fast-check';
import t from 'tap';
import {
  arrayHeader,
  concat,
  decode,
  decodeAll,
  DecodeError,
  decodeScanned,
  encode,
  EncodeError,
  Writer,
} from '../../src/protocol/codec.js';
import { EMPTY, NO_ARRAY, TRAILING, TRUNCATED } from '../../src/protocol/refusals.js';
import { scanMessage, scanReason, scanValue } from '../../src/protocol/scan.js';

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** What a call throws, with the fields of its error. */
function thrown(call: () => unknown): Record<string, unknown> {
  try {
    call();
  } catch (error) {
    return error as Record<string, unknown>;
  }
  return {};
}

const key = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 30 }), fc.constantFrom('toString', 'constructor', '0'));
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, '', 0),
    fc.maxSafeInteger(),
    fc.integer({ min: -70_000, max: 70_000 }),
    // What JSON does with −0 is tested by itself.
    fc.double().map((number) => (Object.is(number, -0) ? 0 : number)),
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.uint8Array({ maxLength: 80 }),
    fc.array(tie('value'), { maxLength: 8 }),
    fc.dictionary(key, tie('value'), { maxKeys: 8, noNullPrototype: true }),
  ),
}));
/** The reference decoder refuses this key, and so does not compare. */
const holdsProto = (bytes: Uint8Array) => Buffer.from(bytes).includes('__proto__');

t.test('what is encoded decodes to the same, here and in another implementation', async () => {
  fc.assert(
    fc.property(value, (input) => {
      const bytes = encode(input);
      assert.equal(scanValue(bytes, 0), bytes.length);
      assert.deepStrictEqual(decode(bytes), input);
      if (!holdsProto(bytes)) assert.deepStrictEqual(referenceDecode(bytes), input);
    }),
    { numRuns: 1500 },
  );
});

t.test('what another implementation encodes decodes to the same, and no shorter than ours', async () => {
  fc.assert(
    fc.property(value, (input) => {
      const bytes = reference(input);
      assert.deepStrictEqual(decode(bytes), input);
      assert.ok(encode(input).length <= bytes.length);
    }),
    { numRuns: 1500 },
  );
});

t.test('each value has its shortest encoding', async (t) => {
  const known: [unknown, string][] = [
    [0, '00'], [127, '7f'], [128, 'cc80'], [255, 'ccff'], [256, 'cd0100'], [65_535, 'cdffff'], [65_536, 'ce00010000'],
    [2 ** 32 - 1, 'ceffffffff'], [2 ** 32, 'cf0000000100000000'], [2 ** 53 - 1, 'cf001fffffffffffff'],
    [-1, 'ff'], [-32, 'e0'], [-33, 'd0df'], [-128, 'd080'], [-129, 'd1ff7f'], [-32_768, 'd18000'],
    [-32_769, 'd2ffff7fff'], [-(2 ** 31), 'd280000000'], [-(2 ** 31) - 1, 'd3ffffffff7fffffff'],
    [-(2 ** 53 - 1), 'd3ffe0000000000001'], [2 ** 53, 'cb4340000000000000'], [-(2 ** 53), 'cbc340000000000000'],
    [1.5, 'cb3ff8000000000000'], [Infinity, 'cb7ff0000000000000'], [-0, '00'], [null, 'c0'], [undefined, 'c0'],
    [true, 'c3'], [false, 'c2'], ['', 'a0'], ['é', 'a2c3a9'], ['a'.repeat(31), `bf${'61'.repeat(31)}`],
    ['a'.repeat(32), `d920${'61'.repeat(32)}`], [[], '90'], [{}, '80'], [Uint8Array.of(1, 2), 'c4020102'],
    [[undefined, , 1], '93c0c001'], // eslint-disable-line no-sparse-arrays
  ]; // prettier-ignore
  for (const [input, bytes] of known) t.equal(toHex(encode(input)), bytes, bytes);
  for (const size of [15, 16, 31, 32, 255, 256, 65_535, 65_536]) {
    for (const input of ['x'.repeat(size), '€'.repeat(size), new Uint8Array(size), new Array(size).fill(0)]) {
      assert.equal(toHex(encode(input)), toHex(reference(input)));
    }
    const map = Object.fromEntries(Array.from({ length: size }, (_, i) => [`k${i}`, i]));
    assert.equal(toHex(encode(map)), toHex(reference(map)));
  }
});

t.test('members that are undefined are left out, as in JSON, and the header stays the shortest', async (t) => {
  t.equal(toHex(encode({ a: undefined, b: 1, c: undefined })), '81a16201');
  const wide = Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`k${i}`, i % 7000 ? undefined : i]));
  assert.equal(toHex(encode(wide)), toHex(reference(wide, { ignoreUndefined: true })));
  assert.equal(toHex(encode([wide, 1])), toHex(reference([wide, 1], { ignoreUndefined: true })));
});

t.test('a getter that answers differently each time cannot break the encoding', async (t) => {
  let turn = 0;
  const fickle = {
    get a() {
      return turn++ % 2 ? undefined : encode({ nested: turn });
    },
  };
  t.same(decode(encode(fickle)), { a: encode({ nested: 1 }) });
  t.same(decode(encode(fickle)), {});
});

t.test('a view of any kind is sent as the bytes it shows', async (t) => {
  const buffer = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer;
  for (const view of [Buffer.from(buffer, 2, 4), new DataView(buffer, 2, 4), new Uint16Array(buffer, 2, 2)]) {
    t.equal(toHex(encode(view)), 'c40403040506');
  }
});

t.test('what has no encoding is refused with its path and its type', async (t) => {
  class Player {}
  const cycle: Record<string, unknown> = {};
  cycle.me = cycle;
  const refused: [unknown, string][] = [
    [{ user: { born: new Date() } }, 'data.user.born is a Date; send plain data'],
    [new Map(), 'data is a Map; send plain data'],
    [[0, { s: new Set() }], 'data[1].s is a Set; send plain data'],
    [{ 'a b': { '0': new Player() } }, 'data["a b"]["0"] is a Player; send plain data'],
    [{ n: 1n }, 'data.n is a BigInt; send plain data'],
    [{ f: () => 1 }, 'data.f is a Function; send plain data'],
    [Symbol('s'), 'data is a Symbol; send plain data'],
    [new ArrayBuffer(1), 'data is a ArrayBuffer; send plain data'],
    [{ e: new Error('x') }, 'data.e is a Error; send plain data'],
    [Object.create({}), 'data is a Object; send plain data'],
    [Object.create(Object.create(null)), 'data is a object; send plain data'],
    [{ t: 'a\ud800' }, 'data.t has a lone surrogate'],
    [{ ok: 1, 'k\udc00': 1 }, 'data["k\\udc00"] has a lone surrogate'],
    [['\udc00\ud800'], 'data[0] has a lone surrogate'],
    [cycle, `data${'.me'.repeat(32)} is deeper than 32 levels`],
  ];
  for (const [input, message] of refused) {
    t.throws(() => encode(input), { name: 'EncodeError', message }, message);
    t.throws(() => encode(input), EncodeError);
    t.ok(thrown(() => encode(input)) instanceof TypeError);
  }
  t.match(
    thrown(() => encode({ a: 1n }, { name: 'token' })),
    { path: 'token.a' },
  );
  t.throws(() => new Writer().writeString('\ud800'), EncodeError);
});

t.test('depth 32 is encoded, and arrays around the value count', async (t) => {
  const nested = (depth: number) => {
    let inner: unknown = [];
    for (let i = 1; i < depth; i++) inner = i % 2 ? { inner } : [inner];
    return inner;
  };
  t.ok(scanValue(encode(nested(32)), 0) > 0);
  t.throws(() => encode(nested(33)), EncodeError);
  t.throws(() => encode(nested(32), { level: 1 }), EncodeError);
  const writer = new Writer();
  writer.writeArrayHeader(1);
  writer.writeValue(nested(31), { level: 1 });
  t.ok(scanValue(writer.take(), 0) > 0);
});

t.test('a refused value leaves nothing in the writer, and the writer goes on', async (t) => {
  const writer = new Writer();
  writer.writeArrayHeader(2);
  writer.writeInt(1);
  t.throws(() => writer.writeValue(['x'.repeat(5000), new Date()]), EncodeError);
  writer.writeNil();
  t.equal(toHex(writer.take()), '9201c0');
  t.throws(() => encode([1n]), EncodeError);
  t.equal(toHex(encode([1])), '9101');
});

t.test('a writer builds a frame around bytes that are encoded already', async (t) => {
  const data = encode({ a: 1 });
  const writer = new Writer();
  writer.writeArrayHeader(5);
  writer.writeInt(48);
  writer.writeString('room:a');
  writer.writeRaw(data);
  writer.writeMapHeader(1);
  writer.writeString('b');
  writer.writeBin(Uint8Array.of(1));
  writer.writeNil();
  t.same(decodeAll(writer.take()), [[48, 'room:a', { a: 1 }, { b: Uint8Array.of(1) }, null]]);
  t.same(concat([arrayHeader(2), encode(1), data]), encode([1, { a: 1 }]));
  t.same(arrayHeader(70_000), hex('dd00011170'));
  t.same(concat([]), new Uint8Array());
});

t.test('bytes that were taken stay what they are', async (t) => {
  const first = encode({ a: 'first' });
  const copy = first.slice();
  for (let i = 0; i < 10; i++) encode({ b: 'x'.repeat(i * 20_000) });
  t.same(first, copy);
  t.equal(first.buffer.byteLength, first.length);
});

t.test('scanner and decoder accept the same bytes for the same reasons', async (t) => {
  const noise = fc.uint8Array({ maxLength: 24 });
  const mutated = fc.tuple(value, fc.nat(), fc.nat(255)).map(([input, where, byte]) => {
    const bytes = encode([1, input]);
    bytes[where % bytes.length] = byte;
    return bytes;
  });
  // Type bytes often enough to reach every branch of both.
  const typed = fc
    .array(
      fc.oneof(
        fc.integer({ min: 0x80, max: 0xa4 }),
        fc.integer({ min: 0xc0, max: 0xdf }),
        fc.constantFrom(0, 1, 2, 0xff, 0xed, 0xa0, 0xe2, 0xf0, 0x9f),
      ),
      { maxLength: 40 },
    )
    .map((list) => Uint8Array.from(list));
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof(noise, mutated, typed), (bytes) => {
      const end = scanValue(bytes, 0);
      try {
        const decoded = decode(bytes);
        assert.equal(end, bytes.length);
        accepted++;
        if (!holdsProto(bytes)) assert.deepStrictEqual(decoded, referenceDecode(bytes));
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        assert.equal(scanReason(error.refusal), end < 0 ? scanReason(end) : 'bytes after the value');
      }
      const scanned = scanMessage(bytes, []);
      try {
        const frames = decodeAll(bytes);
        assert.equal(frames.length, scanned);
        if (!holdsProto(bytes)) assert.deepStrictEqual(frames, [...decodeMulti(bytes)]);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        assert.deepStrictEqual({ frame: error.frame, reason: scanReason(error.refusal) }, scanned);
      }
    }),
    { numRuns: 15_000 },
  );
  t.ok(accepted > 500, `${accepted} accepted`);
});

t.test('the decoder refuses what the scanner refuses, with its reason, for each of them', async (t) => {
  const truncated = 'truncated or a length past the end';
  const cases: [string, string][] = [
    ...['c1', 'c7', 'c8', 'c9', 'd4', 'd5', 'd6', 'd7', 'd8'].map((type): [string, string] => [
      `${type}01ff${'00'.repeat(20)}`,
      'ext or reserved type',
    ]),
    ...['cf0020000000000000', 'cfffffffffffffffff', 'd30020000000000000', 'd3ffe0000000000000', 'd38000000000000000']
      .map((bytes): [string, string] => [bytes, 'integer outside ±(2^53 - 1)']),
    ...['80', 'c080', 'e08080', 'eda080', 'edbfbf', 'f08fbfbf', 'f4908080', 'c3', 'e282', 'f09f98', '61626364c3', 'ff'.repeat(13)]
      .map((bad): [string, string] => [`${(0xa0 + bad.length / 2).toString(16)}${bad}`, 'invalid UTF-8']),
    [`d928${'61'.repeat(39)}ff`, 'invalid UTF-8'],
    ...['01', 'c0', 'c40161', '90', '80', 'cb3ff8000000000000', 'c1']
      .map((key): [string, string] => [`81${key}01`, 'map key is not a string']),
    [`${'91'.repeat(32)}90`, 'nested too deep'],
    [`${'81a161'.repeat(33)}c0`, 'nested too deep'],
    ...['dcffff', 'ddffffffff', 'deffff', 'dfffffffff', 'dd00001389', 'dbffffffff', 'c6ffffffff', 'daffff']
      .map((header): [string, string] => [header + 'c0'.repeat(5000), truncated]),
    ...['', 'cc', 'cd01', 'ce000000', 'cf00000000000000', 'd0', 'd1ff', 'd2ffffff', 'd3ffffffff', 'ca000000', 'd9', 'd902c3', 'c4', '81', '81a161']
      .map((bytes): [string, string] => [bytes, truncated]),
  ]; // prettier-ignore
  for (const [bytes, reason] of cases) {
    t.equal(scanReason(scanValue(hex(bytes), 0)), reason, `scan ${bytes.slice(0, 40)}`);
    t.match(
      thrown(() => decode(hex(bytes))),
      { name: 'DecodeError', refusal: scanValue(hex(bytes), 0) },
      `decode ${bytes.slice(0, 40)}`,
    );
  }
});

t.test('the decoder never reads past the end it is given', async () => {
  const bytesOf = (input: unknown, drop: number) => {
    const bytes = encode(input);
    return bytes.subarray(0, Math.max(0, bytes.length - drop));
  };
  const outcome = (call: () => unknown) => {
    try {
      return { value: call() };
    } catch (error) {
      return { refusal: (error as DecodeError).refusal };
    }
  };
  fc.assert(
    fc.property(value, fc.nat(3), fc.uint8Array({ minLength: 9, maxLength: 9 }), (input, drop, after) => {
      const bytes = bytesOf(input, drop);
      const more = concat([bytes, after]);
      assert.deepStrictEqual(
        outcome(() => decode(more, 0, bytes.length)),
        outcome(() => decode(bytes)),
      );
    }),
    { numRuns: 3000 },
  );
});

t.test('headers that each claim all the bytes left reserve little', async (t) => {
  const message = new Uint8Array(2_000_000);
  const view = new DataView(message.buffer);
  for (let i = 0; i < 32; i++) {
    message[i * 5] = 0xdd;
    view.setUint32(i * 5 + 1, message.length - i * 5 - 5);
  }
  const before = process.memoryUsage().heapUsed;
  t.match(
    thrown(() => decode(message)),
    { refusal: TRUNCATED },
  );
  t.ok(process.memoryUsage().heapUsed - before < 100_000_000);
});

t.test('a value must fill the range it is decoded from', async (t) => {
  t.equal(decode(hex('ff 2a ff'), 1, 2), 42);
  t.match(
    thrown(() => decode(hex('2a2a'))),
    { refusal: TRAILING },
  );
  t.match(
    thrown(() => decode(hex('9201'), 0, 2)),
    { refusal: TRUNCATED },
  );
  t.match(
    thrown(() => decode(hex('9201ff'), 0, 2)),
    { refusal: TRUNCATED },
  );
  t.throws(() => decode(new Uint8Array()), DecodeError);
  t.throws(() => decode(hex('01'), 0, 9), DecodeError);
  t.equal(decodeScanned(hex('ff2aff'), 1), 42);
});

t.test('a message with one bad frame yields none of its frames, and names the bad one', async (t) => {
  t.same(decodeAll(hex('9103 920301')), [[3], [3, 1]]);
  t.match(
    thrown(() => decodeAll(hex('9103 9201'))),
    { frame: 1, refusal: TRUNCATED },
  );
  t.match(
    thrown(() => decodeAll(hex(''))),
    { frame: 0, refusal: EMPTY },
  );
  t.throws(() => decodeAll(hex('9103 c0')), { name: 'DecodeError', message: `frame 1: refusal ${NO_ARRAY}` });
});

t.test('a __proto__ key is a member like any other', async (t) => {
  const decoded = decode(reference(JSON.parse('{"a":1,"__proto__":{"admin":true}}'))) as Record<string, unknown>;
  t.equal(Object.getPrototypeOf(decoded), Object.prototype);
  t.equal(decoded.admin, undefined);
  t.same(Object.keys(decoded), ['a', '__proto__']);
  t.same(encode(decoded), reference(JSON.parse('{"a":1,"__proto__":{"admin":true}}')));
  const twice = decode(hex('82a95f5f70726f746f5f5f01a95f5f70726f746f5f5f02')) as object;
  t.equal(Object.getOwnPropertyDescriptor(twice, '__proto__')?.value, 2);
  t.equal(({} as Record<string, unknown>).admin, undefined);
});

t.test('of a repeated key the last counts', async (t) => {
  t.same(decode(hex('83a16101a16202a16103')), { a: 3, b: 2 });
});

t.test('decoded bytes outlive the message, even when it is a Buffer', async (t) => {
  const message = Buffer.from(encode([1, Uint8Array.of(1, 2, 3), 'text']));
  const [frame] = decodeAll(message);
  message.fill(0xff);
  t.same(frame, [1, Uint8Array.of(1, 2, 3), 'text']);
  t.equal(frame?.[1]?.constructor, Uint8Array);
});
