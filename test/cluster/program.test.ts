/** createServer({ cluster }): programs as nodes of a cluster, on one log in memory and real links. */
import t from 'tap';
import { connect } from '../../src/client/node.js';
import { cluster } from '../../src/cluster/index.js';
import { dial, readAddress } from '../../src/link/address.js';
import { runEdge } from '../../src/link/edge.js';
import type { Plugin } from '../../src/server/api.js';
import { createServer, type Role } from '../../src/server/server.js';
import { silent } from '../../src/server/watch/log.js';
import { freePort } from '../support/free-port.js';
import { MemoryEngine, type MemoryJournal } from '../support/memory-journal.js';
import { openContract } from '../support/server.js';
import { until } from '../support/until.js';

const secret = '0123456789abcdef0123456789abcdef';

type Test = typeof t;

/** Notes which hooks have run. */
function watched(ran: string[]): Plugin<'watched', object> {
  return {
    name: 'watched',
    setup(host) {
      host.onOpen(() => void ran.push('open'));
      host.onClose(() => void ran.push('close'));
      host.onSessionEnd(() => void ran.push('session end'));
      return {};
    },
  };
}

async function startNode(t: Test, engine: MemoryEngine, name: string) {
  const link = `127.0.0.1:${await freePort()}`;
  const port = await freePort();
  const journals: MemoryJournal[] = [];
  const [roles, ran]: [Role[], string[]] = [[], []];
  const lost: Error[] = [];
  const journal = (): MemoryJournal => {
    const made = engine.journal();
    journals.push(made);
    return made;
  };
  const server = createServer({
    contract: openContract,
    cluster: cluster({ journal, secret, node: name, advertise: link }),
    deposed: (error) => void lost.push(error),
    plugins: [watched(ran)],
  });
  server.onRole((role) => roles.push(role));
  server.handle('echo', () => {
    ran.push('echo');
    return name;
  });
  const listening = server.listen({ port });
  let isListening = false;
  listening.then(
    () => (isListening = true),
    () => undefined,
  );
  t.teardown(() => server.close());
  return {
    ...{ server, listening, link, roles, ran, lost, url: `ws://127.0.0.1:${port}` },
    isListening: () => isListening,
    cut: (isCut: boolean) => journals.forEach((journal) => (journal.cut = isCut)),
    /** How it says that it stands itself. */
    health: async () => (await (await fetch(`http://127.0.0.1:${port}/health/node`)).json()) as object,
  };
}

function clientOf(t: Test, url: string) {
  const client = connect(url);
  t.teardown(() => client.close());
  const call = client.call;
  return { client, where: () => call.call(client, 'echo', null) };
}

void t.test(
  'listen() resolves when this node serves; until then what would write is refused, and handlers run on the hub',
  async (t) => {
    const engine = new MemoryEngine();
    const a = await startNode(t as Test, engine, 'a');
    t.match(await a.listening, { url: a.url.replace('ws', 'http') });
    t.strictSame([a.server.role, a.roles], ['hub', ['hub']]);
    const b = await startNode(t as Test, engine, 'b');
    const beside = clientOf(t as Test, b.url);
    t.equal(await beside.where(), 'a', 'a client of the standby is served by the hub');
    t.match(await b.health(), { role: 'standby', node: 'b', hub: 'a', term: 1, lag: Number });
    t.match(await a.health(), { role: 'hub', node: 'a', hub: 'a', term: 1, lag: 0 });
    t.equal(b.server.role, 'standby');
    await t.rejects(
      b.server.transact(() => 1),
      { name: 'store_unavailable' },
    );
    await t.rejects(b.server.publish('news:1', 'headline', { text: 'x' }), { name: 'store_unavailable' });
    t.strictSame([b.ran, b.isListening()], [[], false], 'and nothing of it has run');

    // An edge that knows the link of each.
    const edge = runEdge({
      ...{ name: 'edge', host: '127.0.0.1', port: 0, engine: 'auto', log: silent, waitMs: 8_000 },
      hubs: [a, b].map(({ link }) => ({ text: link, dial: () => dial(readAddress(link), { secret }) })),
    });
    t.teardown(() => edge.close());
    const { client, where } = clientOf(t as Test, `ws://127.0.0.1:${await edge.listening}`);
    t.equal(await where(), 'a');
    t.equal((await a.server.publish('news:1', 'headline', { text: 'x' })).offset, 1);

    await a.server.close();
    await b.listening;
    t.strictSame(
      [a.server.role, a.roles, a.ran.filter((what) => what !== 'echo')],
      ['over', ['hub', 'over'], ['open', 'close']],
    );
    t.strictSame([b.server.role, b.roles, b.ran], ['hub', ['hub'], ['open']]);
    t.equal((await b.server.publish('news:1', 'headline', { text: 'y' })).offset, 2);
    await until(() => client.state.get().status === 'live' && beside.client.state.get().status === 'live');
    t.strictSame([await where(), await beside.where()], ['b', 'b']);
    t.strictSame(a.lost, []);
  },
);

void t.test(
  'a hub that was deposed runs no hook, no handler and no transaction, and its process is to end',
  async (t) => {
    const engine = new MemoryEngine();
    const a = await startNode(t as Test, engine, 'a');
    await a.listening;
    const b = await startNode(t as Test, engine, 'b');
    const { where } = clientOf(t as Test, a.url);
    t.equal(await where(), 'a');
    a.cut(true);
    await b.listening;
    t.strictSame(a.ran, ['open', 'echo']);
    a.cut(false);
    await until(() => a.lost.length > 0, 'it is told');
    t.match(a.lost, [{ message: 'b is the hub now' }]);
    t.strictSame(a.roles, ['hub', 'over']);
    let isRun = false;
    await t.rejects(
      a.server.transact(() => (isRun = true)),
      { name: 'store_unavailable' },
    );
    await t.rejects(a.server.publish('news:1', 'headline', { text: 'x' }), { name: 'store_unavailable' });
    await a.server.close();
    t.strictSame([isRun, a.ran], [false, ['open', 'echo']]);
    t.equal((await b.server.publish('news:1', 'headline', { text: 'x' })).offset, 1);
  },
);
