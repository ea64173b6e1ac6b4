/** Calls that a backend answers, through a real one: its answers, and what it may do wrong. */
import * as v from 'valibot';
import t from 'tap';
import { hooks, type HooksOptions } from '../../src/hooks/hooks.js';
import { defineContract } from '../../src/protocol/contract.js';
import { Op } from '../../src/protocol/frames.js';
import { HOOKS_SECRET, json, startBackend, status, type Answering } from '../support/backend.js';
import { ManualTime } from '../support/manual-time.js';
import { startServer, type Test } from '../support/server.js';
import { until } from '../support/until.js';

const contract = defineContract({
  topics: { 'news:{id}': { events: { headline: v.object({ text: v.string() }) } } },
  calls: { 'job:start': { input: v.unknown() }, 'job:stop': { input: v.unknown() } },
});

async function start(t: Test, answering: Answering, options: Partial<HooksOptions> = {}, more = {}) {
  const backend = await startBackend(t, answering);
  const plugin = hooks({ url: backend.url, secret: HOOKS_SECRET, calls: ['job:start'], ...options });
  const s = await startServer(t, { contract, plugins: [plugin] as const, ...more });
  return { ...s, backend, stats: () => s.server.plugins.hooks.stats() };
}

t.test('a call named in the config goes to the backend, signed, and its answer to the client', async (t) => {
  const before = Date.now();
  const s = await start(t, () => ({ result: { job: 7 } }));
  const client = await s.client();
  t.same(await client.call('job:start', { steps: [1, 2.5, null] }, { key: 'k-1' }), { job: 7 });
  const [call] = s.backend.received;
  t.match(call, {
    isSigned: true,
    body: {
      type: 'call',
      call: 'job:start',
      input: { steps: [1, 2.5, null] },
      key: 'k-1',
      user: { id: client.welcome.user.id },
      sid: client.welcome.session[0],
    },
  });
  const timestamp = call?.timestamp ?? 0;
  t.ok(timestamp >= Math.floor(before / 1_000) && timestamp <= Date.now() / 1_000);
  t.same(await client.call('job:start', { steps: [1, 2.5, null] }, { key: 'k-1' }), { job: 7 });
  t.equal(s.backend.received.length, 1, 'a repetition with its key gets the first answer');
  await t.rejects(client.call('job:stop'), { code: 102 }, 'other calls do not go there');
});

t.test('an error of the backend reaches the client under its code, also with a 4xx', async (t) => {
  const s = await start(t, () => undefined);
  const client = await s.client();
  const errors: [unknown, number, { code: number; message?: string; details?: object }][] = [
    [
      { error: { name: 'conflict', message: 'changed', details: { at: 3 } } },
      200,
      { code: 114, message: 'changed', details: { at: 3 } },
    ],
    [{ error: { code: 205, message: 'busy' } }, 200, { code: 205 }],
    [{ error: { code: 188, message: 'of its own' } }, 422, { code: 188, message: 'of its own' }],
    [{ error: { code: 99_999, message: 'no such class' } }, 200, { code: 130, message: 'no such class' }],
    [{ error: { name: '__proto__' } }, 200, { code: 130 }],
    [{ error: {} }, 400, { code: 130 }],
  ];
  for (const [body, code, expected] of errors) {
    s.backend.answer(({ response }) => json(response, body, code));
    await t.rejects(client.call('job:start'), expected, JSON.stringify(body));
  }
});

t.test('what the backend wants published with its answer is in the topic, in order, before the answer', async (t) => {
  const events = ['one', 'two'].map((text) => ({ topic: 'news:1', event: 'headline', data: { text } }));
  const s = await start(t, () => ({ result: 1, publish: events }));
  const client = await s.client();
  await client.subscribe('news:1');
  await client.call('job:start');
  t.same(
    client.events('news:1').map(([, , data]) => data),
    [{ text: 'one' }, { text: 'two' }],
  );
  s.backend.answer(() => ({ result: 1, publish: [{ topic: 'news:1', event: 'headline', data: { text: 5 } }] }));
  await t.rejects(client.call('job:start'), { code: 130 }, 'what breaks the contract is not published');
  t.match(s.log.errors, [{ message: 'handler failed', fields: { err: { message: /published: publish\[0\]/ } } }]);
});

t.test('a backend that answers rubbish costs the call, and nothing else', async (t) => {
  const huge = 'x'.repeat(64 * 1024);
  const rubbish: Record<string, Answering> = {
    html: ({ response }) => void response.end('<html>it works</html>'),
    'no UTF-8': ({ response }) => void response.end(Buffer.from([0x22, 0xff, 0x22])),
    'a list': () => ['result'],
    'another shape': () => ({ status: 'ok' }),
    redirect: status(307, { location: 'http://127.0.0.1:1/' }),
    'not found': status(404),
    'half a character': ({ response }) => void response.end('{"result":"\\ud800"}'),
    deep: ({ response }) => void response.end(`{"result":${'['.repeat(5_000)}${']'.repeat(5_000)}}`),
    huge: ({ response }) => {
      // For as long as anybody reads.
      const more = (): void => {
        while (response.write(huge));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    },
  };
  const s = await start(t, () => undefined);
  const client = await s.client();
  for (const [name, answering] of Object.entries(rubbish)) {
    s.backend.answer(answering);
    await t.rejects(client.call('job:start'), { code: 130 }, name);
  }
  t.equal(s.backend.received.length, Object.keys(rubbish).length, 'none of it is tried again');
  s.backend.answer(() => ({ result: 'well' }));
  t.equal(await client.call('job:start'), 'well');
  t.match(s.stats().counts.call, { failures: Object.keys(rubbish).length, retries: 0 });
  t.equal(s.stats().down, false);
});

t.test('a failed try is repeated under the same id, with a signature of its own', async (t) => {
  // A connection that was kept and is gone is no try; a new one that breaks is.
  const breaks: Answering = ({ response }) => void response.socket?.destroy();
  const tries: Answering[] = [status(500), breaks, breaks, () => ({ result: 'third' })];
  const s = await start(t, (call) => (tries.shift() as Answering)(call));
  const client = await s.client();
  t.equal(await client.call('job:start'), 'third');
  t.equal(new Set(s.backend.received.map(({ id }) => id)).size, 1);
  t.ok(s.backend.received.every(({ isSigned }) => isSigned));
  t.match(s.stats().counts.call, { requests: 1, retries: 2, failures: 0 });
  s.backend.answer(status(503));
  await t.rejects(client.call('job:start'), { code: 207 }, 'and in the end the client may retry');
  t.equal(s.backend.received.length, 7);
});

t.test(
  'a slow backend is not waited for longer than the config says, nor asked again for a call nobody wants',
  async (t) => {
    const time = new ManualTime();
    const s = await start(t, () => undefined, { callTimeoutMs: 3_000, retries: 5 }, { time });
    const client = await s.client();
    client.send([Op.CALL, 90, 'job:start', 1, { timeoutMs: 5_000 }]);
    await s.backend.count('call', 1);
    time.advance(3_100);
    await until(() => s.stats().counts.call.retries === 1);
    time.advance(200);
    await s.backend.count('call', 2);
    time.advance(3_100);
    await t.rejects(client.answer(90), { code: 200 });
    await until(() => s.stats().counts.call.failures === 1);
    t.equal(s.backend.received.length, 2);
  },
);

t.test('a backend that is down is not asked, until one try finds it back', async (t) => {
  const time = new ManualTime();
  const s = await start(t, () => ({ result: 'back' }), { retries: 0 }, { time });
  await s.backend.stop();
  const client = await s.client();
  for (let n = 0; n < 5; n++) await t.rejects(client.call('job:start'), { code: 207 });
  t.equal(s.stats().down, true);
  await s.backend.start();
  await t.rejects(client.call('job:start'), { code: 207 }, 'at once');
  t.equal(s.backend.received.length, 0, 'and without a try');
  time.advance(2_100);
  t.equal(await client.call('job:start'), 'back');
  t.equal(s.stats().down, false);
  t.match(s.log.errors, [{ message: /does not answer/ }], 'said once');
});

t.test('rule 4: more calls than may wait are refused, and one user does not take the places of all', async (t) => {
  const s = await start(t, () => undefined, { atOnce: 2, waiting: 62 });
  const [greedy, other] = [await s.client(), await s.client()];
  greedy.send(...Array.from({ length: 6 }, (_, n) => [Op.CALL, 100 + n, 'job:start', n]));
  const refused = await Promise.all([104, 105].map((id) => greedy.answer(id).catch((error: object) => error)));
  t.match(refused, [{ code: 201, details: { retryAfterMs: 1_000 } }, { code: 201 }]);
  t.match(s.stats(), { underWay: 2, waiting: 2, counts: { call: { refused: 2 } } });
  const answered = other.call('job:start', 'other');
  await s.backend.count('call', 2);
  s.backend.answer(() => ({ result: 'in turn' }));
  for (const { response } of [...s.backend.received]) json(response, { result: 'first' });
  t.equal(await answered, 'in turn');
  t.same(await Promise.all([100, 101, 102, 103].map((id) => greedy.answer(id))), [
    'first',
    'first',
    'in turn',
    'in turn',
  ]);
});

t.test('input that JSON cannot carry is refused and does not go out bent', async (t) => {
  const s = await start(t, () => ({ result: 1 }));
  const client = await s.client();
  for (const input of [new Uint8Array([1]), { a: [Infinity] }, NaN]) {
    await t.rejects(client.call('job:start', input), { code: 105 });
  }
  t.equal(s.backend.received.length, 0);
});

t.test('options that cannot work stop the start with what to set', async (t) => {
  const made = (options: Partial<HooksOptions>) => () =>
    hooks({ url: 'https://backend.example/hooks', secret: HOOKS_SECRET, ...options });
  t.doesNotThrow(made({}));
  t.throws(made({ url: 'backend' }), { message: /hooks\.url/ });
  t.throws(made({ url: 'ftp://backend.example' }), { message: /hooks\.url/ });
  t.throws(made({ url: 'https://me:secret@backend.example' }), { message: /hooks\.url/ });
  t.throws(made({ url: 'http://backend.example' }), { message: /https.*allowHttp/ });
  t.doesNotThrow(made({ url: 'http://backend.example', allowHttp: true }));
  for (const host of ['localhost', '127.0.0.1', '[::1]']) t.doesNotThrow(made({ url: `http://${host}:1/` }), host);
  t.throws(made({ secret: 'short' }), { message: /32 characters/ });
  await t.rejects(
    start(t, () => 1, { calls: ['no:such'] }),
    { message: /no:such/ },
  );
  await t.rejects(
    start(t, () => 1, { events: ['join'] }),
    { message: /rooms\(\)/ },
  );
});
