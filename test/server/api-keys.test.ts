import t from 'tap';
import { ApiKeys } from '../../src/server/gate/api-keys.js';

const key = 'k'.repeat(16);
const padded = `${Buffer.from('a key of a backend').toString('base64')}==`;

t.test('a key is bare or has a name, and base64 that ends with = is no name', async (t) => {
  for (const [text, sent, id] of [
    [key, key, 'api-key'],
    [padded, padded, 'api-key'],
    [`ci=${key}`, key, 'api-key:ci'],
    [`ci.2=${padded}`, padded, 'api-key:ci.2'],
    [`ci=a=${key}`, `a=${key}`, 'api-key:ci'],
    [`a+name=${key}`, `a+name=${key}`, 'api-key'],
  ] as const) {
    const keys = new ApiKeys([text]);
    t.equal(keys.find(sent)?.user.id, id, text);
    if (text !== sent) t.equal(keys.find(text), undefined, 'the name is not sent');
    t.equal(keys.find(`${sent}x`), undefined);
  }
});

t.test('keys that are too short, and one key under two names, are refused', async (t) => {
  for (const keys of [[''], ['x'.repeat(15)], ['ci=x'], [`ci=${'x'.repeat(15)}`]]) {
    t.throws(() => new ApiKeys(keys), { name: 'TypeError', message: /auth\.apiKeys: use at least 16/ });
  }
  t.throws(() => new ApiKeys([`a name=${key}`]), { message: /no blanks/ });
  t.throws(() => new ApiKeys([`a=${key}`, `b=${key}`]), { message: /two names/ });
  t.throws(() => new ApiKeys([key, `b=${key}`]), { message: /two names/ });
});

t.test('all keys of a name hold together, and no other key with them', async (t) => {
  const keys = new ApiKeys([`ci=${key}`, `ci=${key}new`, `cron=${key}3`, `${key}4`, `${key}5`]);
  const holder = (sent: string): string | undefined => keys.find(sent)?.holder;
  t.equal(holder(key), holder(`${key}new`));
  t.equal(new Set([key, `${key}3`, `${key}4`, `${key}5`].map(holder)).size, 4);
  t.equal(holder(`${key}4`), new ApiKeys([`${key}4`]).find(`${key}4`)?.holder, 'the same after a restart');
  t.notMatch(holder(`${key}4`), key);
});
