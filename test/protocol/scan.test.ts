import { encode as reference } from '@msgpack/msgpack';
import fc from 'fast-check';
import t from 'tap';
import { MAX_DEPTH } from '../../src/protocol/sizes.js';
import {
  arrayLength,
  arrayStart,
  elements,
  isNil,
  readInt,
  readNumber,
  readString,
  scanMessage,
  scanReason,
  scanValue,
  skip,
} from '../../src/protocol/scan.js';

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const reasonOf = (text: string) => scanReason(scanValue(hex(text), 0));

/** A second reading of the rules, plain and slow: the end of the value at `pos`, or undefined. */
function naive(bytes: Uint8Array, pos: number, depth = MAX_DEPTH): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    return walk(pos, depth);
  } catch {
    return undefined;
  }
  function text(start: number, size: number): number {
    if (start + size > bytes.length) throw new RangeError();
    new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(start, start + size));
    return start + size;
  }
  function bin(start: number, size: number): number {
    if (start + size > bytes.length) throw new RangeError();
    return start + size;
  }
  function safe(value: bigint): void {
    if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) throw new RangeError();
  }
  function items(start: number, count: number, room: number, keyed: boolean): number {
    if (room === 0) throw new RangeError();
    for (let i = 0; i < count; i++) {
      if (keyed) {
        const type = view.getUint8(start);
        if (!((type >= 0xa0 && type <= 0xbf) || (type >= 0xd9 && type <= 0xdb))) throw new TypeError();
        start = walk(start, room - 1);
      }
      start = walk(start, room - 1);
    }
    return start;
  }
  function walk(at: number, room: number): number {
    const type = view.getUint8(at++);
    if (type <= 0x7f || type >= 0xe0) return at;
    if (type <= 0x8f) return items(at, type - 0x80, room, true);
    if (type <= 0x9f) return items(at, type - 0x90, room, false);
    if (type <= 0xbf) return text(at, type - 0xa0);
    if (type === 0xc0 || type === 0xc2 || type === 0xc3) return at;
    if (type === 0xc4) return bin(at + 1, view.getUint8(at));
    if (type === 0xc5) return bin(at + 2, view.getUint16(at));
    if (type === 0xc6) return bin(at + 4, view.getUint32(at));
    if (type === 0xcc || type === 0xd0) return bin(at, 1);
    if (type === 0xcd || type === 0xd1) return bin(at, 2);
    if (type === 0xca || type === 0xce || type === 0xd2) return bin(at, 4);
    if (type === 0xcb) return bin(at, 8);
    if (type === 0xcf) safe(view.getBigUint64(at));
    if (type === 0xd3) safe(view.getBigInt64(at));
    if (type === 0xcf || type === 0xd3) return at + 8;
    if (type === 0xd9) return text(at + 1, view.getUint8(at));
    if (type === 0xda) return text(at + 2, view.getUint16(at));
    if (type === 0xdb) return text(at + 4, view.getUint32(at));
    if (type === 0xdc) return items(at + 2, view.getUint16(at), room, false);
    if (type === 0xdd) return items(at + 4, view.getUint32(at), room, false);
    if (type === 0xde) return items(at + 2, view.getUint16(at), room, true);
    if (type === 0xdf) return items(at + 4, view.getUint32(at), room, true);
    throw new TypeError();
  }
}

/** Bytes that count every read and fail the test at one outside `[0, end)`. */
function guarded(bytes: Uint8Array, end = bytes.length) {
  const counter = { reads: 0 };
  const proxy = new Proxy(bytes, {
    get(target, key) {
      if (key === 'length') return target.length;
      const index = Number(key);
      counter.reads++;
      if (!(index >= 0 && index < end)) throw new Error(`read at ${String(key)} of ${end}`);
      return target[index];
    },
  });
  return { proxy, counter };
}

/** Bytes that look like MessagePack often enough to reach every branch. */
const typeByte = fc.oneof(
  fc.integer({ min: 0x80, max: 0xa4 }),
  fc.integer({ min: 0xc0, max: 0xdf }),
  fc.integer({ min: 0, max: 255 }),
  fc.constantFrom(0, 1, 2, 0xff, 0xed, 0xa0, 0xe2, 0xf0, 0x9f),
);
const noise = fc.array(typeByte, { maxLength: 40 }).map((list) => Uint8Array.from(list));
const frame = fc
  .tuple(fc.nat(200), fc.array(fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' }), { maxLength: 5 }))
  .map(([op, rest]) => reference([op, ...rest]));
const mutated = fc.tuple(frame, fc.array(fc.tuple(fc.nat(), typeByte), { maxLength: 3 })).map(([bytes, changes]) => {
  const copy = bytes.slice();
  for (const [where, byte] of changes) copy[where % copy.length] = byte;
  return copy;
});

t.test('every type of the subset is accepted, with its end', async (t) => {
  const values = [
    '00', '7f', 'e0', 'ff', 'c0', 'c2', 'c3', '80', '90', 'a0', 'a161', 'c400', 'c40101', 'c50001ff',
    'c600000001ff', 'ca3fc00000', 'cb3ff8000000000000', 'ccff', 'cdffff', 'ceffffffff', 'cf001fffffffffffff', 'd080',
    'd18000', 'd280000000', 'd3ffe0000000000001', 'd90161', 'da000161', 'db0000000161', 'dc000101', 'dd0000000101',
    'de0001a16101', 'df00000001a16101', '81a16101', 'd3001fffffffffffff',
  ]; // prettier-ignore
  for (const value of values) {
    t.equal(scanValue(hex(`${value}ff`), 0), value.length / 2, value);
    t.equal(skip(hex(value), 0), value.length / 2, `skip ${value}`);
  }
});

t.test('ext and reserved types are refused', async (t) => {
  for (const type of ['c1', 'c7', 'c8', 'c9', 'd4', 'd5', 'd6', 'd7', 'd8']) {
    t.equal(reasonOf(`${type}01ff0000000000000000000000000000000000`), 'ext or reserved type', type);
  }
});

t.test('integers outside ±(2^53 - 1) are refused in both 64-bit forms', async (t) => {
  for (const value of ['cf0020000000000000', 'cfffffffffffffffff', 'd30020000000000000', 'd3ffe0000000000000']) {
    t.equal(reasonOf(value), 'integer outside ±(2^53 - 1)', value);
  }
  t.equal(reasonOf('d38000000000000000'), 'integer outside ±(2^53 - 1)');
});

t.test('text that is not well-formed UTF-8 is refused', async (t) => {
  for (const bad of [
    '80',
    'c080',
    'c1bf',
    'e08080',
    'e09fbf',
    'eda080',
    'edbfbf',
    'f08fbfbf',
    'f4908080',
    'f5808080',
    'c3',
    'e282',
    'f09f98',
    'e228a1',
    'f0289f98',
    'ff',
    '61626364c3',
  ]) {
    // prettier-ignore
    const size = (0xa0 + bad.length / 2).toString(16);
    t.equal(reasonOf(size + bad), 'invalid UTF-8', bad);
    t.equal(reasonOf(`81${size}${bad}c0`), 'invalid UTF-8', `as a key: ${bad}`);
  }
});

t.test('every code point passes in UTF-8, and no surrogate does', async (t) => {
  for (let point = 0; point <= 0x10ffff; point += point < 0x11000 ? 1 : 255) {
    const surrogate = point >= 0xd800 && point <= 0xdfff;
    const bytes = surrogate
      ? [0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)]
      : Buffer.from(String.fromCodePoint(point));
    if (scanValue(Uint8Array.of(0xa0 + bytes.length, ...bytes), 0) > 0 === surrogate) t.fail(`U+${point.toString(16)}`);
  }
});

t.test('a map key that is not a string is refused', async (t) => {
  for (const key of ['01', 'c0', 'c40161', '90', '80', 'cb3ff8000000000000', 'c1']) {
    t.equal(reasonOf(`81${key}01`), 'map key is not a string', key);
  }
});

t.test('depth counts every array and map, and one more than the limit is refused', async (t) => {
  t.equal(scanValue(hex(`${'91'.repeat(31)}90`), 0), 32);
  t.equal(reasonOf(`${'91'.repeat(32)}90`), 'nested too deep');
  t.equal(scanValue(hex(`${'81a161'.repeat(32)}c0`), 0), 97);
  t.equal(reasonOf(`${'81a161'.repeat(33)}c0`), 'nested too deep');
  t.equal(scanReason(scanValue(hex('9190'), 0, 2, 1)), 'nested too deep');
});

t.test('a million opening brackets cost no more than the limit', async (t) => {
  const { proxy, counter } = guarded(new Uint8Array(1e6).fill(0x91));
  t.equal(scanReason(scanValue(proxy, 0)), 'nested too deep');
  t.ok(counter.reads < 100);
});

t.test('a length past the end is refused from its header alone', async (t) => {
  const many = 'c0'.repeat(5000);
  for (const header of [
    'dcffff',
    'ddffffffff',
    'deffff',
    'dfffffffff',
    'dd00001389',
    'dbffffffff',
    'c6ffffffff',
    'daffff',
  ]) {
    // prettier-ignore
    const { proxy, counter } = guarded(hex(header + many));
    t.equal(scanReason(scanValue(proxy, 0)), 'truncated or a length past the end', header);
    t.ok(counter.reads < 10, `${counter.reads} reads`);
  }
});

t.test('every proper prefix of a value is refused as truncated', async () => {
  fc.assert(
    fc.property(frame, (bytes) => {
      for (let end = 0; end < bytes.length; end++) {
        const { proxy } = guarded(bytes, end);
        const result = scanValue(proxy, 0, end);
        if (scanReason(result) !== 'truncated or a length past the end') return false;
      }
      return scanValue(bytes, 0) === bytes.length && skip(bytes, 0) === bytes.length;
    }),
  );
});

t.test('on any bytes the scanner agrees with a plain reading of the rules and stays inside them', async (t) => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof(noise, mutated), fc.constantFrom(MAX_DEPTH, 2), (bytes, depth) => {
      const { proxy } = guarded(bytes);
      const result = scanValue(proxy, 0, bytes.length, depth);
      const expected = naive(bytes, 0, depth);
      if (result >= 0) {
        accepted++;
        if (skip(guarded(bytes).proxy, 0) !== result) return false;
      }
      return expected === undefined ? result < 0 : result === expected;
    }),
    { numRuns: 20_000 },
  );
  t.ok(accepted > 1000, `${accepted} accepted`);
});

t.test('a message is one or more arrays that start with an opcode', async (t) => {
  const starts: number[] = [];
  t.equal(scanMessage(hex('9103 920301 93ca40400000c0c0'), starts), 3);
  t.same(starts, [0, 2, 5, 13]);
  t.equal(scanMessage(hex('9107'), starts), 1, 'the list is used again');
  t.same(starts.slice(0, 2), [0, 2]);
  const failures = [
    ['', 0, 'empty message'],
    ['90', 0, 'frame has no opcode'],
    ['9103 dc0000', 1, 'frame has no opcode'],
    ['9103 91ff', 1, 'frame has no opcode'],
    ['91a161', 0, 'frame has no opcode'],
    ['91cb3ff8000000000000', 0, 'frame has no opcode'],
    ['91cb7ff0000000000000', 0, 'frame has no opcode'],
    ['9103 9103 c0', 2, 'frame is not an array'],
    ['8103c0', 0, 'frame is not an array'],
    ['9103 9203', 1, 'truncated or a length past the end'],
    ['9103 92 03 c1', 1, 'ext or reserved type'],
  ] as const;
  for (const [message, frame, reason] of failures)
    t.same(scanMessage(hex(message), starts), { frame, reason }, message);
});

t.test('an opcode may come in any integer encoding and as an integral float', async (t) => {
  for (const op of [
    '22',
    'cc22',
    'cd0022',
    'ce00000022',
    'cf0000000000000022',
    'd022',
    'd10022',
    'd200000022',
    'd30000000000000022',
    'ca42080000',
    'cb4041000000000000',
  ]) {
    // prettier-ignore
    t.equal(scanMessage(hex(`91${op}`), []), 1, op);
    t.equal(readInt(hex(op), 0), 34, op);
  }
});

t.test('a message of the smallest frames does not leave a large list behind', async (t) => {
  const starts: number[] = [];
  t.equal(scanMessage(hex('9103'.repeat(10_000)), starts), 10_000);
  t.equal(scanMessage(hex('9103'), starts), 1);
  t.equal(starts.length, 2);
});

t.test('the depth a message may use can be lowered', async (t) => {
  t.equal(scanMessage(hex('920391 90'), [], 3), 1);
  t.same(scanMessage(hex('9103 920391 90'), [], 2), { frame: 1, reason: 'nested too deep' });
});

t.test('the parts of a PUBLISH are found without decoding its data', async (t) => {
  const data = { x: [1, 2, { y: 'z'.repeat(300) }], b: new Uint8Array(70_000) };
  const frames = [
    [34, 7, 'room:a', 'draw', null, data],
    [34, 7, 'room:a', 'draw', null, data, 'extra', data],
  ];
  for (const parts of frames) {
    const bytes = reference(['before', parts, 'after']);
    const start = skip(bytes, 1);
    const end = skip(bytes, start);
    const into = new Int32Array(7);
    t.equal(elements(bytes, start, end, into), parts.length);
    t.equal(readInt(bytes, into[0] as number), 34);
    t.equal(readString(bytes, into[2] as number), 'room:a');
    t.ok(isNil(bytes, into[4] as number));
    t.ok(Buffer.from(reference(data)).equals(bytes.subarray(into[5], into[6])));
  }
});

t.test('elements tells the length of short arrays, and that a value is no array', async (t) => {
  const into = new Int32Array(7);
  t.equal(elements(hex('90'), 0, 1, into), 0);
  t.equal(elements(hex('9107'), 0, 2, into), 1);
  t.same([...into.slice(0, 2)], [1, 2]);
  t.equal(elements(hex('80'), 0, 1, into), -1);
  t.equal(arrayLength(hex('dc0102'), 0), 258);
  t.equal(arrayLength(hex('dd00010002'), 0), 65538);
  t.equal(arrayStart(hex('dd00010002'), 0), 5);
  t.equal(arrayStart(hex('dc0102'), 0), 3);
});

t.test('only a few elements of a padded frame are walked', async (t) => {
  const { proxy, counter } = guarded(hex(`dcea60${'c0'.repeat(60_000)}`));
  t.equal(elements(proxy, 0, 60_003, new Int32Array(4)), 60_000);
  t.ok(counter.reads < 50);
});

t.test('readInt gives undefined for what is no safe integer', async (t) => {
  for (const value of ['c0', 'a131', 'cb3ff8000000000000', 'cb4340000000000000', 'cb7ff8000000000000', '90', 'c3']) {
    t.equal(readInt(hex(value), 0), undefined, value);
  }
  t.ok(Object.is(readInt(hex('cb8000000000000000'), 0), 0), 'minus zero is 0');
  t.equal(readInt(hex('d3ffe0000000000001'), 0), Number.MIN_SAFE_INTEGER);
  t.equal(readInt(hex('cf001fffffffffffff'), 0), Number.MAX_SAFE_INTEGER);
  t.equal(readNumber(hex('ca3fc00000'), 0), 1.5);
});

t.test('readString reads every length form, and undefined for what is no string', async (t) => {
  for (const text of ['', 'a', 'é', '\ufeffbom', '\0', '😀', 'x'.repeat(24), 'ü'.repeat(100), 'y'.repeat(70_000)]) {
    t.equal(readString(reference(text), 0), text);
    t.equal(readString(reference(text), 0), text, 'and again');
  }
  t.equal(readString(hex('c40161'), 0), undefined);
  t.equal(readString(hex('dc000161'), 0), undefined);
});

t.test('a string seen before is never taken for another', async () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '\0', 'é', '\u0080'), maxLength: 26 });
  fc.assert(
    fc.property(text, (value) => readString(reference(value), 0) === value),
    { numRuns: 5000 },
  );
});
