/** The encoder writes a header before it knows what follows, and mends it: on both sides of each form it is the shortest. */
import assert from 'node:assert/strict';
import { encode as reference } from '@msgpack/msgpack';
import t from 'tap';
import { encode, EncodeError, Writer } from '../../src/protocol/codec.js';

const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

t.test('a map around members that are undefined has the shortest header, on both sides of each form', async () => {
  for (const size of [15, 16, 17, 65_535, 65_536, 65_537]) {
    for (const undefinedOnes of [1, 2, size]) {
      const members = Array.from({ length: size }, (_, i) => [`k${i}`, i < size - undefinedOnes ? { i } : undefined]);
      const map = Object.fromEntries(members) as Record<string, unknown>;
      assert.equal(toHex(encode([map, 'z'])), toHex(reference([map, 'z'], { ignoreUndefined: true })));
    }
  }
});

t.test('text of any length and script has its UTF-8, and half a character is refused wherever it is', async (t) => {
  const writer = new Writer();
  for (let length = 0; length < 300; length++) {
    for (const filling of ['a', 'é', '€', '😀']) {
      // On both sides of what a loop encodes, of each form of the header, and of the writer's first buffer.
      const text = 'a'.repeat(length % 7) + filling.repeat(length);
      assert.equal(toHex(encode([text, text])), toHex(reference([text, text])));
      for (const half of ['\ud83d', '\ude00', '\ud83d\ud83d', '\ude00\ud83d']) {
        for (const broken of [text + half, half + text, text + half + text]) {
          assert.throws(() => writer.writeString(broken), EncodeError);
          assert.throws(() => encode({ [broken]: 1 }), EncodeError);
        }
      }
    }
  }
  t.equal(writer.written.length, 0, 'and nothing of it stays written');
});

t.test('text is whole wherever in the writer it comes to the end of its buffer', async () => {
  for (let before = 0; before < 1_100; before += 3) {
    for (const text of [
      'a'.repeat(50),
      'é'.repeat(130),
      `${'a'.repeat(240)}€€`,
      '😀'.repeat(200),
      `${'a'.repeat(30)}€`,
    ]) {
      const value = ['x'.repeat(before), text, [text], 1];
      const fresh = new Writer();
      fresh.writeValue(value);
      assert.equal(toHex(fresh.written), toHex(reference(value)));
    }
  }
});
