/** `roomwire serve --cluster` on PostgreSQL, and on NATS: three nodes by three commands, and each way in which a hub can end. */
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { WebSocket } from 'ws';
import { connect } from '../../src/client/node.js';
import type { NodeReport } from '../../src/protocol/http-answers.js';
import { startCli } from '../support/cli.js';
import {
  eventually,
  hubOf,
  ready,
  run,
  secret,
  skipWithout,
  startEngine,
  startNode,
  type Engine,
  type NodeProgram,
} from '../support/cluster.js';
import { commandsAfter, type Printed } from '../support/commands.js';
import { freePort } from '../support/free-port.js';
import { startPostgres } from '../support/postgres.js';
import { until } from '../support/until.js';

t.setTimeout(400_000);

const skip = skipWithout('PostgreSQL');

type Test = typeof t;

async function startNamed(t: Test, cluster: string, name: string, more: readonly string[] = []): Promise<NodeProgram> {
  const [port, link] = [await freePort(), await freePort()];
  const at = more.includes('--advertise') ? [] : ['--advertise', `127.0.0.1:${link}`];
  const args = ['serve', '--cluster', cluster, '--port', `${port}`, ...at, '--node', name, ...more];
  return startNode(t, [...args, '--data', join(t.testdirName, name)]);
}

async function startThree(t: Test): Promise<readonly [NodeProgram, NodeProgram, NodeProgram]> {
  const url = await startEngine(t, 'PostgreSQL');
  t.testdir();
  const a = await startNamed(t, url, 'a');
  await until(() => a.isHub(), 'a is the hub');
  const [b, c] = [await startNamed(t, url, 'b'), await startNamed(t, url, 'c')];
  for (const { url } of [a, b, c]) await ready(url);
  return [a, b, c];
}

/** What docs/scale.md says, on an engine, ports and folders of this test. */
async function documented(t: Test, engine: Engine) {
  const url = await startEngine(t, engine);
  t.testdir();
  const put: Record<string, string> = {
    'postgres://roomwire@127.0.0.1/rooms': url,
    './node': join(t.testdirName, 'node'),
  };
  for (const port of [8420, 8421, 8422, 8520, 8521, 8522]) put[`${port}`] = `${await freePort()}`;
  put['SECRET=…'] = `SECRET=${secret}`;
  const [load] = commandsAfter('scale.md', 'Then put clients on it, and kill the hub', put);
  const [shown] = commandsAfter('scale.md', '`roomwire cluster` shows what became of the nodes', put);
  return { url, serve: commandsAfter('scale.md', 'Three nodes by three commands', put), load, shown };
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
    `three nodes by the commands of docs/scale.md: kill -9 of the hub under load loses nothing that was acknowledged, and doubles nothing: ${engine}`,
    { skip: skipWithout(engine) },
    async (t) => {
      const { url, serve, load, shown } = await documented(t as Test, engine);
      t.equal(serve.length, 3);
      const nodes = serve.map(({ env, args }) => startNode(t, args, env));
      for (const { url } of nodes) await ready(url);
      const hub = hubOf(nodes) as NodeProgram;
      const child = startCli(t, [...load.args, '--json']);
      let [out, err] = ['', ''];
      child.stdout?.on('data', (data: Buffer) => (out += data.toString()));
      child.stderr?.on('data', (data: Buffer) => (err += data.toString()));
      const done = once(child, 'exit');
      await until(() => /published [1-9]\d{2}/.test(err), 'it publishes');
      const pid = hub.node();
      // Its machine: the node with its parent.
      process.kill(hub.child.pid as number, 'SIGKILL');
      process.kill(pid, 'SIGKILL');
      const left = nodes.filter((node) => node !== hub);
      await until(() => hubOf(left) !== undefined, 'another is the hub');
      await done;
      const report = JSON.parse(out) as Report;
      t.equal(report.lost, 0);
      t.equal(report.duplicates, 0);
      t.equal(report.outOfOrder, 0);
      t.equal(report.clients.resets, 0, 'the same epochs');
      t.equal(report.clients.offline, 0);
      t.ok(report.published.acknowledged > 100);
      await showsNodes(t as Test, { url, shown, left });
    },
  );
}

interface Shown {
  readonly url: string;
  readonly shown: Printed;
  readonly left: readonly NodeProgram[];
}

/** After the first hub's end: what the command and each node say of those that are left. */
async function showsNodes(t: Test, { url, shown, left }: Shown): Promise<void> {
  const isRow = (role: string) =>
    new RegExp(`^127\\.0\\.0\\.1:\\d+ +${role} +2 +127\\.0\\.0\\.1:\\d+ +\\d+ +[\\d.]+ s ago +[\\d.]+ s ago$`, 'm');
  const { out } = await eventually(
    () => run(t, shown.args),
    ({ code, out }) => code === 0 && isRow('hub').test(out) && isRow('standby').test(out),
    'the hub and the standby are shown',
  );
  const [head = '', ...rows] = out.trimEnd().split('\n');
  t.match(head, /^node +role +term +advertised +lag +last beat +seen$/);
  t.strictSame(rows, rows.toSorted(), 'by name');
  const seen = await eventually(
    async () => {
      const json = await run(t, ['cluster', '--json'], { ROOMWIRE_CLUSTER: url });
      const nodes = json.out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as NodeReport);
      return nodes.filter(({ seenMs }) => seenMs < 5_000);
    },
    (nodes) =>
      nodes
        .map(({ role }) => role)
        .sort()
        .join() === 'hub,standby',
    'the same as JSON',
  );
  const hub = seen.find(({ role }) => role === 'hub')?.node;
  t.ok(seen.every((node) => node.hub === hub && node.term === 2));
  for (const node of left) {
    const own = (await (await fetch(`${node.url}/health/node`)).json()) as NodeReport;
    t.match(own, {
      role: node.isHub() ? 'hub' : 'standby',
      term: 2,
      hub,
      lag: Number,
      lastBeatMs: Number,
      logMs: Number,
    });
    await eventually(
      async () => (await (await fetch(`${node.url}/api/nodes`)).json()) as { readonly nodes: readonly NodeReport[] },
      ({ nodes }) => seen.every((one) => nodes.some((known) => known.node === one.node && known.role === one.role)),
      'the hub has heard of both, whichever is asked',
    );
  }
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
        super((nodes[++turn % 3] as NodeProgram).url.replace('http', 'ws'), protocols);
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
    const successor = hubOf([nodes[1], nodes[2]]) as NodeProgram;
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
    const blue = await startNamed(t as Test, url, 'blue', await apart());
    await ready(blue.url);
    const green = await startNamed(t as Test, url, 'green', await apart());
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
    [
      ['--cluster', url, '--advertise', '0.0.0.0:8421'],
      { ROOMWIRE_CLUSTER_SECRET: secret },
      /advertise a name or an addr/,
    ],
    [
      ['--cluster', url, '--advertise', `127.0.0.1:${new URL(url).port}`],
      { ROOMWIRE_CLUSTER_SECRET: secret },
      /cannot wait for other nodes at 127\.0\.0\.1:\d+: listen EADDRINUSE/,
    ],
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
