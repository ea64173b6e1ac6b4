/**
 * An edge on what is another machine to the kernel: a network namespace that only two cables lead to, one for the link and
 * one for clients. It takes root, and `ip` of iproute2.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import t from 'tap';
import { main, startCli } from '../support/cli.js';
import { startExample } from '../support/example.js';
import { noMachines, startMachine } from '../support/machine.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';

t.setTimeout(180_000);

const skip = noMachines !== false ? noMachines : existsSync(main) ? false : 'needs a build';
const secret = 'a secret of the link that is long enough';
const env = { ROOMWIRE_LINK_SECRET: secret, ROOMWIRE_JWT_SECRET: SECRET, ROOMWIRE_API_KEYS: 'an-api-key-of-the-test' };
const engine = process.env['ROOMWIRE_ENGINE'] ?? 'auto';

/** Two cables: one for the link, one for clients. */
function machine(t: { teardown(fn: () => void): void }, net: number) {
  const { cables, command } = startMachine(t, net, ['link', 'clients']);
  return {
    cable: cables.link,
    link: cables.link.here,
    http: `http://${cables.clients.there}:8420`,
    edge() {
      const [program = '', ...args] = [...command, process.execPath, main, 'edge', '--engine', engine];
      const at = ['--hub', `${cables.link.here}:8421`, '--host', '0.0.0.0', '--port', '8420', '--name', 'far'];
      const child = spawn(program, [...args, ...at], {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      t.teardown(() => void child.kill('SIGKILL'));
    },
  };
}

async function status(url: string): Promise<number> {
  return fetch(url).then(
    ({ status }) => status,
    () => 0,
  );
}

async function untilStatus(url: string, wanted: number): Promise<void> {
  let found = -1;
  const looking = setInterval(() => void status(url).then((now) => (found = now)), 50);
  try {
    await until(() => found === wanted, `${url} answers ${wanted}`);
  } finally {
    clearInterval(looking);
  }
}

t.test(
  'an edge in another namespace serves; its cable is pulled and put back, and nothing is lost',
  { skip },
  async (t) => {
    const far = machine(t, 7);
    const hub = startCli(
      t,
      ['serve', '--data', t.testdir(), '--port', '0', '--engine', engine, '--link', `${far.link}:8421`],
      env,
    );
    let out = '';
    hub.stdout?.on('data', (data: Buffer) => (out += data.toString()));
    far.edge();
    await untilStatus(`${far.http}/health/ready`, 200);
    const here = /http:\/\/[^/\s]+/.exec(out)?.[0] ?? '';
    t.match(await (await fetch(`${far.http}/`)).text(), /<!doctype html>/i, 'the page');
    const [ann, bob] = [new WireClient(far.http.replace('http', 'ws')), new WireClient(here.replace('http', 'ws'))];
    t.teardown(() => [ann, bob].forEach((client) => client.cut()));
    const { session } = await ann.hello({ token: await tokenFor('ann'), grace: 60_000 });
    await bob.hello({ token: await tokenFor('bob') });
    await bob.call('join:room', { roomId: 'r', create: true });
    await ann.call('join:room', { roomId: 'r' });
    const { epoch, offset } = await bob.publish('room:r', 'chat:message:new', 'before');
    await ann.event('room:r', 'chat:message:new');
    far.cable.pull();
    t.equal((await ann.closed).code, 4202, 'the edge tells its clients');
    await untilStatus(`${far.http}/health/ready`, 503);
    t.equal(await status(`${far.http}/health/live`), 200);
    await bob.publish('room:r', 'chat:message:new', 'meanwhile');
    far.cable.plug();
    await untilStatus(`${far.http}/health/ready`, 200);
    const back = new WireClient(far.http.replace('http', 'ws'));
    t.teardown(() => back.cut());
    const hello = {
      token: await tokenFor('ann'),
      session: [...session] as [string, string],
      resume: { 'room:r': [epoch, offset] },
    };
    t.match(await back.hello(hello as never), { resumed: true, topics: { 'room:r': { recovered: true } } });
    await back.event('room:r', 'chat:message:new');
    t.strictSame(
      back
        .events('room:r')
        .filter(([, event]) => event === 'chat:message:new')
        .map(([, , data]) => data),
      ['meanwhile'],
    );
    await bob.event('room:r', 'chat:message:new', 2);
    const seen = bob.events('room:r').filter(([at]) => at > offset);
    t.strictSame([...new Set(seen.map(([, event]) => event))], ['chat:message:new'], 'nobody saw her go');
  },
);

t.test('all five examples are served by an edge in another namespace', { skip }, async (t) => {
  const names = ['chat-dashboard', 'election-updates', 'party-membership', 'tms-chat', 'zndraw-rooms'];
  for (const [i, name] of names.entries()) {
    await t.test(name, async (t) => {
      const far = machine(t, 20 + i);
      const example = await startExample(t, name, {
        env: { ...env, ROOMWIRE_TEST_LINK: `${far.link}:8421` },
        args: [],
      });
      far.edge();
      const ready = status(`${example.url}/health/ready`);
      await untilStatus(`${far.http}/health/ready`, await ready);
      for (const path of ['/', '/openapi.json', '/health/ready']) {
        const [near, there] = await Promise.all([fetch(example.url + path), fetch(far.http + path)]);
        t.strictSame([there.status, await there.text()], [near.status, await near.text()], path);
      }
    });
  }
});
