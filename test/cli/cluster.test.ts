/** `roomwire serve --cluster` on PostgreSQL, and on NATS: three nodes by three commands, and each way in which a hub can end. */
import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { WebSocket } from 'ws';
import { connect } from '../../src/client/node.js';
import { freePort } from '../support/free-port.js';
import { startCli } from '../support/cli.js';
import { noNats, startNats } from '../support/nats.js';
import { noPostgres, startPostgres } from '../support/postgres.js';
import { until } from '../support/until.js';

t.setTimeout(240_000);

const skipOf = (engine: Engine): string | false => {
  const without = engine === 'NATS' ? noNats : noPostgres;
  return without === false && process.platform !== 'linux' ? 'needs /proc' : without;
};
const skip = skipOf('PostgreSQL');
const secret = '0123456789abcdef0123456789abcdef';

interface Started {
  readonly child: ChildProcess;
  readonly url: string;
  readonly ended: Promise<unknown[]>;
  said(): string;
  /** The process under the small parent. */
  node(): number;
  isHub(): boolean;
}

type Test = typeof t;

async function startNode(t: Test, cluster: string, name: string, more: readonly string[] = []): Promise<Started> {
  const [port, link] = [await freePort(), await freePort()];
  const at = more.includes('--advertise') ? [] : ['--advertise', `127.0.0.1:${link}`];
  const args = ['serve', '--cluster', cluster, '--port', `${port}`, ...at, '--node', name, ...more];
  const child = startCli(t, [...args, '--data', join(t.testdirName, name)], {
    ROOMWIRE_WORKERS: '0',
    ROOMWIRE_CLUSTER_SECRET: secret,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data: Buffer) => (said += data.toString()));
  const node = (): number => Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim());
  return {
    ...{ child, url: `http://127.0.0.1:${port}`, ended: once(child, 'exit'), node, said: () => said },
    // Of the process that runs now.
    isHub: () => /as its hub/.test(said.slice(said.lastIndexOf('it is started anew') + 1)),
  };
}

type Engine = 'PostgreSQL' | 'NATS';

async function startThree(t: Test, engine: Engine = 'PostgreSQL'): Promise<readonly [Started, Started, Started]> {
  const url = engine === 'NATS' ? `nats://127.0.0.1:${(await startNats(t))[0]?.port}` : (await startPostgres(t)).url;
  t.testdir();
  const a = await startNode(t, url, 'a');
  await until(() => a.isHub(), 'a is the hub');
  const [b, c] = [await startNode(t, url, 'b'), await startNode(t, url, 'c')];
  for (const { url } of [a, b, c]) await ready(url);
  return [a, b, c];
}

async function ready(url: string): Promise<void> {
  let isReady = false;
  const ask = async (): Promise<void> => {
    while (!isReady) {
      isReady = await fetch(`${url}/health/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (!isReady) await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  void ask();
  await until(() => isReady, `${url} is ready`);
}

function hubOf(nodes: readonly Started[]): Started | undefined {
  return nodes.find((node) => node.isHub());
}

interface Report {
  readonly lost: number;
  readonly duplicates: number;
  readonly outOfOrder: number;
  readonly deliveries: number;
  readonly clients: { readonly resets: number; readonly offline: number };
  readonly published: { readonly acknowledged: number };
}

for (const engine of ['PostgreSQL', 'NATS'] as const) {
  void t.test(
    `kill -9 of the hub under load loses nothing that was acknowledged, and doubles nothing: ${engine}`,
    { skip: skipOf(engine) },
    async (t) => {
      const nodes = await startThree(t as Test, engine);
      const [a, b, c] = nodes;
      const urls = nodes.map(({ url }) => url).join(',');
      const load = startCli(t, [
        'load',
        '--url',
        urls,
        '--clients',
        '30',
        '--rate',
        '60',
        '--seconds',
        '12',
        '--settle',
        '60',
        '--json',
      ]);
      let [out, err] = ['', ''];
      load.stdout?.on('data', (data: Buffer) => (out += data.toString()));
      load.stderr?.on('data', (data: Buffer) => (err += data.toString()));
      const done = once(load, 'exit');
      await until(() => /published [1-9]\d{2}/.test(err), 'it publishes');
      const pid = a.node();
      // Its machine: the node with its parent.
      process.kill(a.child.pid as number, 'SIGKILL');
      process.kill(pid, 'SIGKILL');
      await until(() => hubOf([b, c]) !== undefined, 'another is the hub');
      await done;
      const report = JSON.parse(out) as Report;
      t.equal(report.lost, 0);
      t.equal(report.duplicates, 0);
      t.equal(report.outOfOrder, 0);
      t.equal(report.clients.resets, 0, 'the same epochs');
      t.equal(report.clients.offline, 0);
      t.ok(report.published.acknowledged > 100);
    },
  );
}

void t.test(
  'a hub that is stopped and woken ends with 75 and is a standby, and tokens of a lock only grow',
  { skip },
  async (t) => {
    const nodes = await startThree(t as Test);
    const tokens: number[] = [];
    let turn = 0;
    // As behind a balancer.
    class Anywhere extends WebSocket {
      constructor(_: string, protocols: string[]) {
        super((nodes[++turn % 3] as Started).url.replace('http', 'ws'), protocols);
      }
    }
    const client = connect(nodes[1].url, { instance: 'one', WebSocket: Anywhere });
    t.teardown(() => client.close());
    const room = client.room('r');
    await room.join({ create: true });
    await room.withLock('paper', {}, ({ token }) => void tokens.push(token));
    const hub = nodes[0];
    const stopped = hub.node();
    process.kill(stopped, 'SIGSTOP');
    await until(() => hubOf([nodes[1], nodes[2]]) !== undefined, 'another is the hub');
    await until(() => client.state.get().status === 'live', 'the client is back');
    await room.withLock('paper', {}, ({ token }) => void tokens.push(token));
    process.kill(stopped, 'SIGCONT');
    await until(() => hub.said().includes('the node ended (75)'), 'the woken one ends');
    await ready(hub.url);
    t.equal(hub.isHub(), false);
    // Asked of any node, the hub answers.
    const health = (await (await fetch(`${hub.url}/health`)).json()) as { readonly cluster: object };
    t.match(health.cluster, { role: 'hub', term: 2, hub: /^[bc]$/, lag: 0 });
    const [first = 0, second = 0] = tokens;
    t.ok(second > first, `${first} < ${second}`);
    const successor = hubOf([nodes[1], nodes[2]]) as Started;
    successor.child.kill('SIGTERM');
    t.strictSame(await successor.ended, [0, null], 'an orderly stop');
    const left = nodes.filter((node) => node !== successor);
    await until(() => hubOf(left) !== undefined, 'a third term');
    await until(() => client.state.get().status === 'live', 'the client is back again');
    await room.withLock('paper', {}, ({ token }) => void tokens.push(token));
    t.ok((tokens[2] ?? 0) > second);
  },
);

void t.test(
  'a node that cannot reach the hub makes it give way: two that share nothing but the database',
  { skip },
  async (t) => {
    const { url } = await startPostgres(t);
    t.testdir();
    // Where each says that it is, nobody listens.
    const apart = async (): Promise<readonly string[]> => {
      return ['--advertise', `127.0.0.1:${await freePort()}`, '--link', `127.0.0.1:${await freePort()}`];
    };
    const blue = await startNode(t as Test, url, 'blue', await apart());
    await ready(blue.url);
    const green = await startNode(t as Test, url, 'green', await apart());
    await until(() => blue.said().includes('it gives way'), 'blue gives way');
    await ready(green.url);
    t.ok(green.isHub());
    await until(() => blue.said().includes('the node ended (76)'), 'blue has stopped in order');
    blue.child.kill('SIGTERM');
    t.strictSame(await blue.ended, [0, null]);
  },
);

void t.test('settings of a cluster that cannot work are told in a line', { skip }, async (t) => {
  const { url } = await startPostgres(t);
  const cases: readonly (readonly [readonly string[], Record<string, string>, RegExp])[] = [
    [['--cluster', url], {}, /--cluster needs --cluster-secret/],
    [['--cluster', url], { ROOMWIRE_CLUSTER_SECRET: 'short' }, /32 characters or more/],
    [['--cluster', 'redis://x'], { ROOMWIRE_CLUSTER_SECRET: secret }, /the log is at postgres:\/\//],
    [['--cluster', url, '--workers', '2'], { ROOMWIRE_CLUSTER_SECRET: secret }, /takes no --workers/],
  ];
  for (const [args, env, message] of cases) {
    const child = startCli(t, ['serve', '--port', '0', '--memory', ...args], { ROOMWIRE_WORKERS: '0', ...env });
    let said = '';
    child.stderr?.on('data', (data: Buffer) => (said += data.toString()));
    t.strictSame(await once(child, 'exit'), [1, null]);
    t.match(said, message);
  }
});
