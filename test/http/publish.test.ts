/** POST /api/publish: a batch's items stand for themselves, and a key means one content in one scope. */
import fc from 'fast-check';
import * as v from 'valibot';
import t from 'tap';
import { http } from '../../src/http/http.js';
import { defineContract } from '../../src/protocol/contract.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET } from '../support/tokens.js';

const [CI, CI_NEW, CRON, BARE, BARE2] = ['ci', 'cinew', 'cron', 'bare', 'bare2'].map((name) =>
  name.padEnd(16, '0'),
) as [string, string, string, string, string];
const auth = { secret: SECRET, apiKeys: [`ci=${CI}`, `ci=${CI_NEW}`, `cron=${CRON}`, BARE, BARE2] };
const contract = defineContract({
  topics: {
    'chat:{id}': { events: { message: v.unknown(), 'any:*': v.unknown(), strict: v.object({ n: v.number() }) } },
  },
});

interface Result {
  readonly offset?: number;
  readonly error?: { readonly name?: string; readonly status: number; readonly details?: unknown };
}

async function start(t: Test, options = {}) {
  const s = await startServer(t, { contract, plugins: [http()] as const, auth, ...options });
  const publish = async (body: unknown, { key, as = CI }: { key?: string; as?: string } = {}) => {
    const response = await fetch(`${s.http}/api/publish`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${as}`,
        'content-type': 'application/json',
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    return {
      status: response.status,
      body: (await response.json()) as Result & { readonly name?: string; readonly results: readonly Result[] },
    };
  };
  const head = async (topic = 'chat:1'): Promise<number> => (await s.server.inspect(topic)).head;
  return { ...s, publish, head };
}

const good = { topic: 'chat:1', event: 'message', data: { text: 'hi' } };
const long = 'x'.repeat(3_000);
const bad: readonly [what: string, item: string, status: number][] = [
  ['no object', '7', 422],
  ['null', 'null', 422],
  ['a list', '[]', 422],
  ['no topic', '{"event":"message","data":1}', 422],
  ['an empty topic', '{"topic":"","event":"message","data":1}', 422],
  ['an unknown member', '{"topic":"chat:1","event":"message","data":1,"to":"x"}', 422],
  ['an empty key', '{"topic":"chat:1","event":"message","data":1,"key":""}', 422],
  ['a topic nobody knows', '{"topic":"nowhere","event":"message","data":1}', 404],
  ['an event nobody knows', '{"topic":"chat:1","event":"nothing","data":1}', 400],
  ['data against the schema', '{"topic":"chat:1","event":"strict","data":{"n":"1"}}', 422],
  ['half a character in data', '{"topic":"chat:1","event":"message","data":"\\ud83d"}', 422],
  ['half a character in the key', '{"topic":"chat:1","event":"message","data":1,"key":"\\ud83d"}', 422],
  ['data that is too deep', `{"topic":"chat:1","event":"message","data":${'['.repeat(60)}${']'.repeat(60)}}`, 422],
  ['data that is too large', `{"topic":"chat:1","event":"message","data":"${'x'.repeat(300_000)}"}`, 413],
  ['a topic that is too long', `{"topic":"chat:${long}","event":"message","data":1}`, 413],
  ['an event that is too long', `{"topic":"chat:1","event":"any:${long}","data":1}`, 413],
  ['a key that is too long', `{"topic":"chat:1","event":"message","data":1,"key":"${long}"}`, 413],
];

t.test(
  'a bad item has its own answer, and the others are published once, also when the batch is repeated',
  async (t) => {
    const s = await start(t);
    for (const [what, item, status] of bad) {
      const batch = `{"messages":[${JSON.stringify(good)},${item},${JSON.stringify(good)}]}`;
      const before = await s.head();
      const first = await s.publish(batch, { key: what });
      t.match(first, { status: 200, body: { results: [{ offset: before + 1 }, {}, { offset: before + 2 }] } }, what);
      t.match(first.body.results[1], { error: { status, name: String, detail: String } }, what);
      t.same((await s.publish(batch, { key: what })).body, first.body, `${what}: the same answer`);
      t.equal(await s.head(), before + 2, `${what}: nothing is doubled`);
      const single = await s.publish(item);
      t.equal(single.status, status, `${what}, alone`);
    }
    t.same(s.log.errors, []);
  },
);

t.test('whatever the items are, each has a result, and those that say so are there', async (t) => {
  const s = await start(t);
  const name = fc.oneof(fc.constantFrom('chat:1', 'message', 'strict', 'any:x', '', '__proto__'), fc.string());
  const item = fc.oneof(
    fc.constant(good),
    fc.jsonValue(),
    fc.record(
      { topic: name, event: name, data: fc.jsonValue(), key: name, diagnose: fc.boolean() },
      { requiredKeys: [] },
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(item, { maxLength: 12 }), async (messages) => {
      const before = await s.head();
      const { status, body } = await s.publish({ messages });
      t.equal(status, 200);
      t.equal(body.results.length, messages.length);
      const there = new Set(body.results.map(({ offset }) => offset).filter((offset) => (offset ?? 0) > before));
      t.equal((await s.head()) - before, there.size);
      t.ok(body.results.every(({ offset, error }) => (offset === undefined) !== (error === undefined)));
      t.ok(body.results.every(({ error }) => error === undefined || error.status < 500));
    }),
    { numRuns: 60 },
  );
  t.same(s.log.errors, []);
});

t.test('an event that is published is not told to have failed because its topic could not be diagnosed', async (t) => {
  const s = await start(t);
  s.server.inspect = () => Promise.reject(new Error('the store is slow'));
  const result = await s.publish({ messages: [{ ...good, diagnose: true }] });
  t.match(result, { status: 200, body: { results: [{ offset: 1 }] } });
  t.match(await s.publish({ ...good, diagnose: true }), { status: 200, body: { offset: 2 } });
});

t.test('an empty Idempotency-Key is no key, and says so', async (t) => {
  const s = await start(t);
  for (const key of ['', ' ', '\t']) {
    t.match(await s.publish(good, { key }), { status: 400, body: { detail: /idempotency-key: must not be empty/ } });
    t.equal((await s.publish({ messages: [good] }, { key })).status, 400);
  }
  t.equal(await s.head(), 0, 'nothing is lost silently');
});

t.test('the same JSON is the same content, whatever the order of its members', async (t) => {
  const s = await start(t);
  const at = (data: string): string => `{"topic":"chat:1","event":"message","data":${data}}`;
  const first = await s.publish(at('{"a":1,"b":[{"c":1,"d":2}],"10":1,"9":2}'), { key: 'k' });
  for (const same of ['{"b":[{"d":2,"c":1}],"a":1,"9":2,"10":1}', ' {"a":1.0,"b":[{"c":1,"d":2}],"10":1,"9":2}']) {
    t.same(await s.publish(at(same), { key: 'k' }), first, same);
    t.same(await s.publish(`{"data":${same},"key":"k","event":"message","topic":"chat:1"}`), first, same);
  }
  for (const other of ['{"a":1,"b":[{"c":2,"d":1}],"10":1,"9":2}', '{"a":1}', '[]', 'null']) {
    t.match(await s.publish(at(other), { key: 'k' }), { status: 422, body: { name: 'key_reused' } }, other);
  }
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.string(), fc.jsonValue()), fc.uuid(), async (data, key) => {
      const turned = Object.fromEntries(Object.entries(data).reverse());
      const once = await s.publish({ ...good, data }, { key });
      t.same(await s.publish({ ...good, data: turned }, { key }), once);
    }),
    { numRuns: 20 },
  );
});

t.test('the key of a batch is none of an item’s, and that of a backend none of another’s', async (t) => {
  const s = await start(t);
  const other = { ...good, data: 'other' };
  const offset = async (body: unknown, options = {}): Promise<number | undefined> => {
    const { status, body: answer } = await s.publish(body, options);
    t.equal(status, 200);
    return answer.offset ?? answer.results.at(-1)?.offset;
  };
  await offset({ messages: [good, good] }, { key: 'h' });
  t.equal(await s.head(), 2);
  // What items of the batch could be called, by header and by item.
  for (const key of ['h', 'h/0', 'h/1', 'item', '1']) t.equal(await offset(other, { key }), await s.head());
  t.equal(await s.head(), 7);
  for (const key of ['x/1', 'x/item/1']) await offset({ ...other, key });
  t.equal(await offset({ messages: [good, good] }, { key: 'x' }), 11);
  // By backend: a name is one, however its key changes; bare keys are each their own.
  const by = async (as: string): Promise<number | undefined> => offset(good, { key: 'shared', as });
  const first = await by(CI);
  t.equal(await by(CI_NEW), first, 'a rotation keeps what its keys began');
  t.strictSame([await by(CRON), await by(BARE), await by(BARE2), await by(BARE)], [13, 14, 15, 14]);
});

t.test('guests share one scope, though each of their requests is another guest', async (t) => {
  const s = await start(t, { auth: {} });
  const first = await s.publish(good, { key: 'k' });
  t.same(await s.publish(good, { key: 'k' }), first);
});

t.test('names of programs have the limits of names from outside', async (t) => {
  const { server } = await start(t);
  const publish = server.publish.bind(server) as (...args: readonly unknown[]) => Promise<unknown>;
  for (const [topic, event, key, code] of [
    ['chat:1', `any:${long}`, undefined, 'too_large'],
    [`chat:${long}`, 'message', undefined, 'too_large'],
    ['chat:1', 'message', long, 'too_large'],
    ['chat:1', 'message', 'é'.repeat(101), 'too_large'],
    ['chat:1', 'message', '', 'bad_request'],
    ['chat:1', '', undefined, 'bad_request'],
    ['', 'message', undefined, 'bad_request'],
  ] as const) {
    await t.rejects(publish(topic, event, 1, { key }), { name: code });
  }
  t.match(await publish('chat:1', `any:${'x'.repeat(196)}`, 1, { key: 'é'.repeat(100) }), { offset: 1 });
});
