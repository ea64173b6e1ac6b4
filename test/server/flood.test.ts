/** A publisher that is too fast is refused with the time to wait, and loses nothing by waiting so long. */
import t from 'tap';
import { connect, type RoomwireError } from '../../src/client/node.js';
import { errors } from '../../src/protocol/codes.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { until } from '../support/until.js';

interface Refusal {
  readonly code: number;
  readonly details?: unknown;
}

/** Ms to wait; throws what is not `too_many`. */
function waitOf(error: unknown): number {
  const { code, details } = error as Refusal;
  if (code !== errors.too_many) throw error as Error;
  return (details as { retryAfterMs: number }).retryAfterMs;
}

const rates = { publishesPerSecond: 10, userPublishesPerSecond: 0 };

t.test('who waits as long as too_many says publishes everything, once and in order', async (t) => {
  const time = new ManualTime();
  const { client } = await startOpen(t, { time, limits: rates });
  const [reader, writer] = [await client(), await client()];
  await reader.subscribe('chat:1');
  await writer.subscribe('chat:1');
  let waited = 0;
  for (let n = 0; n < 60; n++) {
    for (;;) {
      try {
        await writer.publish('chat:1', 'message', n);
        break;
      } catch (error) {
        const wait = waitOf(error);
        // Not a moment before.
        time.advance(wait - 1);
        await t.rejects(writer.publish('chat:1', 'message', 'early'), { code: errors.too_many });
        time.advance(1);
        waited += wait;
      }
    }
  }
  await reader.event('chat:1', 'message', 60);
  t.strictSame(
    reader.events('chat:1').map(([offset, , data]) => [offset, data]),
    Array.from({ length: 60 }, (_, n) => [n + 1, n]),
  );
  t.equal(waited, 4_000, 'two seconds are there from the beginning, the others are waited for');
});

t.test('the SDK tells how long to wait in the details of the error, and a retry then goes through', async (t) => {
  const time = new ManualTime();
  // A rate of these topics alone, which WELCOME does not name: those that it does name, the SDK keeps by itself.
  const { url } = await startOpen(t, { time, rates: { publishes: { 'chat:{id}': 10 } } });
  const client = connect(url);
  t.teardown(() => client.close());
  const subscription = client.subscribe('chat:1');
  const heard: unknown[] = [];
  subscription.on('message', (data) => heard.push(data));
  await subscription.ready;
  let left = Array.from({ length: 60 }, (_, n) => n);
  let rounds = 0;
  for (; left.length > 0; rounds++) {
    const waits: number[] = [];
    const refused: number[] = [];
    await Promise.all(
      left.map((n) =>
        subscription.publish('message', n).catch((error: unknown) => {
          t.equal((error as RoomwireError).name, 'too_many');
          waits.push(waitOf(error));
          refused.push(n);
        }),
      ),
    );
    left = refused;
    if (waits.length > 0) time.advance(Math.max(...waits));
  }
  await until(() => heard.length === 60);
  t.same(
    [...heard].sort((a, b) => (a as number) - (b as number)),
    Array.from({ length: 60 }, (_, n) => n),
    'each once',
  );
  t.equal(rounds, 41, 'twenty at once, then one in each tenth of a second');
});
