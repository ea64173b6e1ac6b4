import t from 'tap';
import { randomText } from '../../src/server/gate/random.js';

t.test('random texts are of their length and never the same, also where the pool is filled anew', (t) => {
  const lengths = [6, 16, 24, 1, 4_096, 24, 4_096, ...Array.from({ length: 2_000 }, (_, n) => 16 + (n % 17))];
  const texts = lengths.map((bytes) => randomText(bytes));
  texts.forEach((text, n) => t.equal(Buffer.from(text, 'base64url').length, lengths[n]));
  t.equal(new Set(texts.filter(({ length }) => length > 6)).size, texts.filter(({ length }) => length > 6).length);
  // What was taken leaves nothing of itself behind, and nobody gets what was wiped.
  t.notOk(texts.some((text) => text.length > 8 && /^A+$/.test(text)));
  t.end();
});
