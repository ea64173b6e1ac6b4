/** `roomwire serve --test` as a program of any language drives it, and the claims of `roomwire token`. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { connect } from '../../src/client/node.js';
import { until, within } from '../support/until.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
type Answer = Readonly<Record<string, unknown>>;

async function start(t: Test) {
  const child = spawn(process.execPath, [main, 'serve', '--test'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] },
  });
  const gone = once(child, 'exit');
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const answer = async (): Promise<Answer> => {
    const { value = '{}' } = await within(lines.next() as Promise<{ value?: string }>, 'an answer');
    return JSON.parse(value) as Answer;
  };
  return {
    child,
    gone,
    hello: await answer(),
    async step(line: object | string): Promise<Answer> {
      child.stdin.write(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
      return answer();
    },
  };
}

t.test('steps on stdin are done and answered, one line each, and it ends with stdin', async (t) => {
  const { hello, step, child, gone } = await start(t);
  t.match(hello, { url: /^http:\/\/127\.0\.0\.1:\d+$/, apiKey: String, secret: /^.{32,}$/ });
  const { token } = await step({ do: 'token', user: 'ann', claims: { name: 'Ann' } });
  const url = String(hello['url']);
  const client = connect(url.replace('http', 'ws'), { token: String(token), random: () => 0 });
  t.teardown(() => client.close());
  const room = client.room('a');
  const state = await room.join({ create: true });
  t.match(state.members, [{ userId: 'ann', name: 'Ann' }]);
  let cuts = 0;
  client.state.subscribe(({ status }) => void (cuts += Number(status === 'offline')));
  t.same(await step({ do: 'cut', user: 'ann' }), { done: 'cut' });
  await until(() => cuts >= 1 && client.state.get().status === 'live');
  t.same(await step({ do: 'advance', ms: 1_000 }), { done: 'advance' });
  const published = await fetch(`${url}/api/publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${String(hello['apiKey'])}`, 'content-type': 'application/json' },
    body: JSON.stringify({ topic: 'room:a', event: 'chat:message:new', data: { text: 'hi' } }),
  });
  t.match(await published.json(), { matched: 1 });
  t.same(await step({ do: 'restart' }), { done: 'restart' });
  // While it starts anew, an attempt may fail.
  await until(() => cuts >= 2 && client.state.get().status === 'live');
  t.same(await step('nonsense'), {
    error: { code: 100, name: 'bad_request', message: 'a step is a JSON object on one line' },
  });
  t.match(await step({ do: 'cut', users: 'ann' }), { error: { name: 'invalid_data', message: /^users: / } });
  client.close();
  child.stdin.end();
  t.same(await within(gone, 'the end'), [0, null]);
});

t.test('a token has the claims that it is given, of any kind, and none twice', async (t) => {
  const run = (...args: string[]) => {
    const env = { PATH: process.env['PATH'], ROOMWIRE_JWT_SECRET: 'a-secret-of-at-least-32-bytes-length!' };
    return spawnSync(process.execPath, [main, 'token', '--sub', 'ann', ...args], { encoding: 'utf8', env });
  };
  const { stdout } = run('--claim', 'role=agent', '--claim', 'level=3', '--claim', 'tags=["a","b"]');
  const claims = JSON.parse(Buffer.from(stdout.split('.')[1] ?? '', 'base64url').toString()) as object;
  t.match(claims, { sub: 'ann', role: 'agent', level: 3, tags: ['a', 'b'] });
  for (const wrong of [
    ['--claim', 'role'],
    ['--claim', 'sub=bob'],
    ['--claim', 'a=1', '--claim', 'a=2'],
  ]) {
    const { status, stderr } = run(...wrong);
    t.equal(status, 2, wrong.join(' '));
    t.match(stderr, '--claim');
  }
  t.match(run('--name', 'A', '--name', 'B').stderr, '--name is given twice');
});
