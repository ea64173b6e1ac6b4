/** Full jitter stays within its bounds. */
import t from 'tap';
import { AT_ONCE, BACKOFF, classOf, REFUSE, retryDelay, TOKEN } from '../../src/client/backoff.js';
import { random } from '../random.js';

const bounds = { firstMs: 500, longestMs: 20_000 };

t.test('the delay lies anywhere from 0 to a bound that doubles up to maxMs', async (t) => {
  const { next, seed } = random();
  for (let attempt = 1; attempt < 70; attempt++) {
    const bound = Math.min(20_000, 500 * 2 ** (attempt - 1));
    for (let i = 0; i < 50; i++) {
      const delay = retryDelay({ ...bounds, jitter: next }, { attempt, code: 1006 });
      if (!(delay >= 0 && delay < bound)) t.fail(`seed ${seed}: attempt ${attempt} waits ${delay}`);
    }
    t.equal(retryDelay({ ...bounds, jitter: () => 1 }, { attempt, code: 1006 }), bound);
  }
});

t.test('each class of close codes has its reaction', async (t) => {
  const reactions = { 4000: REFUSE, 4099: REFUSE, 4100: TOKEN, 4199: TOKEN, 4200: BACKOFF, 4300: AT_ONCE };
  for (const [code, reaction] of Object.entries(reactions)) t.equal(classOf(Number(code)), reaction, code);
  const known = new Set(Object.values(reactions));
  for (const code of [0, 1000, 1006, 4900]) t.notOk(known.has(classOf(code)), `${code}: as a lost connection`);
});

t.test('what connects at once backs off when that did not help', async (t) => {
  const jitter = (): number => 1;
  t.equal(retryDelay({ ...bounds, jitter }, { attempt: 1, code: 4300 }), 0);
  t.equal(retryDelay({ ...bounds, jitter }, { attempt: 3, code: 4300 }), 2_000);
});
