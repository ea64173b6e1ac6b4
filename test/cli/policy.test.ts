/** `roomwire serve` with a backend and a policy from its config file; the files that the docs print are right. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { HOOKS_SECRET, startBackend } from '../support/backend.js';
import { startCli, type CliTest } from '../support/cli.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';

const env = { ROOMWIRE_HOOKS_SECRET: HOOKS_SECRET, ROOMWIRE_JWT_SECRET: SECRET };

async function check(t: CliTest, config: string, more: Record<string, string> = env) {
  const child = startCli(t, ['serve', '--memory', '--check-config', '--config', config], more);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += String(chunk)));
  const [code] = (await once(child, 'close')) as [number];
  return { code, text };
}

t.test('the config files of docs/policy.md, docs/hooks.md and docs/python.md are right', async (t) => {
  for (const name of ['policy', 'hooks', 'python']) {
    const document = readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), 'utf8');
    const file = join(t.testdir(), 'config.json');
    writeFileSync(file, /```json\n([\s\S]*?)```/.exec(document)?.[1] as string);
    t.same(await check(t, file), { code: 0, text: 'the settings are right\n' }, name);
  }
});

t.test('a policy or backend that cannot work stops the start with one line', async (t) => {
  const url = 'http://127.0.0.1:1/';
  const wrong: [object, RegExp][] = [
    [{ policy: { topics: { 'room:{id}': { join: ['anyone'] } } } }, /room:\{id\}: join: 'anyone' is no grant/],
    [{ policy: { topics: { 'room:{id}': { jion: ['everyone'] } } } }, /jion/],
    [{ policy: { calls: { 'export:start': ['everyone'] } } }, /no call 'export:start'/],
    [{ policy: { topics: { 'room:{id}': { join: ['hook'] } } } }, /set hooks\.url/],
    [{ proxy: ['export:start'] }, /hooks\.url is not set/],
    [{ hooks: { url: 'http://backend.example/' } }, /use https/],
    [{ hooks: { url }, proxy: ['join:room'] }, /'join:room' has a handler already/],
  ];
  const file = join(t.testdir(), 'config.json');
  for (const [config, message] of wrong) {
    writeFileSync(file, JSON.stringify(config));
    const { code, text } = await check(t, file);
    t.equal(code, 1, text);
    t.match(text, message);
    t.match(text, /^roomwire: [^\n]+\n$/);
  }
  writeFileSync(file, JSON.stringify({ hooks: { url } }));
  t.match((await check(t, file, {})).text, /ROOMWIRE_HOOKS_SECRET/);
});

t.test('serve lets the backend answer calls and the policy rule rooms', async (t) => {
  const backend = await startBackend(t, ({ body }) =>
    body.type === 'call' ? { result: `started for ${body.user.id}` } : { allow: true, user: { roles: ['editor'] } },
  );
  const file = join(t.testdir(), 'config.json');
  writeFileSync(
    file,
    JSON.stringify({
      hooks: { url: backend.url, events: ['connect', 'join'] },
      proxy: ['export:start'],
      policy: {
        topics: { 'room:{id}': { create: ['role:editor'], lock: ['nobody'] } },
        calls: { 'export:*': ['role:editor'] },
      },
    }),
  );
  const child = startCli(t, ['serve', '--port', '0', '--memory', '--config', file], env);
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  const client = new WireClient((/http:\/\/[^\s/]+/.exec(line.toString())?.[0] as string).replace('http', 'ws'));
  t.teardown(() => client.cut());
  await client.hello({ token: await tokenFor('ann') });
  t.equal(await client.call('export:start', { any: 'thing' }), 'started for ann');
  await client.call('join:room', { roomId: 'r', create: true });
  await t.rejects(client.call('lock:acquire', { roomId: 'r' }), { code: 106 });
  t.match((await backend.count('join', 1))[0], { isSigned: true, body: { roomId: 'r', user: { id: 'ann' } } });
});

t.test('a start names the plain topics that are open to every signed-in user, and no other', async (t) => {
  const file = join(t.testdir(), 'config.json');
  const events = { '*': 'server' };
  const config = {
    topics: {
      'news:{id}': { events },
      'staff:{id}': { events },
      'chat:{id}': { subscribe: 'by-call', events },
      'inbox:{id}': { subscribe: 'own', events },
    },
    policy: { topics: { 'staff:{id}': { join: ['role:staff'] } } },
  };
  writeFileSync(file, JSON.stringify(config));
  const child = startCli(t, ['serve', '--memory', '--port', '0', '--config', file], { ROOMWIRE_JWT_SECRET: SECRET });
  let text = '';
  child.stdout?.on('data', (chunk) => (text += String(chunk)));
  await until(() => text.split('\n').length > 2);
  const [start = '', open] = text.split('\n');
  t.equal(open, 'open to every signed-in user until a policy names them: news:{id}');
  const client = new WireClient(/http:\S+/.exec(start)?.[0].replace('http', 'ws') ?? '');
  t.teardown(() => client.cut());
  await client.hello({ token: await tokenFor('ann') });
  await t.rejects(client.subscribe('chat:1'), { code: 107 });
  await t.rejects(client.subscribe('inbox:bob'), { code: 106 });
  await t.resolves(client.subscribe('inbox:ann'));
});
