/** A body as its parts come: whole in the end, and reserved only when enough of it is there. */
import fc from 'fast-check';
import t from 'tap';
import { Gathered } from '../../src/server/transport/gathered.js';
import { environmentSeed } from '../random.js';

t.test('whatever its parts, and whether its length was announced or not, a body is what came', async (t) => {
  const seed = environmentSeed();
  t.comment(`SEED=${seed}`);
  const parts = fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 12 });
  fc.assert(
    fc.property(parts, fc.boolean(), (lengths, isAnnounced) => {
      const sent = lengths.map((length, i) => Buffer.alloc(length, i + 1));
      const all = Buffer.concat(sent);
      const gathered = new Gathered(isAnnounced ? all.length : 0);
      for (const part of sent) {
        const chunk = Buffer.from(part);
        gathered.add(chunk);
        // The engine's memory is another's by then.
        chunk.fill(0xff);
      }
      return gathered.length === all.length && gathered.take().equals(all);
    }),
    { seed, numRuns: 200 },
  );
});

t.test('an announcement alone reserves nothing, and one that was not kept is no longer than what came', (t) => {
  const announced = 64 * 1024 * 1024;
  const reserved = t.capture(Buffer, 'allocUnsafeSlow', Buffer.allocUnsafeSlow.bind(Buffer));
  const gathered = new Gathered(announced);
  gathered.add(Buffer.alloc(announced / 16 - 1, 1));
  t.equal(reserved().length, 0);
  gathered.add(Buffer.alloc(1, 2));
  t.equal(reserved().length, 1);
  const body = gathered.take();
  t.strictSame([body.length, body[0], body.at(-1)], [announced / 16, 1, 2]);
  t.equal(gathered.length, 0, 'it keeps nothing');
  t.end();
});

t.test('more than was announced is refused', (t) => {
  const gathered = new Gathered(300_000);
  gathered.add(Buffer.alloc(300_000));
  t.throws(() => gathered.add(Buffer.alloc(1)), RangeError);
  t.end();
});
