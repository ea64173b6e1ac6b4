/** Full jitter stays within its bounds. */
import t from 'tap';
import { reactionTo, retryDelay } from '../../src/client/backoff.js';
import { random } from '../random.js';

const bounds = { baseMs: 500, maxMs: 20_000 };

t.test('the delay lies anywhere from 0 to a bound that doubles up to maxMs', async (t) => {
  const { next, seed } = random();
  for (let attempt = 1; attempt < 70; attempt++) {
    const bound = Math.min(20_000, 500 * 2 ** (attempt - 1));
    for (let i = 0; i < 50; i++) {
      const delay = retryDelay({ ...bounds, random: next }, { attempt, code: 1006 });
      if (!(delay >= 0 && delay < bound)) t.fail(`seed ${seed}: attempt ${attempt} waits ${delay}`);
    }
    t.equal(retryDelay({ ...bounds, random: () => 1 }, { attempt, code: 1006 }), bound);
  }
});

t.test('each class of close codes has its reaction', async (t) => {
  const reactions = { 1006: 'backoff', 1000: 'backoff', 4000: 'refuse', 4099: 'refuse', 4100: 'token', 4199: 'token' };
  for (const [code, reaction] of Object.entries(reactions)) t.equal(reactionTo(Number(code)), reaction, code);
  t.equal(reactionTo(4200), 'backoff');
  t.equal(reactionTo(4300), 'at once');
  t.equal(reactionTo(4900), 'backoff');
});

t.test('what connects at once backs off when that did not help', async (t) => {
  const random = (): number => 1;
  t.equal(retryDelay({ ...bounds, random }, { attempt: 1, code: 4300 }), 0);
  t.equal(retryDelay({ ...bounds, random }, { attempt: 3, code: 4300 }), 2_000);
});
