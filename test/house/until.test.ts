/** What a test waits for and never comes is named, instead of ending the whole file without a word. */
import t from 'tap';
import { until, within } from '../support/until.js';

t.test('a condition that never holds is named after its deadline, by its source or by a name', async (t) => {
  const never = { came: false };
  await t.rejects(
    until(() => never.came, undefined, { ms: 1 }),
    { message: 'not within 1 ms: never.came' },
  );
  await t.rejects(
    until(() => never.came, 'the guest', { ms: 1 }),
    { message: 'not within 1 ms: the guest' },
  );
  await t.rejects(within(new Promise(() => undefined), 'an answer', 1), { message: 'not within 1 ms: an answer' });
  await until(() => true);
  t.equal(await within(Promise.resolve(7), 'an answer'), 7);
});
