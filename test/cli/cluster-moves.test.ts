/** A single server that becomes a cluster and goes back, and a node without a disk: by the commands of docs/scale.md. */
import { join } from 'node:path';
import t from 'tap';
import { connect } from '../../src/client/node.js';
import { eventually, ready, run, secret, skipWithout, startNode, type NodeProgram } from '../support/cluster.js';
import { commandsAfter } from '../support/commands.js';
import { freePort } from '../support/free-port.js';
import { Postgres, startPostgres } from '../support/postgres.js';
import { until } from '../support/until.js';

t.setTimeout(180_000);
const skip = skipWithout('PostgreSQL');

/** Joins a room, and answers the token of a lock in it. */
async function visit(url: string): Promise<number> {
  const client = connect(url.replace('http', 'ws'));
  try {
    const room = client.room('kept');
    await room.join({ create: true });
    let got = 0;
    await room.withLock('paper', {}, ({ token }) => void (got = token));
    return got;
  } finally {
    client.close();
  }
}

async function topicAt(url: string): Promise<{ readonly epoch: string; readonly head: number }> {
  return (await (await fetch(`${url}/api/topics/room:kept`)).json()) as {
    readonly epoch: string;
    readonly head: number;
  };
}

async function stop(node: NodeProgram): Promise<void> {
  node.child.kill('SIGTERM');
  t.strictSame(await node.ended, [0, null]);
}

void t.test('the store of a single server becomes a cluster, and one again', { skip }, async (t) => {
  const { url: database } = await startPostgres(t);
  const [port, other] = [await freePort(), await freePort()];
  const put = {
    ...{ 'postgres://roomwire@127.0.0.1/rooms': database, './data': join(t.testdir(), 'data') },
    ...{ '8420': `${port}`, '8520': `${await freePort()}`, 'SECRET=…': `SECRET=${secret}` },
  };
  const [single, joins, back] = commandsAfter('scale.md', '### From one server into a cluster, and back', put);
  const start = async ({ env, args }: typeof single): Promise<NodeProgram> => {
    const node = startNode(t, args, env);
    await ready(node.url);
    return node;
  };
  const before = await start(single);
  const first = await visit(before.url);
  const { epoch, head } = await topicAt(before.url);
  await stop(before);

  const hub = await start(joins as typeof single);
  t.strictSame(await topicAt(hub.url).then(({ epoch }) => epoch), epoch, 'the same epochs');
  const second = await visit(hub.url);
  t.ok(second > first);
  const args = ['serve', '--cluster', database, '--port', `${other}`, '--data', join(t.testdirName, 'empty')];
  const standby = startNode(t, [...args, '--advertise', `127.0.0.1:${await freePort()}`]);
  await ready(standby.url);
  const own = async () => (await (await fetch(`${standby.url}/health/node`)).json()) as Record<string, unknown>;
  await eventually(own, ({ role, term, lag }) => role === 'standby' && term === 1 && lag === 0, 'it has everything');
  const grown = (await topicAt(hub.url)).head;
  t.ok(grown > head);
  await stop(standby);
  await stop(hub);

  const after = await start(back as typeof single);
  const found = await topicAt(after.url);
  t.strictSame([found.epoch, found.head >= grown], [epoch, true], 'nothing that the cluster wrote is lost');
  t.ok((await visit(after.url)) > second);
  await stop(after);

  const stray = startNode(t, (joins as typeof single).args, (joins as typeof single).env);
  t.strictSame(await stray.ended, [1, null]);
  t.match(stray.said(), /not of this cluster, or was written to without it: move it away/);
});

void t.test(
  'one node without a disk waits for its database, keeps everything over a redeploy, and takes no other secret',
  { skip },
  async (t) => {
    const postgres = new Postgres(await freePort(), {});
    t.teardown(() => postgres.remove());
    const away = await run(t, ['cluster', '--timeout', '300'], { ROOMWIRE_CLUSTER: postgres.url });
    t.equal(away.code, 1);
    t.match(away.err, /^PostgreSQL does not answer, trying on: .*\nroomwire: no answer within 300 ms\n$/);
    const args = ['serve', '--cluster', postgres.url, '--memory', '--port', `${await freePort()}`];
    const one = startNode(t, args);
    await until(() => one.said().includes('PostgreSQL does not answer, trying on'), 'it says that it waits');
    t.match(await (await fetch(`${one.url}/health/node`)).json(), { role: 'standby', hub: '', logMs: null });
    await postgres.start();
    await ready(one.url);
    const first = await visit(one.url);
    const { epoch, head } = await topicAt(one.url);
    await stop(one);

    const none = await run(t, ['cluster', postgres.url, '--json']);
    t.equal(none.code, 1);
    t.match(none.err, /no node is the hub/);

    const other = startNode(t, args, { ROOMWIRE_CLUSTER_SECRET: 'another secret of thirty-two letters' });
    t.strictSame(await other.ended, [1, null]);
    t.match(other.said(), /the cluster secret of this node is not that of the log: it is of another cluster/);

    const next = startNode(t, args);
    await ready(next.url);
    const found = await topicAt(next.url);
    t.strictSame([found.epoch, found.head >= head], [epoch, true]);
    t.ok((await visit(next.url)) > first);
    await stop(next);
  },
);
